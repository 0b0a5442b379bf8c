/**
 * What stands behind the "?" of a page's address, read so that nonsense is as good as nothing.
 *
 * Each reader answers with its key whatever stands there: what a page leaves out of its search would come through unread.
 */
import { statuses } from '@berth/contract/vocabulary';
import type { Status } from '@berth/contract/vocabulary';
import { isOwnPath } from './own-path.ts';

type Search = Record<string, unknown>;

export function text<K extends string>(search: Search, key: K): { [P in K]?: string | undefined } {
  const value = search[key];
  const isText = (typeof value === 'string' || typeof value === 'number') && value !== '';
  return { [key]: isText ? String(value).slice(0, 200) : undefined } as { [P in K]?: string };
}

export function id<K extends string>(search: Search, key: K): { [P in K]?: number | undefined } {
  const value = Number(search[key]);
  return { [key]: Number.isSafeInteger(value) && value > 0 ? value : undefined } as { [P in K]?: number };
}

/** One of the keys, or one of them with "-" before it. */
export function sorting({ sort }: Search, keys: readonly string[]): { sort?: string | undefined } {
  return { sort: typeof sort === 'string' && keys.includes(sort.replace(/^-/, '')) ? sort : undefined };
}

export function states(search: Search): { status?: Status[] | undefined } {
  const given = [search['status']].flat();
  const status = statuses.filter((each) => given.includes(each));
  return { status: status.length === 0 ? undefined : status };
}

/** Where a person may be led after signing in: pages of this console, whatever somebody wrote into a link. */
export function ownPath({ from }: Search): { from?: string | undefined } {
  return { from: isOwnPath(from) ? from : undefined };
}

/** One of a few words. */
export function word<K extends string, const W extends string>(
  search: Search,
  key: K,
  words: readonly W[],
): { [P in K]?: W | undefined } {
  const value = words.find((each) => each === search[key]);
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: W });
}

export function flag<K extends string>(search: Search, key: K): { [P in K]?: true | undefined } {
  return search[key] === true || search[key] === 'true' ? ({ [key]: true } as { [P in K]?: true }) : {};
}

/** Lengths of time that end now, as the command takes them. */
export const spans = ['1h', '24h', '7d', '30d'] as const;

/** `since`: one of `spans`, or a moment as `until` is. */
export interface Period {
  since?: string | undefined;
  until?: string | undefined;
}

export function period(search: Search): Period {
  const moment = (value: unknown) =>
    typeof value === 'string' && !Number.isNaN(Date.parse(value)) ? new Date(value).toISOString() : undefined;
  const since = spans.find((each) => each === search['since']) ?? moment(search['since']);
  const until = moment(search['until']);
  return { ...(since === undefined ? {} : { since }), ...(until === undefined ? {} : { until }) };
}
