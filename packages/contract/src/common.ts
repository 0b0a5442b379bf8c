/** Shapes that every resource shares. */
import Type from 'typebox';
import type { TSchema, TProperties } from 'typebox';

/** RFC 3339 in UTC with milliseconds, as `Date.prototype.toISOString` writes it. */
export const Timestamp = Type.String({ format: 'date-time' });

/** A page of a list: ask again with `cursor=<next_cursor>` until that is null. */
export function page<T extends TSchema>(item: T, $id: string) {
  return Type.Object(
    { items: Type.Array(item), next_cursor: Type.Union([Type.String(), Type.Null()]) },
    { $id },
  );
}

/** One of some words, as JSON Schema's `enum`. */
export function oneOf<T extends string>(values: readonly T[], options: object = {}) {
  return Type.Unsafe<T>({ type: 'string', enum: [...values], ...options });
}

export function nullable<T extends TSchema>(schema: T, options: Record<string, unknown> = {}) {
  return Type.Union([schema, Type.Null()], options);
}

/** What every list takes, beside its own filters. */
export function listQuery<T extends TProperties>(filters: T) {
  return Type.Object(
    {
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
      cursor: Type.Optional(Type.String({ maxLength: 500, description: 'next_cursor of the page before' })),
      ...filters,
    },
    { additionalProperties: false },
  );
}

/** A name for people: 1 to 64 characters, no control or invisible ones, no slashes. */
export function nameForPeople(
  description = 'for people; 1 to 64 characters, no control characters, no slashes',
) {
  return Type.String({
    minLength: 1,
    maxLength: 64,
    pattern:
      '^[^\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff/\\\\]+$',
    description,
  });
}

/** A name that is part of paths and addresses: lower case letters, digits, dots and hyphens. */
export function slug(description: string) {
  return Type.String({ pattern: '^[a-z0-9][a-z0-9.-]{0,62}$', maxLength: 63, description });
}

/**
 * What failed logins from an address are counted for: itself, or the /64 network of an IPv6 address, all of which whoever
 * has one of them mostly has.
 */
export function countedSource(address: string): string {
  const plain = address.replace(/%.*$/, '').toLowerCase();
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)?.[1];
  if (mapped !== undefined || !plain.includes(':')) return mapped ?? plain;
  const [left = '', right] = plain.split('::');
  const start = left === '' ? [] : left.split(':');
  const end = right === undefined || right === '' ? [] : right.split(':');
  // A dotted end is two groups; it is beyond the network.
  const given = start.length + end.length + (plain.includes('.') ? 1 : 0);
  const groups = [...start, ...Array.from({ length: Math.max(0, 8 - given) }, () => '0'), ...end].slice(0, 4);
  return `${groups.map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/64`;
}

export const NumericId = Type.Integer({ minimum: 1, maximum: 2147483647 });
