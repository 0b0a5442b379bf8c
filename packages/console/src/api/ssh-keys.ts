/** Public keys, authorities that sign them, and what is revoked. */
import type {
  AddSshAuthority,
  AddSshKey,
  SetSshRevocations,
  SshAuthority,
  SshKey,
  SshRevocations,
} from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { queryOptions } from '@tanstack/react-query';
import { ApiError, call } from './client.ts';

export const addSshKey = (body: AddSshKey) => call<SshKey>('POST', routes.sshKeys, { body });

export const removeSshKey = (id: number) =>
  call<string>('DELETE', routes.sshKey, { path: { id: String(id) } });

export const addSshAuthority = (body: AddSshAuthority) =>
  call<SshAuthority>('POST', routes.sshAuthorities, { body });

export const removeSshAuthority = (id: number) =>
  call<string>('DELETE', routes.sshAuthority, { path: { id: String(id) } });

/** null: nothing is revoked. */
export const revocationsQuery = (customer_id: number) =>
  queryOptions({
    queryKey: [routes.sshRevocations, customer_id],
    queryFn: ({ signal }) =>
      call<SshRevocations>('GET', routes.sshRevocations, { query: { customer_id }, signal }).catch(
        (error: unknown) => {
          if (error instanceof ApiError && error.code === 'not_found') return null;
          throw error;
        },
      ),
  });

export const setRevocations = (body: SetSshRevocations) =>
  call<SshRevocations>('PUT', routes.sshRevocations, { body });

export const clearRevocations = (customer_id: number) =>
  call<string>('DELETE', routes.sshRevocations, { query: { customer_id } });
