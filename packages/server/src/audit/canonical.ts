/**
 * The canonical form of an audit record, which its link of the chain is a hash of: the JSON Canonicalization Scheme
 * (RFC 8785) over ten members, and a line feed. docs/audit.md says it for those who verify with programs of their own.
 */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { AuditOutcome } from '@berth/contract';

/** What is sealed of a row: all of it but the link that it is in. */
export interface SealedFields {
  id: number;
  /** UTC to the microsecond: `2026-02-03T04:05:06.000007Z`. */
  at: string;
  action: string;
  outcome: AuditOutcome;
  account: string | null;
  customer_id: number | null;
  source: string | null;
  target: string | null;
  detail: Record<string, unknown>;
  attempt: string | null;
}

/** The columns of `SealedFields`, from the table `audit`; whatever time zone the session has. */
export const sealedColumns = sql`id, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at,
  action, outcome, account, customer_id, source, target, detail, attempt`;

/** Before the first link. */
export const firstHash: Buffer = Buffer.alloc(32);
export const digestBytes = 32;

export function canonical(fields: SealedFields): string {
  const { id, at, action, outcome, account, customer_id, source, target, detail, attempt } = fields;
  return `${canonicalJson({ id, at, action, outcome, account, customer_id, source, target, detail, attempt })}\n`;
}

/** RFC 8785: members sorted by the UTF-16 units of their names; strings and numbers as ECMAScript writes them. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
}

/** Of one link: takes its rows one by one, in the order of their ids. */
export class LinkHash {
  readonly #whole = createHash('sha256');

  constructor(previous: Buffer) {
    this.#whole.update(previous);
  }

  /** @returns the row's own digest */
  add(fields: SealedFields): Buffer {
    const bytes = Buffer.from(canonical(fields));
    this.#whole.update(bytes);
    return createHash('sha256').update(bytes).digest();
  }

  digest(): Buffer {
    return this.#whole.digest();
  }
}
