/**
 * Pages of lists. A cursor is opaque to clients: the values of the last row that the next page goes on after.
 */
import { BerthError } from '@berth/contract';

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

type CursorValue = string | number | null;

/**
 * @param rows one more than `limit` where there are more
 * @param position the values by which the list is sorted, the last of them unique
 */
export function pageOf<Row, Item>(
  rows: Row[],
  limit: number,
  position: (row: Row) => CursorValue[],
  present: (row: Row) => Item,
): Page<Item> {
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return {
    items: rows.slice(0, limit).map(present),
    next_cursor:
      last === undefined ? null : Buffer.from(JSON.stringify(position(last))).toString('base64url'),
  };
}

/** @throws BerthError `bad_request` when it is not a cursor of a list with these kinds of values */
export function readCursor(
  cursor: string | undefined,
  kinds: ('string' | 'number' | 'string?')[],
): CursorValue[] | undefined {
  if (cursor === undefined) return undefined;
  // No text in the database holds a zero character, so none of a cursor can.
  const isText = (value: unknown) => typeof value === 'string' && !value.includes('\0');
  const fits = (value: unknown, kind: string | undefined) =>
    kind === 'number' ? Number.isSafeInteger(value) : isText(value) || (kind === 'string?' && value === null);
  try {
    const values: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (Array.isArray(values) && values.length === kinds.length) {
      if (values.every((value, index) => fits(value, kinds[index]))) return values as CursorValue[];
    }
  } catch {
    // Said below.
  }
  throw strangeCursor();
}

export function strangeCursor(): BerthError {
  return new BerthError('bad_request', 'cursor: is not the next_cursor of a page of this list.', {
    field: 'cursor',
    cure: 'Begin the list anew, without a cursor.',
  });
}
