/** From where environments can be reached: networks of a customer, and of single environments. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { NumericId, Timestamp, listQuery, nullable, page } from './common.ts';
import { EnvironmentId } from './environment.ts';

/** How many entries there are at most. */
export const mostAllowlistEntries = { customer: 1000, environment: 256 } as const;

const customerId = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: 2147483647,
    description: 'for an administrator; default: your own',
  }),
);
const network = Type.String({
  minLength: 1,
  maxLength: 64,
  description: 'CIDR, IPv4 or IPv6; an address without a prefix is that address alone',
});
/** One line for people; no control or invisible characters. */
const note = Type.String({
  maxLength: 200,
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff]*$',
  description: 'for people, such as "office"; at most 200 characters on one line',
});

export const AllowlistEntry = Type.Object(
  {
    id: Type.Integer(),
    customer_id: Type.Integer(),
    env_id: nullable(EnvironmentId, { description: "null: all of the customer's environments" }),
    network: Type.String({ description: 'in its shortest form' }),
    note: Type.String(),
    created_at: Timestamp,
  },
  { $id: 'AllowlistEntry' },
);
export type AllowlistEntry = Static<typeof AllowlistEntry>;
export const AllowlistPage = page(AllowlistEntry, 'AllowlistPage');
export type AllowlistPage = Static<typeof AllowlistPage>;

export const AddAllowlistEntry = Type.Object(
  {
    network,
    env_id: Type.Optional(
      Type.String({ maxLength: 41, description: "left out: all of the customer's environments" }),
    ),
    note: Type.Optional(note),
    customer_id: customerId,
  },
  { $id: 'AddAllowlistEntry', additionalProperties: false },
);
export type AddAllowlistEntry = Static<typeof AddAllowlistEntry>;

export const ListAllowlist = listQuery({
  env_id: Type.Optional(
    Type.String({ maxLength: 41, description: "what holds for it: its own entries and its customer's" }),
  ),
  customer_id: Type.Optional(NumericId),
});
export type ListAllowlist = Static<typeof ListAllowlist>;

export const CheckAllowlist = Type.Object(
  {
    address: Type.Optional(Type.String({ maxLength: 64, description: 'default: the one that asks' })),
    env_id: Type.Optional(
      Type.String({ maxLength: 41, description: "left out: the customer's environments without entries" }),
    ),
    adding: Type.Optional(
      Type.String({ maxLength: 64, description: 'a network: the answer is as if it were in the list' }),
    ),
    customer_id: customerId,
  },
  { additionalProperties: false },
);
export type CheckAllowlist = Static<typeof CheckAllowlist>;

export const AllowlistCheck = Type.Object(
  {
    address: nullable(Type.String(), {
      description: 'null: the question came through the socket on the machine itself',
    }),
    limited: Type.Boolean({ description: 'whether there is an entry; without one everybody gets in' }),
    allowed: nullable(Type.Boolean(), { description: 'whether the address gets in; null without one' }),
    covered_by: Type.Array(Type.String(), { description: 'networks that hold it' }),
  },
  { $id: 'AllowlistCheck' },
);
export type AllowlistCheck = Static<typeof AllowlistCheck>;
