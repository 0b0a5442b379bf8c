/** Who is asking. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { Timestamp } from './common.ts';

export const roles = ['admin', 'member'] as const;
export type Role = (typeof roles)[number];

export const Login = Type.Object(
  {
    account: Type.String({ minLength: 1, maxLength: 64 }),
    password: Type.String({ minLength: 1, maxLength: 1024 }),
  },
  { $id: 'Login', additionalProperties: false },
);
export type Login = Static<typeof Login>;

export const LoginToken = Type.Object(
  { token: Type.String({ description: 'shown once' }), expires_at: Timestamp },
  { $id: 'LoginToken' },
);
export type LoginToken = Static<typeof LoginToken>;

export const Whoami = Type.Object(
  {
    account: Type.String(),
    role: Type.Unsafe<Role>({ type: 'string', enum: [...roles] }),
    customer_id: Type.Integer(),
    customer: Type.String(),
  },
  { $id: 'Whoami' },
);
export type Whoami = Static<typeof Whoami>;
