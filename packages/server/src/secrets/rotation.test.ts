import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { RotatedSecrets } from '@berth/contract';
import { routes } from '@berth/contract';
import { sql } from 'kysely';
import { databases } from '../../../../test/harness/databases.ts';
import type { Actor } from '../audit/audit.ts';
import { backedUpTables } from '../backup/tables.ts';
import { sshAccess } from '../environments/environments.ts';
import { makeApp } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { KeyRing } from './key-ring.ts';
import { gatewayHostKeys } from '../control/host-keys.ts';
import { rotateSecrets } from './rotation.ts';
import { sealedColumns } from './sealed-columns.ts';

const sealedPattern = '^[0-9a-f]{8}\\.[A-Za-z0-9_-]{38,}$';

test('each column that the schema calls sealed is in the table of sealed columns, with its purpose', () => {
  const schema = readFileSync(new URL('../database/schema.ts', import.meta.url), 'utf8');
  const said = [...schema.matchAll(/\/\*\* Sealed[^*]*purpose `([a-z-]+)[^`]*`\. \*\/\n\s+(\w+):/g)].map(
    ([, purpose, column]) => `${purpose} ${column}`,
  );
  assert.ok(said.length >= 5, 'the schema was read');
  assert.equal(said.length, schema.match(/\bSealed\b/g)?.length, 'each says its purpose in the same form');
  const known = sealedColumns.map(({ column, of, purpose }) => `${purpose(...of).split(':')[0]} ${column}`);
  assert.deepEqual(known.toSorted(), said.toSorted());
});

for (const on of databases) {
  describe(`renewing the key ring on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let ids: string[];
    const actor = (): Actor => ({ principal: plane.admin, source: null });
    const keyFile = () => readFileSync(`${plane.folder}/secret.key`, 'utf8').trim().split('\n');
    const keyIds = () => keyFile().map((line) => line.split(' ')[0]);

    /** Ids of the keys that anything in any text column was sealed with. */
    const sealedWith = async () => {
      const { rows: columns } = await sql<{ table_name: string; column_name: string }>`
        select table_name, column_name from information_schema.columns
        where table_schema = current_schema() and data_type = 'text' and table_name in (${sql.join([...backedUpTables])})
      `.execute(plane.database);
      const found = new Map<string, Set<string>>();
      for (const { table_name, column_name } of columns) {
        const { rows } = await sql<{
          id: string;
        }>`select distinct split_part(${sql.ref(column_name)}, '.', 1) as id
          from ${sql.table(table_name)} where ${sql.ref(column_name)} ~ ${sealedPattern}`.execute(
          plane.database,
        );
        if (rows.length > 0) found.set(`${table_name}.${column_name}`, new Set(rows.map(({ id }) => id)));
      }
      return found;
    };

    before(async () => {
      plane = await ControlPlane.open(on);
      const { keyRing, database } = plane.services;
      await gatewayHostKeys(database, keyRing);
      ids = [];
      for (const name of ['one', 'two']) ids.push((await plane.create({ name })).env_id);
      const [id = ''] = ids;
      await database
        .updateTable('environments')
        .set({ env_vars: keyRing.seal('{"A":"b"}', `env-vars:${id}`) })
        .where('id', '=', id)
        .execute();
      await database
        .insertInto('repeatable_requests')
        .values({
          account_id: plane.admin.accountId,
          key: 'a:b',
          request_hash: Buffer.alloc(32),
          status: 202,
          answer: keyRing.seal('{}', `answer:${plane.admin.accountId}:a:b`),
        })
        .execute();
    });
    after(() => plane.close());

    test('seals everything with the new key and drops the old one', async () => {
      const before = await Promise.all(ids.map((id) => sshAccess(plane.services, plane.admin, id)));
      const [old] = keyIds();
      const app = await makeApp(plane.services);
      const { token } = await plane.account('operators', 'admin');
      const answer = await app.inject({
        method: 'POST',
        url: routes.rotateSecrets,
        headers: { authorization: `Bearer ${token}` },
      });
      await app.close();
      assert.equal(answer.statusCode, 200, answer.body);
      const { key_id, resealed, dropped } = answer.json<RotatedSecrets>();
      assert.deepEqual(dropped, [old]);
      assert.deepEqual(keyIds(), [key_id]);
      assert.equal(resealed, 9);
      const columns = await sealedWith();
      assert.deepEqual(
        [...columns.keys()].toSorted(),
        sealedColumns.map(({ table, column }) => `${table}.${column}`).toSorted(),
        'a column that holds sealed values is not in the table of sealed columns',
      );
      for (const [column, keys] of columns) assert.deepEqual([...keys], [key_id], column);
      const now = await Promise.all(ids.map((id) => sshAccess(plane.services, plane.admin, id)));
      assert.deepEqual(now, before);
      const fresh = KeyRing.open(`${plane.folder}/secret.key`);
      const row = await plane.database
        .selectFrom('repeatable_requests')
        .select('answer')
        .executeTakeFirstOrThrow();
      assert.equal(fresh.open(row.answer ?? '', `answer:${plane.admin.accountId}:a:b`), '{}');
    });

    test('that ended after the new key was made, or before the old one was dropped, loses nothing', async () => {
      const [old] = keyIds();
      plane.services.keyRing.renew();
      assert.equal(keyIds().length, 2);
      await sshAccess(plane.services, plane.admin, ids[0] ?? '');
      const broken = Object.create(plane.services.keyRing, {
        keepOnly: {
          value: () => {
            throw new Error('killed here');
          },
        },
        renew: { value: () => plane.services.keyRing.renew() },
        seal: { value: (plain: string, purpose: string) => plane.services.keyRing.seal(plain, purpose) },
        open: { value: (sealed: string, purpose: string) => plane.services.keyRing.open(sealed, purpose) },
      }) as KeyRing;
      await assert.rejects(rotateSecrets({ ...plane.services, keyRing: broken }, actor()), /killed here/);
      assert.equal(keyIds().length, 3);
      assert.ok(keyIds().includes(old));
      await sshAccess(plane.services, plane.admin, ids[0] ?? '');
      const { key_id } = await rotateSecrets(plane.services, actor());
      assert.deepEqual(keyIds(), [key_id]);
      await sshAccess(plane.services, plane.admin, ids[1] ?? '');
    });

    test('while environments are made leaves none behind', async () => {
      const made: string[] = [];
      const make = async () => {
        for (let each = 0; each < 8; each += 1)
          made.push((await plane.create({ name: `during-${made.length}-${Math.random()}` })).env_id);
      };
      const [, , { key_id }] = await Promise.all([make(), make(), rotateSecrets(plane.services, actor())]);
      assert.deepEqual(keyIds(), [key_id]);
      for (const id of made) await sshAccess(plane.services, plane.admin, id);
    });

    test('is known to another server on the same files, also for what it seals itself', async () => {
      const another = KeyRing.open(`${plane.folder}/secret.key`);
      const { key_id } = await rotateSecrets(plane.services, actor());
      assert.ok(another.seal('x', 'p').startsWith(`${key_id}.`));
      const later = KeyRing.open(`${plane.folder}/secret.key`);
      plane.services.keyRing.renew();
      assert.equal(later.open(plane.services.keyRing.seal('y', 'p'), 'p'), 'y');
    });
  });
}
