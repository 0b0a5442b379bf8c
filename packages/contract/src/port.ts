/** The port table: who held which port, from when to when. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { NumericId, Timestamp, listQuery, nullable, oneOf, page } from './common.ts';

export const PortMapping = Type.Object(
  {
    id: Type.Integer(),
    external_port: Type.Integer(),
    internal_port: Type.Integer(),
    env_id: Type.String(),
    customer_id: Type.Integer(),
    status: Type.Unsafe<'active' | 'released'>({ type: 'string', enum: ['active', 'released'] }),
    allocated_at: Timestamp,
    released_at: nullable(Timestamp),
  },
  { $id: 'PortMapping' },
);
export type PortMapping = Static<typeof PortMapping>;

export const PortPage = page(PortMapping, 'PortPage');
export type PortPage = Static<typeof PortPage>;

export const ListPorts = listQuery({
  status: Type.Optional(oneOf(['active', 'released'])),
  port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535, description: 'the history of this port' })),
  env_id: Type.Optional(Type.String({ maxLength: 41 })),
  customer_id: Type.Optional(NumericId),
  sort: Type.Optional(
    oneOf(['allocated_at', '-allocated_at', 'external_port', '-external_port'], {
      default: '-allocated_at',
      description: 'with "-" the greatest first',
    }),
  ),
});
export type ListPorts = Static<typeof ListPorts>;
