/** Shapes that every resource shares. */
import Type from 'typebox';
import type { TSchema } from 'typebox';

/** RFC 3339 in UTC with milliseconds, as `Date.prototype.toISOString` writes it. */
export const Timestamp = Type.String({ format: 'date-time' });

/** A page of a list: ask again with `cursor=<next_cursor>` until that is null. */
export function page<T extends TSchema>(item: T, $id: string) {
  return Type.Object(
    { items: Type.Array(item), next_cursor: Type.Union([Type.String(), Type.Null()]) },
    { $id },
  );
}
