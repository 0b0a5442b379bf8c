/** Lists of the API as the tables show them. */
import { useInfiniteQuery } from '@tanstack/react-query';
import type { Listing } from '../components/data-table.tsx';
import { call } from './client.ts';
import type { Query } from './client.ts';

export interface Page<Row> {
  items: Row[];
  next_cursor: string | null;
}

const rowsAPage = 100;

/**
 * Pages of a list, one after the other, by the server's own cursor.
 *
 * @param template one of contract's `routes`; it is the beginning of the query's key, so `invalidateQueries` takes it
 * @param everyMs for lists that change by themselves: how often they are asked for again while somebody looks
 */
export function useListing<Row>(template: string, query: Query = {}, everyMs?: number): Listing<Row> {
  const found = useInfiniteQuery({
    queryKey: [template, 'list', query],
    queryFn: ({ pageParam, signal }) =>
      call<Page<Row>>('GET', template, {
        query: { limit: rowsAPage, ...query, ...(pageParam === null ? {} : { cursor: pageParam }) },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    placeholderData: (before) => before,
    refetchInterval: everyMs ?? false,
  });
  return {
    rows: found.data?.pages.flatMap(({ items }) => items) ?? [],
    isPending: found.isPending,
    error: found.error,
    hasMore: found.hasNextPage,
    isLoadingMore: found.isFetchingNextPage,
    loadMore: () => void found.fetchNextPage(),
    reload: () => void found.refetch(),
  };
}

/** For a table of rows that came all at once, by another query. */
export function listingOf<Row>(
  rows: readonly Row[] | undefined,
  query?: { isPending: boolean; error: Error | null; refetch: () => unknown },
): Listing<Row> {
  return {
    rows: [...(rows ?? [])],
    isPending: query?.isPending ?? false,
    error: query?.error ?? null,
    hasMore: false,
    isLoadingMore: false,
    loadMore: () => undefined,
    reload: () => void query?.refetch(),
  };
}
