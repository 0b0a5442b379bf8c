/** Customers, and what each may use. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { Timestamp, listQuery, nameForPeople, nullable, page } from './common.ts';
import { quotaLimits } from './vocabulary.ts';

export const Customer = Type.Object(
  {
    id: Type.Integer(),
    name: Type.String(),
    created_at: Timestamp,
    accounts: Type.Integer(),
    environments: Type.Integer(),
    password_login: Type.Boolean({ description: 'false: keys only, in all of its environments' }),
  },
  { $id: 'Customer' },
);
export type Customer = Static<typeof Customer>;
export const CustomerPage = page(Customer, 'CustomerPage');
export type CustomerPage = Static<typeof CustomerPage>;
export const ListCustomers = listQuery({
  search: Type.Optional(Type.String({ maxLength: 64, description: 'part of the name' })),
});

export const CreateCustomer = Type.Object(
  { name: nameForPeople() },
  { $id: 'CreateCustomer', additionalProperties: false },
);
export type CreateCustomer = Static<typeof CreateCustomer>;

export const UpdateCustomer = Type.Object(
  {
    name: Type.Optional(nameForPeople()),
    password_login: Type.Optional(
      Type.Boolean({ description: 'whether passwords open its environments at all' }),
    ),
  },
  { $id: 'UpdateCustomer', additionalProperties: false, minProperties: 1 },
);
export type UpdateCustomer = Static<typeof UpdateCustomer>;

const limitOf = (maximum: number, description: string) =>
  nullable(Type.Number({ minimum: 0, maximum }), { description });

/** null: no limit. */
export const Limits = Type.Object(
  {
    environments: nullable(Type.Integer({ minimum: 0, maximum: 1_000_000 }), {
      description: 'environments, running or not',
    }),
    cpu: limitOf(1_000_000, 'cores of the environments that run'),
    memory: limitOf(100_000_000, 'GiB of the environments that run'),
    gpu: nullable(Type.Integer({ minimum: 0, maximum: 1_000_000 }), {
      description: 'devices of the environments that run',
    }),
    storage: limitOf(1_000_000_000, 'GiB in all folders that last, kept ones included'),
  },
  { $id: 'Limits', additionalProperties: false },
);
export type Limits = Static<typeof Limits>;
/** The names of limits, in the order in which they are checked and shown. */
export type QuotaLimit = (typeof quotaLimits)[number];

export const SetLimits = Type.Partial(Limits, {
  $id: 'SetLimits',
  additionalProperties: false,
  minProperties: 1,
});
export type SetLimits = Static<typeof SetLimits>;

export const Quota = Type.Object(
  {
    customer_id: Type.Integer(),
    customer: Type.String(),
    limits: Limits,
    used: Type.Object({
      environments: Type.Integer(),
      cpu: Type.Number(),
      memory: Type.Number(),
      gpu: Type.Integer(),
      storage: Type.Number(),
    }),
  },
  { $id: 'Quota' },
);
export type Quota = Static<typeof Quota>;
export const QuotaPage = page(Quota, 'QuotaPage');
export type QuotaPage = Static<typeof QuotaPage>;
export const ListQuotas = listQuery({});
