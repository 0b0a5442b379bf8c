import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { Problem, Restored, SshAccess } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { sql } from 'kysely';
import { databases } from '../../../../test/harness/databases.ts';
import { migrate } from '../database/migrate.ts';
import { sshAccess } from '../environments/environments.ts';
import { makeApp } from '../http/app.ts';
import type { App, Services } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { backedUpTables } from './tables.ts';

interface Berth {
  plane: ControlPlane;
  app: App;
  chief: Account;
  /** How often a restart was asked for. */
  restarts: () => number;
}

async function openBerth(on: (typeof databases)[number]): Promise<Berth> {
  const plane = await ControlPlane.open(on);
  let restarts = 0;
  const lifecycle: Services['lifecycle'] = {
    pauseReconciler: () => Promise.resolve(() => Promise.resolve()),
    restart: () => (restarts += 1),
  };
  const app = await makeApp(plane.with({}, { lifecycle }));
  return { plane, app, chief: await plane.account('operators', 'admin'), restarts: () => restarts };
}

async function closeBerth({ app, plane }: Berth): Promise<void> {
  await app.close();
  await plane.close();
}

const bearer = ({ token }: Account) => ({ authorization: `Bearer ${token}` });

async function takeBackup({ app, chief }: Berth): Promise<Buffer> {
  const answer = await app.inject({ method: 'GET', url: routes.backup, headers: bearer(chief) });
  assert.equal(answer.statusCode, 200, answer.body);
  assert.equal(answer.headers['content-type'], 'application/gzip');
  assert.equal(answer.headers['cache-control'], 'no-store');
  assert.equal(answer.rawPayload.length, Number(answer.headers['content-length']));
  return answer.rawPayload;
}

const putBack = ({ app, chief }: Berth, file: Buffer, query = '') =>
  app.inject({
    method: 'POST',
    url: `${routes.restore}${query}`,
    headers: { ...bearer(chief), 'content-type': 'application/gzip' },
    payload: file,
  });

/** The file with other lines, and with a hash and counts that fit them unless `end` says otherwise. */
function forge(file: Buffer, change: (lines: string[]) => string[], end?: (end: string) => string): Buffer {
  const [last = '', ...lines] = gunzipSync(file).toString('utf8').trimEnd().split('\n').toReversed();
  const changed = change(lines.toReversed());
  const text = changed.map((line) => `${line}\n`).join('');
  const rows: Record<string, number> = {};
  let table = '';
  for (const line of changed) {
    const name = /^\{"table":"(.*)"\}$/.exec(line)?.[1];
    if (name !== undefined) rows[(table = name)] = 0;
    if (line.startsWith('{"row":')) rows[table] = (rows[table] ?? 0) + 1;
  }
  const sha256 = createHash('sha256').update(text).digest('hex');
  const closing = end ? end(last) : JSON.stringify({ end: { rows, sha256 } });
  const forged = gzipSync(`${text}${closing}\n`);
  forged.set([0, 255], 8);
  return forged;
}

