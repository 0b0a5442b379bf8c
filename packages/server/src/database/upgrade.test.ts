/**
 * The upgrade from the version before the migration 002, with the database that a real server of that version left:
 * one running environment, one deleted, a public key, and a second customer.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sql } from 'kysely';
import { databases } from '../../../../test/harness/databases.ts';
import { getEnvironment, listMine, resetPassword, sshAccess } from '../environments/environments.ts';
import { keepHouse } from '../housekeeping/housekeeping.ts';
import { rotateSecrets } from '../secrets/rotation.ts';
import { listKeys } from '../ssh-keys/table.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Database } from './database.ts';
import { knownMigrations, migrate } from './migrate.ts';

const dump = readFileSync(new URL('testing/001-first-line.sql', import.meta.url), 'utf8');
const left = {
  secretKey: '9737d046 WU4k1ZWdfclkVBLWAya9ZbPlSHJZWWP+QHK9gweHB4s=\n',
  installation: '431887d6978eb2c6',
  environment: 'kept-tt6z',
  password: 'WkFozhSdb-uNnrU6',
  port: 26290,
  hostKey: 'SHA256:0MStcTsjFcWAl5mK5hhK72TxYKpcQiqEDq1voyskWdQ',
};

async function asItWas(database: Database, folder: string): Promise<void> {
  const statements = dump.replace(/^--.*$/gm, '').split(/;\n/);
  for (const statement of statements) {
    if (statement.trim() !== '') await sql.raw(statement).execute(database);
  }
  writeFileSync(join(folder, 'secret.key'), left.secretKey, { mode: 0o600 });
}

for (const on of databases) {
  describe(`a database of the version before on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    before(async () => {
      plane = await ControlPlane.open(on, {}, undefined, asItWas);
    });
    after(() => plane.close());

    test('is brought up to date once, and stays the installation that it was', async () => {
      const { rows } = await sql<{ name: string }>`select name from migrations order by name`.execute(
        plane.database,
      );
      assert.deepEqual(
        rows.map(({ name }) => name),
        knownMigrations,
      );
      assert.deepEqual(await migrate(plane.database), []);
      assert.equal(plane.installation.id, left.installation);
    });

    test('shows its environment as before: password, port, host key and key', async () => {
      const { items } = await listMine(plane.services, plane.admin, {});
      assert.deepEqual(
        items.map(({ env_id }) => env_id),
        [left.environment],
      );
      const access = await sshAccess(plane.services, plane.admin, left.environment);
      assert.equal(access.ssh_password, left.password);
      assert.equal(access.ssh_port, left.port);
      assert.equal(access.host_keys[0]?.fingerprint, left.hostKey);
      const keys = await listKeys(plane.database, plane.admin.customerId);
      assert.deepEqual(
        keys.map(({ name }) => name),
        ['laptop'],
      );
    });

    test('uses its own volumes', async () => {
      const rows = await plane.database.selectFrom('environments').select(['id', 'storage_id']).execute();
      for (const { id, storage_id } of rows) assert.equal(storage_id, id);
    });

    test('goes on: a new environment, a new password, housekeeping, a new key ring', async () => {
      const made = await plane.create({ name: 'after' });
      assert.notEqual(made.ssh_port, left.port);
      const { ssh_password } = await resetPassword(
        plane.services,
        { principal: plane.admin, source: null },
        left.environment,
      );
      await keepHouse(plane.services);
      await rotateSecrets(plane.services, { principal: plane.admin, source: null });
      const access = await sshAccess(plane.services, plane.admin, left.environment);
      assert.equal(access.ssh_password, ssh_password);
      assert.equal((await getEnvironment(plane.services, plane.admin, made.env_id)).status, 'creating');
    });
  });
}
