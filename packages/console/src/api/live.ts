/**
 * Changes of the environments that this person sees, as the server tells them (GET /api/events), put into what is shown.
 *
 * Only a window that is looked at listens: browsers keep few connections to one host, for all windows together. What changed
 * meanwhile comes when it listens again.
 */
import type { Environment } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { useQueryClient } from '@tanstack/react-query';
import type { InfiniteData, QueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { environmentQuery } from './environments.ts';
import type { Page } from './list.ts';
import { sessionQuery } from './session.ts';

/** Changes in a burst load lists and counts once. */
const settleMs = 400;

/** @returns since when the server does not answer; null: it does */
export function useLiveEnvironments(): Date | null {
  const queryClient = useQueryClient();
  const [silentSince, setSilentSince] = useState<Date | null>(null);
  useEffect(() => {
    let stream: EventSource | null = null;
    const look = () => {
      if (document.hidden) {
        stream?.close();
        stream = null;
      } else if (stream === null || stream.readyState === EventSource.CLOSED) {
        stream?.close();
        stream = listen(queryClient, setSilentSince);
      }
    };
    look();
    document.addEventListener('visibilitychange', look);
    return () => {
      document.removeEventListener('visibilitychange', look);
      stream?.close();
    };
  }, [queryClient]);
  return silentSince;
}

function listen(
  queryClient: QueryClient,
  setSilentSince: (change: (before: Date | null) => Date | null) => void,
): EventSource {
  const stream = new EventSource(routes.events);
  stream.addEventListener('open', () => setSilentSince(() => null));
  const reload = () => void queryClient.invalidateQueries({ queryKey: [routes.environments] });
  stream.addEventListener('reload', reload);
  stream.addEventListener('environment', ({ data }: MessageEvent<string>) =>
    showChanged(queryClient, JSON.parse(data) as Environment),
  );
  stream.addEventListener('gone', ({ data }: MessageEvent<string>) =>
    showGone(queryClient, (JSON.parse(data) as { env_id: string }).env_id),
  );
  stream.addEventListener('error', () => {
    setSilentSince((before) => before ?? new Date());
    // The browser tries again by itself, but not after an answer that is none: then it is asked who is signed in.
    if (stream.readyState === EventSource.CLOSED)
      void queryClient.invalidateQueries({ queryKey: sessionQuery.queryKey });
  });
  return stream;
}

type Listed = InfiniteData<Page<Environment>>;

const listKey = [routes.environments, 'list'];

function showChanged(queryClient: QueryClient, environment: Environment): void {
  const { env_id: id } = environment;
  const before = queryClient.getQueryData(environmentQuery(id).queryKey);
  queryClient.setQueryData(environmentQuery(id).queryKey, environment);
  // What hangs on it: its timeline has a new line, and a start may have given it another port.
  void queryClient.invalidateQueries({ queryKey: [routes.environments, 'one', id, 'events'] });
  if (before?.ssh_port !== environment.ssh_port || before.status !== environment.status)
    void queryClient.invalidateQueries({ queryKey: [routes.environments, 'one', id, 'ssh'] });
  let listedAs: Environment | undefined;
  queryClient.setQueriesData<Listed>({ queryKey: listKey }, (listed) => {
    listedAs ??= listed?.pages.flatMap(({ items }) => items).find(({ env_id }) => env_id === id);
    return mapPages(listed, (items) => items.map((each) => (each.env_id === id ? environment : each)));
  });
  if (listedAs?.status !== environment.status || listedAs.name !== environment.name) loadSoon(queryClient);
}

function showGone(queryClient: QueryClient, id: string): void {
  queryClient.setQueriesData<Listed>({ queryKey: listKey }, (listed) =>
    mapPages(listed, (items) => items.filter(({ env_id }) => env_id !== id)),
  );
  void queryClient.invalidateQueries({ queryKey: [routes.environments, 'one', id] });
  void queryClient.invalidateQueries({ queryKey: [routes.quotas] });
  loadSoon(queryClient);
}

function mapPages(
  listed: Listed | undefined,
  change: (items: Environment[]) => Environment[],
): Listed | undefined {
  if (listed === undefined) return undefined;
  return { ...listed, pages: listed.pages.map((page) => ({ ...page, items: change(page.items) })) };
}

let timer: ReturnType<typeof setTimeout> | undefined;

/** It may belong into a list now, or no longer; and there are others of its state. */
function loadSoon(queryClient: QueryClient): void {
  timer ??= setTimeout(() => {
    timer = undefined;
    void queryClient.invalidateQueries({ queryKey: listKey });
    void queryClient.invalidateQueries({ queryKey: [routes.environmentSummary] });
  }, settleMs);
}
