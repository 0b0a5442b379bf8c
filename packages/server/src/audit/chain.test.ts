import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { AuditExportLine, AuditVerdict, AuditVerifyLine } from '@berth/contract';
import { routes } from '@berth/contract';
import { sql } from 'kysely';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { audit } from './audit.ts';
import { canonical, canonicalJson } from './canonical.ts';
import { pruneAudit } from './retention.ts';
import { seal, startSealing } from './sealing.ts';
import { verifyAudit } from './verify.ts';

const pythonMissing = spawnSync('python3', ['--version']).error ? 'needs python3' : false;

test('the canonical form knows neither the order of members nor the time zone', () => {
  assert.equal(
    canonicalJson({ b: [1, { d: null, c: 'x' }], a: 1e21 }),
    '{"a":1e+21,"b":[1,{"c":"x","d":null}]}',
  );
  // RFC 8785, section 3.2.3: by UTF-16 units, so that a pair of surrogates comes before U+FB33.
  assert.equal(canonicalJson({ '\ufb33': 1, '\u{1f600}': 2, '\r': 3 }), '{"\\r":3,"\u{1f600}":2,"\ufb33":1}');
  const fields = {
    id: 7,
    at: '2026-02-03T04:05:06.000007Z',
    action: 'customer.create',
    outcome: 'done' as const,
    account: 'admin',
    customer_id: null,
    source: '192.0.2.1',
    target: 'a\nb',
    detail: { name: 'x' },
    attempt: null,
  };
  assert.equal(
    canonical(fields),
    '{"account":"admin","action":"customer.create","at":"2026-02-03T04:05:06.000007Z","attempt":null,' +
      '"customer_id":null,"detail":{"name":"x"},"id":7,"outcome":"done","source":"192.0.2.1","target":"a\\nb"}\n',
  );
});