/** Everything that the database and the key ring hold, as one text; but not when a token was used last, as by asking. */
async function everything({ plane }: Berth): Promise<string> {
  const parts = [readFileSync(`${plane.folder}/secret.key`, 'utf8')];
  for (const table of backedUpTables) {
    const { rows } = await sql<{ row: string }>`
      select to_json(t)::text as row from ${sql.table(table)} t order by 1`.execute(plane.database);
    parts.push(table, ...rows.map(({ row }) => row.replace(/"last_used_at":"[^"]*"/, '"last_used_at":null')));
  }
  return parts.join('\n');
}

test('a backup holds every table that there is', async () => {
  const [on] = databases;
  assert.ok(on);
  const plane = await ControlPlane.open(on);
  const { rows } = await sql<{ tablename: string }>`
    select tablename from pg_tables where schemaname = current_schema() and tablename <> 'migrations'`.execute(
    plane.database,
  );
  await plane.close();
  assert.deepEqual(rows.map(({ tablename }) => tablename).toSorted(), [...backedUpTables].toSorted());
});

for (const [index, on] of databases.entries()) {
  /** The other kind where there is one: a backup does not depend on the database. */
  const other = databases[(index + 1) % databases.length] ?? on;
  const target = other.skip === false ? other : on;

  describe(`a backup on ${on.name}, restored on ${target.name}`, { skip: on.skip }, () => {
    let source: Berth;
    /** Empty until the first restore; then with the accounts of the source. */
    let berth: Berth;
    before(async () => {
      source = await openBerth(on);
      berth = await openBerth(target);
    });
    after(async () => {
      await closeBerth(berth);
      await closeBerth(source);
    });

    test('that is not whole is refused with a sentence, and nothing changes', async () => {
      const file = await takeBackup(source);
      const was = await everything(berth);
      const refuse = async (damaged: Buffer, what: string, said = /./) => {
        const answer = await putBack(berth, damaged);
        assert.equal(answer.statusCode, 422, `${what}: ${answer.body}`);
        const { code, detail } = answer.json<Problem>();
        assert.equal(code, 'bad_backup', what);
        assert.match(detail, said, what);
        assert.match(detail, /^The .*\.$/, what);
      };
      for (let part = 0; part < 50; part += 1) {
        await refuse(file.subarray(0, Math.floor((file.length * part) / 50)), `${part}/50 of it`);
      }
      const places = [
        ...Array(12).keys(),
        ...Array.from({ length: 50 }, (_, part) => 12 + Math.floor(((file.length - 13) * part) / 49)),
      ];
      for (const place of places) {
        const flipped = Buffer.from(file);
        flipped.writeUInt8(flipped.readUInt8(place) ^ 0xff, place);
        await refuse(flipped, `byte ${place} of ${file.length}`);
      }
      await refuse(Buffer.from('{"berth_backup": 1}'), 'no gzip', /it is not a gzip file/);
      await refuse(Buffer.concat([file, Buffer.from('x')]), 'a byte more', /is cut off|something follows/);
      await refuse(Buffer.concat([file, file]), 'twice', /comes after its end/);
      const head = (line: string, change: object) =>
        JSON.stringify({ ...(JSON.parse(line) as object), ...change });
      const first = (change: object) =>
        forge(file, ([line = '', ...lines]) => [head(line, change), ...lines]);
      await refuse(
        first({ berth_backup: 2 }),
        'another format',
        /the format 2; this Berth reads the format 1/,
      );
      await refuse(first({ berth_backup: undefined }), 'something else', /its first line is another/);
      await refuse(
        first({ migrations: ['001-first-line', '999-future'] }),
        'newer',
        /made by a newer Berth .*999-future/,
      );
      await refuse(first({ migrations: ['002-people-and-catalogues'] }), 'no state', /never was/);
      await refuse(
        forge(file, (lines) => lines.filter((line) => !line.startsWith('{"row":'))),
        'without rows',
        /holds no installation/,
      );
      await refuse(
        forge(
          file,
          (lines) => lines.slice(0, -1),
          (end) => end,
        ),
        'a row less',
        /what it holds is not what was written/,
      );
      await refuse(
        forge(file, (lines) => [...lines, '{"table":"pg_class"}', '{"row":{"relname":"x"}}']),
        "the database's own table",
        /a table pg_class, which there is not/,
      );
      assert.equal(await everything(berth), was);
      assert.equal(berth.restarts(), 0);
    });

    test('whose key ring is another is refused', async () => {
      const file = await takeBackup(source);
      const own = readFileSync(`${berth.plane.folder}/secret.key`, 'utf8').trim();
      const forged = forge(file, ([head = '', , ...rest]) => [
        head,
        JSON.stringify({ key_ring: own }),
        ...rest,
      ]);
      const answer = await putBack(berth, forged);
      assert.equal(answer.statusCode, 422, answer.body);
      assert.match(answer.json<Problem>().detail, /key ring does not open its secrets/);
    });

    test('taken under a stream of creations has everything that was answered before, and opens it', async () => {
      const { plane } = source;
      const alice = await plane.account('alice');
      const names = Array.from({ length: 40 }, (_, each) => `stream-${each}`);
      const answered: string[] = [];
      const makeSome = async () => {
        for (let name = names.shift(); name !== undefined; name = names.shift()) {
          answered.push((await plane.create({ name }, plane.services, alice.principal)).env_id);
        }
      };
      const stream = Promise.all([makeSome(), makeSome(), makeSome()]);
      while (answered.length < 10) await new Promise((resolve) => setImmediate(resolve));
      const before = [...answered];
      const file = await takeBackup(source);
      await stream;

      const answer = await putBack(berth, file);
      assert.equal(answer.statusCode, 200, answer.body);
      const restored = answer.json<Restored>();
      assert.equal(restored.installation_id, plane.installation.id);
      assert.ok((restored.rows['environments'] ?? 0) >= before.length);
      assert.equal(berth.restarts(), 1, 'it starts again');
      berth.chief = source.chief;
      for (const id of before) {
        const was = await sshAccess(plane.services, plane.admin, id);
        const is = await sshAccess(berth.plane.services, berth.plane.admin, id);
        assert.deepEqual(is, was);
      }
      const shown = await berth.app.inject({
        method: 'GET',
        url: pathOf(routes.environmentSsh, { id: before[0] ?? '' }),
        headers: bearer(alice),
      });
      assert.equal(shown.statusCode, 200, "the people's tokens are those of the backup");
      assert.match(shown.json<SshAccess>().ssh_password, /^.{16}$/);
      const next = await berth.plane.create({ name: 'after' }, berth.plane.services, berth.plane.admin);
      assert.ok(!before.includes(next.env_id), 'ids and sequences go on');
      const acts = await berth.plane.database.selectFrom('audit').select(['action', 'target']).execute();
      assert.ok(
        acts.some(({ action, target: of }) => action === 'backup.restore' && of === plane.installation.id),
      );
    });

    test('that is restored where there are environments needs a word', async () => {
      const file = await takeBackup(source);
      await berth.plane.create({ name: 'in the way' });
      const was = await everything(berth);
      const refused = await putBack(berth, file);
      assert.equal(refused.statusCode, 409, refused.body);
      assert.equal(refused.json<Problem>().code, 'in_use');
      assert.match(refused.json<Problem>().detail, /^There are \d+ environments here/);
      assert.equal(await everything(berth), was);
      assert.equal(berth.restarts(), 1, 'as after the first');
      assert.equal((await putBack(berth, file, '?replace=true')).statusCode, 200);
      const names = await berth.plane.database.selectFrom('environments').select('name').execute();
      assert.ok(!names.some(({ name }) => name === 'in the way'));
      const leases = await berth.plane.database
        .selectFrom('environments')
        .select('lease_owner')
        .distinct()
        .where('status', '<>', 'deleted')
        .execute();
      assert.deepEqual(leases, [{ lease_owner: berth.plane.services.folder.serverId }]);
    });

    test('of the version before is restored and brought up to date', async () => {
      const alice = await source.plane.account('before');
      const { env_id: id } = await source.plane.create(
        { name: 'old' },
        source.plane.services,
        alice.principal,
      );
      const file = await takeBackup(source);
      const tables = new Map<string, string[]>();
      const { rows } = await sql<{ table: string; columns: string[] }>`
        select table_name as table, json_agg(column_name) as columns from information_schema.columns
        where table_schema = current_schema() group by 1`.execute(source.plane.database);
      for (const { table, columns } of rows)
        tables.set(
          table,
          columns.filter((column) => !added(table, column)),
        );
      let table = '';
      const old = forge(file, ([head = '', ...lines]) => [
        JSON.stringify({ ...(JSON.parse(head) as object), migrations: ['001-first-line'] }),
        ...lines.flatMap((line) => {
          table = /^\{"table":"(.*)"\}$/.exec(line)?.[1] ?? table;
          if (table !== '' && isNew(table)) return [];
          if (!line.startsWith('{"row":')) return [line];
          const { row } = JSON.parse(line) as { row: Record<string, unknown> };
          const kept = Object.entries(row).filter(([column]) => tables.get(table)?.includes(column));
          return [JSON.stringify({ row: Object.fromEntries(kept) })];
        }),
      ]);
      const answer = await putBack(berth, old, '?replace=true');
      assert.equal(answer.statusCode, 200, answer.body);
      const row = await berth.plane.database
        .selectFrom('environments')
        .select(['storage_id', 'env_var_names'])
        .where('id', '=', id)
        .executeTakeFirstOrThrow();
      assert.deepEqual(row, { storage_id: id, env_var_names: [] });
      assert.deepEqual(await migrate(berth.plane.database), []);
      const { services, admin } = source.plane;
      assert.deepEqual(
        (await sshAccess(berth.plane.services, berth.plane.admin, id)).ssh_password,
        (await sshAccess(services, admin, id)).ssh_password,
      );
    });

    test('is for administrators only, and takes nothing but a backup', async () => {
      const chief = await source.plane.account('chiefs', 'admin');
      const nothing = await source.app.inject({
        method: 'POST',
        url: routes.restore,
        headers: bearer(chief),
      });
      assert.equal(nothing.statusCode, 422, nothing.body);
      assert.equal(nothing.json<Problem>().code, 'bad_backup');
      const member = await source.plane.account('alice').catch(async () => source.plane.account('bob'));
      for (const [method, url] of [
        ['GET', routes.backup],
        ['POST', routes.restore],
        ['POST', routes.rotateSecrets],
      ] as const) {
        const answer = await source.app.inject({ method, url, headers: bearer(member) });
        assert.equal(answer.statusCode, 403, `${method} ${url}`);
      }
      const json = await source.app.inject({
        method: 'POST',
        url: routes.environments,
        headers: { ...bearer(member), 'content-type': 'application/gzip' },
        payload: Buffer.from('x'),
      });
      assert.equal(json.statusCode, 415, json.body);
    });
  });
}

/** What the migration 002 made. */
const firstColumns = readFileSync(new URL('../database/testing/001-first-line.sql', import.meta.url), 'utf8');

function isNew(table: string): boolean {
  return !firstColumns.includes(`CREATE TABLE public.${table} (`);
}

/** Whether the column is not yet in the tables of the first migration. */
function added(table: string, column: string): boolean {
  const [, columns = ''] =
    new RegExp(`CREATE TABLE public\\.${table} \\(([^;]*)\\);`).exec(firstColumns) ?? [];
  return !new RegExp(`^ {4}${column} `, 'm').test(columns);
}
