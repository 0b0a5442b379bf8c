/** Environments: one by one, and what can be asked of them. Their list is `useListing(routes.environments)`. */
import type {
  AddAllowlistEntry,
  AllowlistCheck,
  AllowlistEntry,
  AllowlistPage,
  ConnectionPage,
  Environment,
  EventPage,
  LockoutPage,
  NewPassword,
  Readiness,
  SshAccess,
  UpdateEnvironment,
  Usage,
} from '@berth/contract';
import { routes } from '@berth/contract/paths';
import type { UsageRange } from '@berth/contract/vocabulary';
import { queryOptions } from '@tanstack/react-query';
import { call } from './client.ts';

const keyOf = (id: string, ...parts: string[]) => [routes.environments, 'one', id, ...parts];

export const environmentQuery = (id: string) =>
  queryOptions({
    queryKey: keyOf(id),
    queryFn: ({ signal }) => call<Environment>('GET', routes.environment, { path: { id }, signal }),
  });

export const sshQuery = (id: string) =>
  queryOptions({
    queryKey: keyOf(id, 'ssh'),
    queryFn: ({ signal }) => call<SshAccess>('GET', routes.environmentSsh, { path: { id }, signal }),
  });

/** The latest lines of the timeline, newest first. */
export const eventsQuery = (id: string) =>
  queryOptions({
    queryKey: keyOf(id, 'events'),
    queryFn: ({ signal }) =>
      call<EventPage>('GET', routes.environmentEvents, {
        path: { id },
        query: { sort: '-at', limit: 200 },
        signal,
      }),
  });

export const logQuery = (id: string, tail: number) =>
  queryOptions({
    queryKey: keyOf(id, 'log', String(tail)),
    queryFn: ({ signal }) =>
      call<string>('GET', routes.environmentLogs, { path: { id }, query: { tail }, signal }),
  });

const lookAgainMs = 5000;

/** Who is connected just now. */
export const connectedQuery = (id: string) =>
  queryOptions({
    queryKey: [routes.connections, 'live', id],
    queryFn: ({ signal }) =>
      call<ConnectionPage>('GET', routes.connections, { query: { env_id: id, live: true }, signal }),
    refetchInterval: lookAgainMs,
  });

/** The curves have a point every ten seconds over an hour, and every five minutes over a day. */
export const usageQuery = (id: string, range: UsageRange) =>
  queryOptions({
    queryKey: keyOf(id, 'usage', range),
    queryFn: ({ signal }) =>
      call<Usage>('GET', routes.environmentUsage, { path: { id }, query: { range }, signal }),
    refetchInterval: range === 'hour' ? 10_000 : 60_000,
  });

export const lockoutsQuery = (id: string) =>
  queryOptions({
    queryKey: [routes.lockouts, 'of', id],
    queryFn: ({ signal }) => call<LockoutPage>('GET', routes.lockouts, { query: { env_id: id }, signal }),
    refetchInterval: lookAgainMs,
  });

/** Its own networks and its customer's. */
export const allowlistQuery = (id: string) =>
  queryOptions({
    queryKey: [routes.allowlist, 'of', id],
    queryFn: ({ signal }) =>
      call<AllowlistPage>('GET', routes.allowlist, { query: { env_id: id, limit: 1000 }, signal }),
  });

/** Whether this browser's own address gets in; `adding`: as if that network were in the list. */
export const allowlistCheckQuery = (id: string, adding: string) =>
  queryOptions({
    queryKey: [routes.allowlist, 'check', id, adding],
    queryFn: ({ signal }) =>
      call<AllowlistCheck>('GET', routes.allowlistCheck, { query: { env_id: id, adding }, signal }),
  });

/** Whether Berth reaches what it works with; where it does not, the answer is the same with another status. */
export const readinessQuery = queryOptions({
  queryKey: [routes.ready],
  queryFn: async ({ signal }) => (await (await fetch(routes.ready, { signal })).json()) as Readiness,
  refetchInterval: 30_000,
});

export const startEnvironment = (id: string) =>
  call<Environment>('POST', routes.environmentStart, { path: { id } });
export const stopEnvironment = (id: string) =>
  call<Environment>('POST', routes.environmentStop, { path: { id } });
export const restartEnvironment = (id: string) =>
  call<Environment>('POST', routes.environmentRestart, { path: { id } });
export const deleteEnvironment = (id: string, keep_storage: boolean) =>
  call<Environment>('DELETE', routes.environment, { path: { id }, query: { keep_storage } });
export const updateEnvironment = (id: string, body: UpdateEnvironment) =>
  call<Environment>('PATCH', routes.environment, { path: { id }, body });
export const resetPassword = (id: string) =>
  call<NewPassword>('POST', routes.environmentResetPassword, { path: { id } });
export const endConnection = (id: string) => call<string>('DELETE', routes.connection, { path: { id } });
export const unlock = (id: number) => call<string>('DELETE', routes.lockout, { path: { id: String(id) } });
export const addAllowlistEntry = (body: AddAllowlistEntry) =>
  call<AllowlistEntry>('POST', routes.allowlist, { body });
export const removeAllowlistEntry = (id: number) =>
  call<string>('DELETE', routes.allowlistEntry, { path: { id: String(id) } });
