/**
 * Verifies the audit log's chain: every link's hash over every row that it sealed, the numbers of the links without a
 * gap, and no row that claims a link which did not seal it. Reads page by page, so that a log of millions takes little
 * memory and the embedded database's session stays free for others. GET /api/audit/verify calls it.
 */
import type { AuditFault, AuditVerdict, AuditVerifyLine } from '@berth/contract';
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import { LinkHash, digestBytes, firstHash, sealedColumns } from './canonical.ts';
import type { SealedFields } from './canonical.ts';
import { pruneAction } from './retention.ts';

const rowsAtOnce = 1000;
const linksAtOnce = 100;
const mostFaults = 100;
const progressMs = 500;

interface Link {
  id: number;
  /** Whether what it says of its rows' number, the first and the last fits `rowIds` and `digests`. */
  isConsistent: boolean;
  hash: Buffer;
  rowIds: number[];
  digests: Buffer;
}

type SealedRow = SealedFields & { seal_id: number };

/**
 * @param from a hash that the chain must hold
 * @returns lines of progress, at last the verdict
 */
export async function* verifyAudit(session: Session, from?: string): AsyncGenerator<AuditVerifyLine> {
  const ends = await endsOf(session);
  const findings = new Findings();
  const verdict: AuditVerdict = {
    type: 'verdict',
    whole: true,
    records: 0,
    links: 0,
    unsealed: 0,
    first_at: null,
    last_at: null,
    first_link: null,
    last_link: null,
    last_hash: null,
    records_since: null,
    faults: [],
    fault_count: 0,
  };
  const rows = new Peekable(sealedRows(session));
  let anchor: Link | undefined;
  let inAnchor: SealedRow[] = [];
  let previous: { id: number; hash: Buffer } = { id: 0, hash: firstHash };
  let toldAt = Date.now();

  for await (const link of links(session, ends.last)) {
    if (previous.id === 0 && link.id > 1) {
      // What the retention left of the link before the first: its hash.
      anchor = link;
      previous = link;
      inAnchor = await rowsOf(rows, link.id);
      if (from === hex(link.hash)) verdict.records_since = 0;
      continue;
    }
    if (link.id !== previous.id + 1)
      findings.add(
        'link_removed',
        previous.id + 1,
        null,
        `Links ${previous.id + 1} to ${link.id - 1} of the chain were removed.`,
      );
    const result = await verifyLink(link, previous.hash, rows, findings, (row) => {
      verdict.records += 1;
      if (verdict.first_at === null || row.at < verdict.first_at) verdict.first_at = row.at;
      if (verdict.last_at === null || row.at > verdict.last_at) verdict.last_at = row.at;
    });
    if (verdict.records_since !== null) verdict.records_since += result.rows;
    if (from === hex(link.hash)) verdict.records_since = 0;
    verdict.links += 1;
    verdict.first_link ??= link.id;
    verdict.last_link = link.id;
    previous = link;
    if (Date.now() - toldAt < progressMs) continue;
    toldAt = Date.now();
    const { records } = verdict;
    yield { type: 'progress', records, links: verdict.links, of_links: ends.last - ends.first + 1 };
  }
  if (previous.id < ends.last)
    findings.add(
      'link_removed',
      previous.id + 1,
      null,
      `Links ${previous.id + 1} to ${ends.last} were removed.`,
    );
  if (previous.id > 0) verdict.last_hash = hex(previous.hash);
  verdict.last_link ??= previous.id > 0 ? previous.id : null;

  // Rows beyond the last link that was there at the beginning: of links made since, or of none that ever was.
  for await (const row of strayRows(session, previous.id))
    findings.add('record_added', row.seal_id, row.id, addedAfterwards(row, row.seal_id));
  verdict.unsealed = await countUnsealed(session);
  if (from !== undefined && verdict.records_since === null)
    findings.add('hash_not_found', null, null, `No link of the chain has the hash ${from}.`);
  if (anchor && !(await isAttested(session, anchor)))
    findings.add(
      'beginning_removed',
      anchor.id,
      null,
      `The chain begins after link ${anchor.id}, and no record says that retention let go what was before.`,
    );
  else
    for (const row of inAnchor)
      findings.add('record_added', row.seal_id, row.id, addedAfterwards(row, row.seal_id));

  // What retention let go meanwhile is no fault.
  const { first } = await endsOf(session);
  const hasMoved = first > ends.first;
  const faults = hasMoved ? findings.all.filter(({ link }) => link === null || link > first) : findings.all;
  verdict.faults = faults;
  verdict.fault_count = hasMoved ? faults.length : findings.count;
  verdict.whole = verdict.fault_count === 0;
  yield verdict;
}

class Findings {
  readonly all: AuditFault[] = [];
  count = 0;

  add(kind: AuditFault['kind'], link: number | null, record: number | null, detail: string): void {
    this.count += 1;
    if (this.all.length < mostFaults) this.all.push({ kind, link, record, detail });
  }
}

