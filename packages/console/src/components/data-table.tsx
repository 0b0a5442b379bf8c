/**
 * A list of the API: keyset pages that are loaded as one scrolls or asks for more, columns that sort on the server, and a row
 * that leads somewhere. On a phone the columns that matter less are left out.
 */
import { Button, Center, Loader, Text, UnstyledButton } from '@mantine/core';
import { useIntersection } from '@mantine/hooks';
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react';
import { useEffect } from 'react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { useFormat } from '../i18n/format.ts';
import classes from './data-table.module.css';
import { ProblemAlert } from './problem-alert.tsx';

export interface Column<Row> {
  key: string;
  header: ReactNode;
  cell: (row: Row) => ReactNode;
  /** The key that the server sorts by. */
  sort?: string;
  /** Left out where there is no room. */
  wideOnly?: boolean;
  align?: 'right';
}

/** What an infinite query of `listQuery` gives (see ../api/list.ts). */
export interface Listing<Row> {
  rows: Row[];
  isPending: boolean;
  error: Error | null;
  hasMore: boolean;
  isLoadingMore: boolean;
  loadMore: () => void;
  reload: () => void;
}

interface Props<Row> {
  /** What the table lists, for who cannot see it. */
  label: string;
  columns: Column<Row>[];
  listing: Listing<Row>;
  rowKey: (row: Row) => string | number;
  /** In the place of no rows. */
  empty: ReactNode;
  /** How many rows there are in all, where that is known. */
  total?: number | undefined;
  /** As the server takes it: `name`, or `-name` for the greatest first. */
  sort?: string;
  onSort?: (sort: string) => void;
}

export function DataTable<Row>({ label, columns, listing, rowKey, empty, total, sort, onSort }: Props<Row>) {
  const { t } = useTranslation();
  const format = useFormat();
  const { rows, isPending, error, hasMore, isLoadingMore, loadMore, reload } = listing;
  const { ref, entry } = useIntersection({ rootMargin: '400px' });
  const isNear = entry?.isIntersecting ?? false;
  useEffect(() => {
    if (isNear && hasMore && !isLoadingMore && error === null) loadMore();
  }, [isNear, hasMore, isLoadingMore, error, loadMore]);

  if (error !== null && rows.length === 0) return <ProblemAlert error={error} retry={reload} />;
  if (isPending) {
    return (
      <Center mih="8rem">
        <Loader size="sm" aria-label={t('common.loading')} />
      </Center>
    );
  }
  if (rows.length === 0) return empty;
  return (
    <>
      <div className={classes.scroll}>
        <table aria-label={label} className={classes.table}>
          <thead>
            <tr>
              {columns.map((column) => (
                <Header key={column.key} column={column} sort={sort} onSort={onSort} />
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={rowKey(row)}>
                {columns.map(({ key, cell, wideOnly, align }) => (
                  <td key={key} data-wide-only={wideOnly} data-align={align}>
                    {cell(row)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {error !== null && <ProblemAlert error={error} retry={loadMore} />}
      <Text size="sm" c="dimmed" mt="sm" aria-live="polite">
        {!hasMore
          ? t('table.shown', { count: rows.length, rows: format.number(rows.length) })
          : total === undefined
            ? t('table.shownOfMore', { count: rows.length, rows: format.number(rows.length) })
            : t('table.shownOf', { rows: format.number(rows.length), total: format.number(total) })}
      </Text>
      {hasMore && (
        <Button
          ref={ref}
          variant="default"
          size="compact-sm"
          mt="xs"
          loading={isLoadingMore}
          onClick={loadMore}
        >
          {t('table.more')}
        </Button>
      )}
    </>
  );
}

interface HeaderProps<Row> {
  column: Column<Row>;
  sort: string | undefined;
  onSort: ((sort: string) => void) | undefined;
}

function Header<Row>({ column, sort, onSort }: HeaderProps<Row>) {
  const { header, sort: key, wideOnly, align } = column;
  if (key === undefined || onSort === undefined) {
    return (
      <th scope="col" data-wide-only={wideOnly} data-align={align}>
        {header}
      </th>
    );
  }
  const order = sort === key ? 'ascending' : sort === `-${key}` ? 'descending' : undefined;
  return (
    <th scope="col" data-wide-only={wideOnly} data-align={align} aria-sort={order ?? 'none'}>
      <UnstyledButton
        className={classes.sort}
        onClick={() => onSort(order === 'ascending' ? `-${key}` : key)}
      >
        {header}
        {order === 'ascending' && <IconArrowUp size={14} aria-hidden />}
        {order === 'descending' && <IconArrowDown size={14} aria-hidden />}
      </UnstyledButton>
    </th>
  );
}
