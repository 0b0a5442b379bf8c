/** People and programs: accounts, their tokens and sessions, and who is asking. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { NumericId, Timestamp, listQuery, nullable, oneOf, page } from './common.ts';
import { roles, scopes } from './vocabulary.ts';

/** An account's name is part of addresses (`ssh -J ACCOUNT@host`), so it is lower case and without spaces. */
export const AccountName = Type.String({
  pattern: '^[a-z0-9][a-z0-9._-]{0,31}$',
  maxLength: 32,
  description: 'lower case letters, digits, dots, hyphens and underscores; unique on the platform',
});

const Password = Type.String({ minLength: 1, maxLength: 1024 });

export const Login = Type.Object(
  { account: Type.String({ minLength: 1, maxLength: 64 }), password: Password },
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
    account_id: Type.Integer(),
    role: oneOf(roles),
    customer_id: Type.Integer(),
    customer: Type.String(),
    scopes: Type.Array(oneOf(scopes)),
  },
  { $id: 'Whoami' },
);
export type Whoami = Static<typeof Whoami>;

export const ChangePassword = Type.Object(
  { current: Password, new: Password },
  { $id: 'ChangePassword', additionalProperties: false },
);
export type ChangePassword = Static<typeof ChangePassword>;

export const Account = Type.Object(
  {
    id: Type.Integer(),
    name: Type.String(),
    role: oneOf(roles),
    customer_id: Type.Integer(),
    customer: Type.String(),
    created_at: Timestamp,
    last_login_at: nullable(Timestamp),
    has_password: Type.Boolean({ description: 'false: only its tokens get in' }),
  },
  { $id: 'Account' },
);
export type Account = Static<typeof Account>;
export const AccountPage = page(Account, 'AccountPage');
export type AccountPage = Static<typeof AccountPage>;
export const ListAccounts = listQuery({
  customer_id: Type.Optional(NumericId),
  role: Type.Optional(oneOf(roles)),
  search: Type.Optional(Type.String({ maxLength: 64, description: 'part of the name' })),
});

export const CreateAccount = Type.Object(
  {
    name: AccountName,
    role: Type.Optional(oneOf(roles, { description: 'default member' })),
    customer_id: Type.Optional(NumericId),
    password: Type.Optional(
      nullable(Password, { description: 'left out: Berth makes one and shows it once; null: none' }),
    ),
  },
  { $id: 'CreateAccount', additionalProperties: false },
);
export type CreateAccount = Static<typeof CreateAccount>;

export const CreatedAccount = Type.Object(
  {
    ...Account.properties,
    password: nullable(Type.String(), { description: 'shown once; null when it was given or is not wanted' }),
  },
  { $id: 'CreatedAccount' },
);
export type CreatedAccount = Static<typeof CreatedAccount>;

export const UpdateAccount = Type.Object(
  { role: Type.Optional(oneOf(roles)), password: Type.Optional(nullable(Password)) },
  { $id: 'UpdateAccount', additionalProperties: false, minProperties: 1 },
);
export type UpdateAccount = Static<typeof UpdateAccount>;

export const tokenKinds = ['api', 'login', 'session'] as const;
export type TokenKind = (typeof tokenKinds)[number];

export const Token = Type.Object(
  {
    id: Type.Integer(),
    kind: oneOf(tokenKinds, { description: 'made by hand, by a login of the command, by a browser' }),
    name: Type.String(),
    account_id: Type.Integer(),
    account: Type.String(),
    scopes: Type.Array(oneOf(scopes)),
    hint: Type.String({ description: 'the beginning of the token, to know it again' }),
    created_at: Timestamp,
    expires_at: nullable(Timestamp),
    last_used_at: nullable(Timestamp),
    current: Type.Boolean({ description: 'the one that asks' }),
  },
  { $id: 'Token' },
);
export type Token = Static<typeof Token>;
export const TokenPage = page(Token, 'TokenPage');
export type TokenPage = Static<typeof TokenPage>;
export const ListTokens = listQuery({
  account_id: Type.Optional(NumericId),
  kind: Type.Optional(oneOf(tokenKinds)),
});

export const CreateToken = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 64, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$' }),
    account_id: Type.Optional(NumericId),
    scopes: Type.Optional(
      Type.Array(oneOf(scopes), { minItems: 1, uniqueItems: true, description: 'default: read and write' }),
    ),
    expires_in_days: Type.Optional(
      nullable(Type.Integer({ minimum: 1, maximum: 3650 }), { description: 'default 90; null: never' }),
    ),
  },
  { $id: 'CreateToken', additionalProperties: false },
);
export type CreateToken = Static<typeof CreateToken>;

export const CreatedToken = Type.Object(
  { ...Token.properties, token: Type.String({ description: 'shown once' }) },
  { $id: 'CreatedToken' },
);
export type CreatedToken = Static<typeof CreatedToken>;

/** RFC 8628: how the command signs in through a browser. */
export const DeviceAuthorization = Type.Object(
  {
    device_code: Type.String(),
    user_code: Type.String({ description: 'compared by the person in the browser' }),
    verification_uri: Type.String(),
    verification_uri_complete: Type.String(),
    expires_in: Type.Integer({ description: 'seconds' }),
    interval: Type.Integer({ description: 'seconds between two questions for the token' }),
  },
  { $id: 'DeviceAuthorization' },
);
export type DeviceAuthorization = Static<typeof DeviceAuthorization>;

export const RequestDevice = Type.Object(
  { name: Type.Optional(Type.String({ maxLength: 64, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]*$' })) },
  { $id: 'RequestDevice', additionalProperties: false },
);

export const RequestDeviceToken = Type.Object(
  { device_code: Type.String({ minLength: 1, maxLength: 128 }) },
  { $id: 'RequestDeviceToken', additionalProperties: false },
);

const UserCode = Type.String({ minLength: 1, maxLength: 16, description: 'as the terminal shows it' });

/** What a person compares before approving: a code that a stranger sent them comes from another address. */
export const DeviceRequest = Type.Object(
  {
    user_code: Type.String(),
    name: Type.String({ description: 'what asks, in its own words' }),
    source: nullable(Type.String(), { description: 'the address that it asks from' }),
    created_at: Timestamp,
    expires_at: Timestamp,
  },
  { $id: 'DeviceRequest' },
);
export type DeviceRequest = Static<typeof DeviceRequest>;

export const ShowDevice = Type.Object({ user_code: UserCode }, { additionalProperties: false });

export const ApproveDevice = Type.Object(
  {
    user_code: UserCode,
    approve: Type.Optional(Type.Boolean({ description: 'default true; false: refuse it' })),
  },
  { $id: 'ApproveDevice', additionalProperties: false },
);
