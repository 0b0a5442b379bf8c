/** Lockouts of an address from one target, and bans of an address from everything. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { Timestamp, listQuery, nullable, page } from './common.ts';

const source = Type.String({ description: 'address, or the /64 network of IPv6 addresses' });
const cleared = {
  cleared_at: nullable(Timestamp, { description: 'when somebody ended it, or another one followed it' }),
  cleared_by: nullable(Type.String(), { description: 'account' }),
};

export const Lockout = Type.Object(
  {
    id: Type.Integer(),
    target: Type.String({ description: "an environment's id, an account's name, or an unknown name" }),
    env_id: nullable(Type.String()),
    customer_id: nullable(Type.Integer(), { description: 'null: of an unknown name' }),
    source,
    failures: Type.Integer(),
    locked_at: Timestamp,
    until: Timestamp,
    ...cleared,
  },
  { $id: 'Lockout' },
);
export type Lockout = Static<typeof Lockout>;
export const LockoutPage = page(Lockout, 'LockoutPage');
export type LockoutPage = Static<typeof LockoutPage>;

const all = Type.Optional(
  Type.Boolean({ default: false, description: 'also those that are over, as long as records are kept' }),
);
const ofSource = Type.Optional(Type.String({ maxLength: 64, description: 'an address' }));
export const ListLockouts = listQuery({
  all,
  env_id: Type.Optional(Type.String({ maxLength: 64 })),
  source: ofSource,
});
export type ListLockouts = Static<typeof ListLockouts>;

export const Ban = Type.Object(
  {
    id: Type.Integer(),
    source,
    failures: Type.Integer(),
    banned_at: Timestamp,
    until: Timestamp,
    ...cleared,
  },
  { $id: 'Ban' },
);
export type Ban = Static<typeof Ban>;
export const BanPage = page(Ban, 'BanPage');
export type BanPage = Static<typeof BanPage>;

export const ListBans = listQuery({ all, source: ofSource });
export type ListBans = Static<typeof ListBans>;
