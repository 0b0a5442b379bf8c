/** Public keys that open the environments of their customer. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { Timestamp, listQuery, nameForPeople, nullable, page } from './common.ts';

export const AddSshKey = Type.Object(
  {
    name: nameForPeople('for people, such as "My Laptop"'),
    public_key: Type.String({ minLength: 1, maxLength: 16384, description: 'the one line of a .pub file' }),
  },
  { $id: 'AddSshKey', additionalProperties: false },
);
export type AddSshKey = Static<typeof AddSshKey>;

export const SshKey = Type.Object(
  {
    id: Type.Integer(),
    customer_id: Type.Integer(),
    name: Type.String(),
    type: Type.String(),
    fingerprint: Type.String({ description: 'as ssh-keygen -l shows it' }),
    public_key: Type.String(),
    created_at: Timestamp,
    last_used_at: nullable(Timestamp, { description: 'when it last opened an environment' }),
  },
  { $id: 'SshKey' },
);
export type SshKey = Static<typeof SshKey>;

export const SshKeyPage = page(SshKey, 'SshKeyPage');
export type SshKeyPage = Static<typeof SshKeyPage>;

export const ListSshKeys = listQuery({
  customer_id: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 2147483647,
      description: 'for an administrator; default: your own',
    }),
  ),
});