for (const on of databases) {
  describe(`the chain of the audit log on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let token: string;
    before(async () => {
      plane = await ControlPlane.open(on);
      app = await makeApp(plane.services);
      ({ token } = await plane.account('operators', 'admin'));
      await seal(plane.database);
    });
    after(async () => {
      await app.close();
      await plane.close();
    });

    const write = async (count: number, text = 'x') => {
      for (let index = 0; index < count; index += 1)
        await audit(plane.database, plane.asker, { action: 'test.act', detail: { text, index } });
    };
    const links = () => plane.database.selectFrom('audit_seals').selectAll().orderBy('id').execute();
    const verdict = async (from?: string): Promise<AuditVerdict> => {
      let last: AuditVerifyLine | undefined;
      for await (const line of verifyAudit(plane.database, from)) last = line;
      assert.equal(last?.type, 'verdict');
      return last as AuditVerdict;
    };
    const faults = async (from?: string) =>
      (await verdict(from)).faults.map(({ kind, link, record }) => ({ kind, link, record }));
    const ask = (url: string) => app.inject({ url, headers: { authorization: `Bearer ${token}` } });

    class Undone extends Error {}
    /** Does to the tables what only their owner can, with their triggers off; all is taken back afterwards. */
    const behindItsBack = async (statement: string, look: (found: AuditVerdict['faults']) => void) => {
      let found: AuditVerdict['faults'] = [];
      await plane.database
        .transaction()
        .execute(async (transaction) => {
          await sql`set local session_replication_role = replica`.execute(transaction);
          await sql.raw(statement).execute(transaction);
          for await (const line of verifyAudit(transaction)) if (line.type === 'verdict') found = line.faults;
          throw new Undone();
        })
        .catch((error: unknown) => assert.ok(error instanceof Undone, String(error)));
      look(found);
      assert.deepEqual(await faults(), []);
    };

    test('gets one link for all that is waiting, and none where nothing is', async () => {
      const { length } = await links();
      await write(3);
      await seal(plane.database);
      await seal(plane.database);
      const now = await links();
      assert.equal(now.length, length + 1);
      const last = now.at(-1);
      assert.equal(last?.rows, 3);
      const { whole, last_hash, last_link, unsealed } = await verdict();
      assert.deepEqual({ whole, last_link, unsealed }, { whole: true, last_link: length + 1, unsealed: 0 });
      assert.equal(last_hash, Buffer.from(last?.hash ?? []).toString('hex'));
    });

    test('is grown each second by itself, and at the end', async () => {
      const stop = startSealing(plane.database, plane.services.logger);
      await write(1, 'by itself');
      const deadline = Date.now() + 10_000;
      while ((await verdict()).unsealed > 0) {
        assert.ok(Date.now() < deadline, 'the row is not sealed');
        await pause(20);
      }
      await write(1, 'at the end');
      await stop();
      assert.equal((await verdict()).unsealed, 0);
    });

    test('is what its description says, for who has the export only', async () => {
      await write(2, 'zwölf 漢字 \u0007 \u{1f600}');
      await seal(plane.database);
      const { body, headers } = await ask(routes.auditExport);
      assert.match(String(headers['content-type']), /^application\/jsonl/);
      const byLink = new Map<number, Record<string, unknown>[]>();
      for (const line of body.trimEnd().split('\n')) {
        const { seal_id, ...fields } = JSON.parse(line) as AuditExportLine;
        assert.ok(seal_id !== null);
        byLink.set(seal_id, [...(byLink.get(seal_id) ?? []), fields]);
      }
      let hash = Buffer.alloc(32);
      for (const [, rows] of [...byLink].toSorted(([one], [other]) => one - other)) {
        const whole = createHash('sha256').update(hash);
        for (const row of rows)
          whole.update(
            `{${Object.keys(row)
              .toSorted()
              .map((name) => `${JSON.stringify(name)}:${canonicalJson(row[name])}`)
              .join(',')}}\n`,
          );
        hash = whole.digest();
      }
      assert.equal(hash.toString('hex'), (await verdict()).last_hash);
    });

    test('is verified by the program in its description', { skip: pythonMissing }, async () => {
      const page = readFileSync(new URL('../../../../docs/audit.md', import.meta.url), 'utf8');
      const program = /```python\n([^`]*)```/.exec(page)?.[1] ?? '';
      await write(1, 'zwölf 漢字 \u0007\u2028 \u{1f600} "\\ \u007f');
      await seal(plane.database);
      await write(1, 'not sealed');
      const { body } = await ask(routes.auditExport);
      const { stdout, stderr } = spawnSync('python3', ['-c', program], { input: body, encoding: 'utf8' });
      assert.equal(stdout.trim(), (await verdict()).last_hash, stderr);
      await seal(plane.database);
    });

    test('comes out the same in another time zone', async () => {
      await plane.database.transaction().execute(async (transaction) => {
        await sql`set local time zone 'Asia/Kathmandu'`.execute(transaction);
        for await (const line of verifyAudit(transaction))
          if (line.type === 'verdict') assert.deepEqual(line.faults, []);
      });
    });

    test('names a record that was changed', async () => {
      const [row] = await plane.database
        .selectFrom('audit')
        .select(['id', 'seal_id'])
        .where('action', '=', 'test.act')
        .execute();
      for (const change of [
        `detail = '{"text": "x", "index": 7}'`,
        `source = '198.51.100.1'`,
        `at = at + interval '1 microsecond'`,
        `outcome = 'refused'`,
        `attempt = 'another'`,
      ])
        await behindItsBack(`update audit set ${change} where id = ${row?.id}`, (found) =>
          assert.deepEqual(
            found.map(({ kind, link, record }) => ({ kind, link, record })),
            [{ kind: 'record_changed', link: row?.seal_id, record: row?.id }],
          ),
        );
    });

    test('names a record that was removed, moved or taken out of its link', async () => {
      const [row] = await plane.database
        .selectFrom('audit')
        .select(['id', 'seal_id'])
        .where('action', '=', 'test.act')
        .execute();
      const removed = { kind: 'record_removed', link: row?.seal_id, record: row?.id };
      const kinds = (found: AuditVerdict['faults']) =>
        found.map(({ kind, link, record }) => ({ kind, link, record }));
      await behindItsBack(`delete from audit where id = ${row?.id}`, (found) =>
        assert.deepEqual(kinds(found), [removed]),
      );
      await behindItsBack(`update audit set seal_id = null where id = ${row?.id}`, (found) =>
        assert.deepEqual(kinds(found), [removed]),
      );
      const next = (row?.seal_id ?? 0) + 1;
      await behindItsBack(`update audit set seal_id = ${next} where id = ${row?.id}`, (found) =>
        assert.deepEqual(kinds(found), [removed, { kind: 'record_added', link: next, record: row?.id }]),
      );
    });

    test('names a record that was slipped in', async () => {
      const { length } = await links();
      for (const link of [1, length, length + 5, -3])
        await behindItsBack(
          `insert into audit (id, action, outcome, seal_id) values (999999, 'slipped.in', 'done', ${link})`,
          (found) =>
            assert.deepEqual(
              found.map(({ kind, link: at, record }) => ({ kind, at, record })),
              [{ kind: 'record_added', at: link, record: 999999 }],
            ),
        );
    });

    test('shows where a link was changed or removed, its records with it or not', async () => {
      const middle = 2;
      for (const change of [
        `hash = sha256('x')`,
        `rows = rows + 1`,
        `first_id = first_id - 1`,
        `row_digests = row_digests || sha256('x')`,
        `row_digests = overlay(row_digests placing 'x'::bytea from 1)`,
      ])
        await behindItsBack(`update audit_seals set ${change} where id = ${middle}`, (found) => {
          // The link after it follows from the hash that it had.
          assert.ok(
            found.length > 0 &&
              found.every(({ kind, link }) => kind === 'link_changed' && [2, 3].includes(link ?? 0)),
            `${change}: ${JSON.stringify(found)}`,
          );
        });
      await behindItsBack(`delete from audit where seal_id = ${middle}`, (found) =>
        assert.ok(found.some(({ kind, link }) => kind === 'record_removed' && link === middle)),
      );
      await behindItsBack(`delete from audit_seals where id = ${middle}`, (found) =>
        assert.ok(found.some(({ kind, link }) => kind === 'link_removed' && link === middle)),
      );
      await behindItsBack(
        `with gone as (delete from audit where seal_id = ${middle}) delete from audit_seals where id = ${middle}`,
        (found) => assert.ok(found.some(({ kind, link }) => kind === 'link_removed' && link === middle)),
      );
      await behindItsBack(
        `with gone as (delete from audit where seal_id <= ${middle}) delete from audit_seals where id < ${middle}`,
        (found) =>
          assert.deepEqual(
            found.map(({ kind }) => kind),
            ['beginning_removed'],
          ),
      );
    });

    test('whose end was cut off, or that was made anew, no longer holds a hash that was written down', async () => {
      const { last_hash } = await verdict();
      assert.ok(last_hash);
      await write(2);
      await seal(plane.database);
      assert.equal((await verdict(last_hash)).records_since, 2);
      assert.deepEqual(await faults('00'.repeat(32)), [{ kind: 'hash_not_found', link: null, record: null }]);
      const { body } = await ask(`${routes.auditVerify}?from=${last_hash}`);
      const { whole, records_since } = JSON.parse(body.trimEnd().split('\n').at(-1) ?? '') as AuditVerdict;
      assert.deepEqual({ whole, records_since }, { whole: true, records_since: 2 });
      assert.equal((await ask(`${routes.auditVerify}?from=nonsense`)).statusCode, 400);
    });

    test('is append-only for everybody who speaks to the database', async () => {
      await write(1, 'not sealed');
      const refused = /append-only/;
      for (const statement of [
        `update audit set target = 'x'`,
        `update audit set seal_id = null`,
        `update audit set seal_id = 1, target = 'x' where seal_id is null`,
        `update audit set seal_id = seal_id + 1 where seal_id is not null`,
        `delete from audit`,
        `delete from audit where seal_id is null`,
        `truncate audit`,
        `update audit_seals set hash = sha256('x')`,
        `delete from audit_seals`,
        `truncate audit_seals`,
      ])
        await assert.rejects(sql.raw(statement).execute(plane.database), refused, statement);
      await seal(plane.database);
      assert.deepEqual(await faults(), []);
    });

    test('stays whole when retention lets its beginning go, link by link', async () => {
      const at = (days: number) => new Date(Date.now() - days * 86_400_000);
      const fresh = await ControlPlane.open(on);
      const { database } = fresh;
      const put = (days: number) =>
        database
          .insertInto('audit')
          .values({ action: 'old', outcome: 'done', detail: '{}', at: at(days) })
          .execute();
      await put(400);
      await seal(database);
      await put(399);
      await seal(database);
      await put(398);
      await put(10);
      await seal(database);
      await put(397);
      await seal(database);
      const prune = () => database.transaction().execute((transaction) => pruneAudit(transaction, 365));
      const look = async () => {
        let last: AuditVerifyLine | undefined;
        for await (const line of verifyAudit(database)) last = line;
        return last as AuditVerdict;
      };
      const before = await look();
      assert.equal(await prune(), 2, 'two links, and not the third, of which one record is young');
      assert.equal(await prune(), 0);
      const after = await look();
      assert.deepEqual(after.faults, []);
      assert.deepEqual([after.first_link, after.last_hash], [3, before.last_hash]);
      await seal(database);
      assert.deepEqual((await look()).faults, []);
      const forgotten = sql`with off as (select set_config('session_replication_role', 'replica', true))
        delete from audit where action = 'audit.prune' and (select true from off)`;
      await database.transaction().execute((transaction) => forgotten.execute(transaction));
      assert.ok((await look()).faults.some(({ kind }) => kind === 'beginning_removed'));
      await fresh.close();
    });

    test('is as whole in a backup that was restored', async () => {
      await write(1, 'not sealed when the backup is made');
      const backup = await ask(routes.backup);
      assert.equal(backup.statusCode, 200);
      const { last_hash } = await verdict();
      assert.ok(last_hash);
      const other = databases.find((each) => each !== on && each.skip === false) ?? on;
      const target = await ControlPlane.open(other);
      const restored = await makeApp(target.services);
      const chief = await target.account('operators', 'admin');
      const answer = await restored.inject({
        method: 'POST',
        url: routes.restore,
        headers: { authorization: `Bearer ${chief.token}`, 'content-type': 'application/gzip' },
        payload: backup.rawPayload,
      });
      assert.equal(answer.statusCode, 200, answer.body);
      await seal(target.database);
      let last: AuditVerifyLine | undefined;
      for await (const line of verifyAudit(target.database, last_hash)) last = line;
      const { faults: found, unsealed, records_since } = last as AuditVerdict;
      // What was not sealed, that the backup was made, and that it was restored.
      assert.deepEqual([found, unsealed, records_since], [[], 0, 3]);
      await assert.rejects(sql`delete from audit`.execute(target.database), /append-only/);
      await restored.close();
      await target.close();
    });

    // PGlite has one session.
    if (on.name === 'PostgreSQL') {
      test('grows by one server at a time, and waits for no transaction', async () => {
        const beside = await ControlPlane.open(on, {}, plane);
        const slow = await beside.database.startTransaction().execute();
        await audit(slow, plane.asker, { action: 'late.act' });
        await write(20, 'meanwhile');
        await Promise.all([
          seal(plane.database),
          seal(beside.database),
          write(20, 'more'),
          seal(plane.database),
        ]);
        await slow.commit().execute();
        await Promise.all([seal(plane.database), seal(beside.database)]);
        await seal(plane.database);
        const late = await plane.database
          .selectFrom('audit')
          .selectAll()
          .where('action', '=', 'late.act')
          .executeTakeFirstOrThrow();
        const last = (await links()).at(-1);
        assert.equal(late.seal_id, last?.id);
        assert.ok((last?.first_id ?? 0) <= late.id);
        const { faults: found, unsealed } = await verdict();
        assert.deepEqual([found, unsealed], [[], 0]);
        await beside.close();
      });
    }
  });
}
