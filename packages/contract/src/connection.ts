/** Connections: who came in by SSH, from where, for how long, and how much went over it. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { NumericId, Timestamp, listQuery, nullable, oneOf, page } from './common.ts';
import { loginMethods, waysIn } from './vocabulary.ts';

export const Connection = Type.Object(
  {
    id: Type.String(),
    env_id: Type.String(),
    customer_id: Type.Integer(),
    account: nullable(Type.String(), { description: 'null: not known, as with the password' }),
    method: oneOf(loginMethods),
    fingerprint: nullable(Type.String(), { description: 'of the key' }),
    key_name: nullable(Type.String(), { description: 'name of the key, or key id of the certificate' }),
    way: oneOf(waysIn),
    source: Type.String({ description: 'address' }),
    source_port: Type.Integer(),
    client: Type.String({ description: "the client's own words" }),
    started_at: Timestamp,
    ended_at: nullable(Timestamp, { description: 'null: it is there' }),
    end_reason: nullable(Type.String()),
    bytes_in: Type.Integer({ description: 'wire bytes from the client' }),
    bytes_out: Type.Integer({ description: 'wire bytes to the client' }),
    channels: Type.Integer({ description: 'opened so far' }),
    open_channels: Type.Integer(),
    gateway: nullable(Type.String(), { description: "null: straight to the container's sshd" }),
  },
  { $id: 'Connection' },
);
export type Connection = Static<typeof Connection>;
export const ConnectionPage = page(Connection, 'ConnectionPage');
export type ConnectionPage = Static<typeof ConnectionPage>;

export const ListConnections = listQuery({
  live: Type.Optional(Type.Boolean({ description: 'those that are there, or those that are over' })),
  env_id: Type.Optional(Type.String({ maxLength: 41 })),
  customer_id: Type.Optional(NumericId),
  account: Type.Optional(Type.String({ maxLength: 64 })),
  source: Type.Optional(Type.String({ maxLength: 45, description: 'address' })),
  fingerprint: Type.Optional(Type.String({ maxLength: 64, description: 'SHA256:...' })),
  method: Type.Optional(oneOf(loginMethods)),
  way: Type.Optional(oneOf(waysIn)),
  since: Type.Optional(
    Type.String({ format: 'date-time', description: 'those that were there then or later' }),
  ),
  until: Type.Optional(Type.String({ format: 'date-time', description: 'those that began before' })),
});
export type ListConnections = Static<typeof ListConnections>;
