/** Authorities whose user certificates open a customer's environments, and what of theirs is revoked. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { NumericId, Timestamp, listQuery, nameForPeople, page } from './common.ts';

const customer_id = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: 2147483647,
    description: 'for an administrator; default: your own',
  }),
);

export const AddSshAuthority = Type.Object(
  {
    name: nameForPeople('for people, such as "Company users"'),
    public_key: Type.String({
      minLength: 1,
      maxLength: 16384,
      description: "the one line of the authority's .pub file",
    }),
    customer_id,
  },
  { $id: 'AddSshAuthority', additionalProperties: false },
);
export type AddSshAuthority = Static<typeof AddSshAuthority>;

export const SshAuthority = Type.Object(
  {
    id: Type.Integer(),
    customer_id: Type.Integer(),
    name: Type.String(),
    type: Type.String(),
    fingerprint: Type.String({ description: 'as ssh-keygen -l shows it' }),
    public_key: Type.String(),
    created_at: Timestamp,
  },
  { $id: 'SshAuthority' },
);
export type SshAuthority = Static<typeof SshAuthority>;

export const SshAuthorityPage = page(SshAuthority, 'SshAuthorityPage');
export type SshAuthorityPage = Static<typeof SshAuthorityPage>;

export const ListSshAuthorities = listQuery({ customer_id });

/** Bytes of a revocation list; as base64 it fits in a request. */
export const largestRevocationList = 512 * 1024;

export const SetSshRevocations = Type.Object(
  {
    list: Type.String({
      pattern: '^[A-Za-z0-9+/]*={0,2}$',
      minLength: 4,
      maxLength: Math.ceil(largestRevocationList / 3) * 4,
      description: 'base64 of the file: a KRL of ssh-keygen -k, or lines of public keys',
    }),
    customer_id,
  },
  { $id: 'SetSshRevocations', additionalProperties: false },
);
export type SetSshRevocations = Static<typeof SetSshRevocations>;

export const SshRevocations = Type.Object(
  {
    customer_id: NumericId,
    list: Type.String({ description: 'base64 of the KRL' }),
    bytes: Type.Integer(),
    version: Type.String({ description: 'as whoever made the list numbered it; 0: not at all' }),
    comment: Type.String(),
    updated_at: Timestamp,
  },
  { $id: 'SshRevocations' },
);
export type SshRevocations = Static<typeof SshRevocations>;

export const OfCustomer = Type.Object({ customer_id }, { additionalProperties: false });
