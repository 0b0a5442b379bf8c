/** The port table: who held which port, from when to when. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { Timestamp, page } from './common.ts';

export const PortMapping = Type.Object(
  {
    id: Type.Integer(),
    external_port: Type.Integer(),
    internal_port: Type.Integer(),
    env_id: Type.String(),
    customer_id: Type.Integer(),
    status: Type.Unsafe<'active' | 'released'>({ type: 'string', enum: ['active', 'released'] }),
    allocated_at: Timestamp,
    released_at: Type.Union([Timestamp, Type.Null()]),
  },
  { $id: 'PortMapping' },
);
export type PortMapping = Static<typeof PortMapping>;

export const PortPage = page(PortMapping, 'PortPage');
export type PortPage = Static<typeof PortPage>;

export const ListPorts = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 200 })),
    cursor: Type.Optional(Type.String({ pattern: '^[0-9]{1,15}$', maxLength: 15 })),
    status: Type.Optional(
      Type.Unsafe<'active' | 'released'>({ type: 'string', enum: ['active', 'released'] }),
    ),
  },
  { additionalProperties: false },
);
export type ListPorts = Static<typeof ListPorts>;