/** @param count hears of each row that the link sealed */
async function verifyLink(
  link: Link,
  previousHash: Buffer,
  rows: Peekable<SealedRow>,
  findings: Findings,
  count: (row: SealedRow) => void,
): Promise<{ rows: number }> {
  const hash = new LinkHash(previousHash);
  const expected = new Map(link.rowIds.map((id, index) => [id, index]));
  const before = findings.count;
  const changed: SealedRow[] = [];
  let found = 0;
  for (let row = await rows.peek(); row && row.seal_id <= link.id; row = await rows.peek()) {
    await rows.next();
    const index = expected.get(row.id);
    if (row.seal_id !== link.id || index === undefined) {
      findings.add('record_added', row.seal_id, row.id, addedAfterwards(row, row.seal_id));
      continue;
    }
    expected.delete(row.id);
    const digest = hash.add(row);
    const sealed = link.digests.subarray(index * digestBytes, (index + 1) * digestBytes);
    if (!digest.equals(sealed)) changed.push(row);
    found += 1;
    count(row);
  }
  for (const id of expected.keys())
    findings.add('record_removed', link.id, id, `Record ${id}, which link ${link.id} sealed, was removed.`);
  const isRight = hash.digest().equals(link.hash);
  // Where all of them together are right, it is their digests that were touched.
  if (!isRight)
    for (const { id, action, at } of changed)
      findings.add(
        'record_changed',
        link.id,
        id,
        `Record ${id} (${action}, ${at}) is not what link ${link.id} sealed: it was changed.`,
      );
  if (findings.count === before && !(isRight && link.isConsistent && changed.length === 0))
    findings.add(
      'link_changed',
      link.id,
      null,
      `The hash of link ${link.id} is not that of the link before and of its records: the link, one of its records together with the link, or the link before was changed.`,
    );
  return { rows: found };
}

function addedAfterwards({ id, action }: SealedRow, link: number): string {
  return `Record ${id} (${action}) says that link ${link} sealed it, which did not: it was slipped in.`;
}

/** Whether retention says that it left this of what was before; a record that somebody slipped in is found elsewhere. */
async function isAttested(session: Session, { id, hash }: Link): Promise<boolean> {
  const { rows } = await sql<{ attested: boolean }>`
    select exists (select from audit where action = ${pruneAction}
      and detail->>'up_to_link' = ${String(id)} and detail->>'hash' = ${hex(hash)}) as attested`.execute(
    session,
  );
  return rows[0]?.attested === true;
}

async function countUnsealed(session: Session): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from audit where seal_id is null`.execute(session);
  return rows[0]?.count ?? 0;
}

async function rowsOf(rows: Peekable<SealedRow>, link: number): Promise<SealedRow[]> {
  const found: SealedRow[] = [];
  for (let row = await rows.peek(); row && row.seal_id <= link; row = await rows.peek()) {
    await rows.next();
    if (found.length < mostFaults) found.push(row);
  }
  return found;
}

async function endsOf(session: Session): Promise<{ first: number; last: number }> {
  const { rows } = await sql<{ first: number | null; last: number | null }>`
    select min(id) as first, max(id) as last from audit_seals`.execute(session);
  return { first: rows[0]?.first ?? 0, last: rows[0]?.last ?? 0 };
}

/** In the order of the chain, up to `last`. */
async function* links(session: Session, last: number): AsyncGenerator<Link> {
  for (let after = Number.MIN_SAFE_INTEGER; ;) {
    // Arrays of bigint come differently from the two databases; JSON comes alike.
    const { rows } = await sql<{
      id: number;
      consistent: boolean | null;
      hash: Uint8Array;
      ids: number[];
      digests: Uint8Array;
    }>`
      select id, hash, to_json(row_ids) as ids, row_digests as digests,
        rows = cardinality(row_ids) and first_id = row_ids[1] and last_id = row_ids[rows]
          and length(row_digests) = rows * ${sql.lit(digestBytes)} as consistent
      from audit_seals where id > ${after} and id <= ${last} order by id limit ${sql.lit(linksAtOnce)}`.execute(
      session,
    );
    for (const { id, consistent, hash, ids, digests } of rows)
      yield {
        id,
        isConsistent: consistent === true,
        hash: Buffer.from(hash),
        rowIds: ids,
        digests: Buffer.from(digests),
      };
    const end = rows.at(-1);
    if (end === undefined || rows.length < linksAtOnce) return;
    after = end.id;
  }
}

/** All rows that say they are in a link, in the order of the chain. */
async function* sealedRows(session: Session): AsyncGenerator<SealedRow> {
  for (let [link, id] = [Number.MIN_SAFE_INTEGER, 0]; ;) {
    const { rows } = await sql<SealedRow>`
      select ${sealedColumns}, seal_id from audit
      where (seal_id, id) > (${link}::bigint, ${id}::bigint)
      order by seal_id, id limit ${sql.lit(rowsAtOnce)}`.execute(session);
    yield* rows;
    const end = rows.at(-1);
    if (end === undefined || rows.length < rowsAtOnce) return;
    [link, id] = [end.seal_id, end.id];
  }
}

/** Rows of links beyond `last` that there are not. */
async function* strayRows(session: Session, last: number): AsyncGenerator<SealedRow> {
  const { rows } = await sql<SealedRow>`
    select ${sealedColumns}, seal_id from audit a
    where seal_id > ${last} and not exists (select from audit_seals s where s.id = a.seal_id)
    order by seal_id, id limit ${sql.lit(mostFaults)}`.execute(session);
  yield* rows;
}

class Peekable<T> {
  readonly #source: AsyncGenerator<T>;
  #next: Promise<IteratorResult<T, unknown>> | undefined;

  constructor(source: AsyncGenerator<T>) {
    this.#source = source;
  }

  async peek(): Promise<T | undefined> {
    this.#next ??= this.#source.next();
    const { value, done } = await this.#next;
    return done === true ? undefined : (value as T);
  }

  async next(): Promise<void> {
    await this.peek();
    this.#next = undefined;
  }
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex');
}
