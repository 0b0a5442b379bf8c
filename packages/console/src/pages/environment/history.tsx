/** The timeline: what was asked, what Berth did, what went wrong. */
import type { Environment, EnvironmentEvent } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { Button, Loader, Text } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { call } from '../../api/client.ts';
import type { Page } from '../../api/list.ts';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import { useFormat } from '../../i18n/format.ts';
import { useServerWords } from '../../i18n/server-words.ts';
import classes from './history.module.css';

export function History({ environment: { env_id: id } }: { environment: Environment }) {
  const { t } = useTranslation();
  const format = useFormat();
  const words = useServerWords();
  const { data, error, isPending, hasNextPage, isFetchingNextPage, fetchNextPage, refetch } =
    useInfiniteQuery({
      queryKey: [routes.environments, 'one', id, 'events', 'pages'],
      queryFn: ({ pageParam, signal }) =>
        call<Page<EnvironmentEvent>>('GET', routes.environmentEvents, {
          path: { id },
          query: { sort: '-at', limit: 100, ...(pageParam === null ? {} : { cursor: pageParam }) },
          signal,
        }),
      initialPageParam: null as string | null,
      getNextPageParam: (page) => page.next_cursor,
    });
  const days = Map.groupBy(data?.pages.flatMap(({ items }) => items) ?? [], ({ at }) => format.day(at));
  return (
    <Section title={t('environment.history')}>
      <ProblemAlert error={error} retry={() => void refetch()} />
      {isPending && <Loader size="sm" aria-label={t('common.loading')} />}
      {[...days].map(([day, events]) => (
        <section key={day} aria-label={day}>
          <Text size="sm" fw={500} mt="md" mb="xs">
            {day}
          </Text>
          <ol className={classes.list}>
            {events.map(({ id: line, at, kind, message, status }) => (
              <li key={line} className={classes.line} data-kind={kind} data-status={status}>
                <time dateTime={at}>{format.clock(at)}</time>
                <span>{t(`eventKind.${kind}`)}</span>
                <span className={classes.message}>{words(message)}</span>
              </li>
            ))}
          </ol>
        </section>
      ))}
      {hasNextPage && (
        <Button
          variant="default"
          size="compact-sm"
          mt="md"
          loading={isFetchingNextPage}
          onClick={() => void fetchNextPage()}
        >
          {t('table.more')}
        </Button>
      )}
    </Section>
  );
}
