import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parsePublicKey } from '@berth/ssh';
import { pino } from 'pino';
import { databases } from '../../../../test/harness/databases.ts';
import { passwordOf } from '../accounts/table.ts';
import { openDataFolder } from '../data-folder.ts';
import type { DataFolder } from '../data-folder.ts';
import { openDatabase } from '../database/database.ts';
import type { OpenDatabase } from '../database/database.ts';
import { migrate } from '../database/migrate.ts';
import { KeyRing } from '../secrets/key-ring.ts';
import { accountPasswordMatches } from '../secrets/password.ts';
import { firstStart } from './first-start.ts';

for (const on of databases) {
  describe(`the first start on ${on.name}`, { skip: on.skip }, () => {
    const root = mkdtempSync(join(tmpdir(), 'berth-first-start-'));
    let url: string | null;
    let opened: OpenDatabase;
    let folder: DataFolder;
    before(async () => {
      url = await on.create();
      opened = await openDatabase({ url, folder: join(root, 'database'), logger: pino({ level: 'silent' }) });
      await migrate(opened.database);
      folder = openDataFolder(join(root, 'first'));
    });
    after(async () => {
      folder.close();
      await opened.close();
      rmSync(root, { recursive: true, force: true });
    });

    test('of servers that start at once makes one installation, whose password one of them has', async () => {
      const others = Array.from({ length: 3 }, (_, index) => openDataFolder(join(root, `other-${index}`)));
      KeyRing.open(folder.file('secret.key'));
      for (const other of others) copyFileSync(folder.file('secret.key'), other.file('secret.key'));
      const folders = [folder, ...others];
      const answers = await Promise.all(
        folders.map((each) => firstStart(opened.database, KeyRing.open(each.file('secret.key')), each)),
      );
      assert.equal(new Set(answers.map(({ installation }) => installation.id)).size, 1);
      assert.equal(answers.filter(({ firstPassword }) => firstPassword).length, 1);
      const holders = folders.filter((each) => existsSync(each.file('admin-password')));
      assert.equal(holders.length, 1);
      const file = holders[0]?.file('admin-password') ?? '';
      assert.equal(statSync(file).mode & 0o777, 0o600);
      const stored = (await passwordOf(opened.database, 'admin'))?.password_hash ?? '';
      assert.ok(await accountPasswordMatches(readFileSync(file, 'utf8').trim(), stored));
      for (const other of others) other.close();
    });

    test('makes an authority whose private key the database does not show', async () => {
      const row = await opened.database.selectFrom('installation').selectAll().executeTakeFirstOrThrow();
      assert.equal(parsePublicKey(row.authority_public).type, 'ssh-ed25519');
      assert.doesNotMatch(JSON.stringify(row), /PRIVATE KEY/);
      assert.match(row.id, /^[0-9a-f]{16}$/);
    });

    test('is followed by starts that change nothing', async () => {
      const keyRing = KeyRing.open(folder.file('secret.key'));
      const { id } = await opened.database.selectFrom('installation').select('id').executeTakeFirstOrThrow();
      const again = await firstStart(opened.database, keyRing, folder);
      assert.equal(again.installation.id, id);
      assert.equal(again.firstPassword, false);
      const accounts = await opened.database.selectFrom('accounts').select('name').execute();
      assert.deepEqual(accounts, [{ name: 'admin' }]);
    });

    test('with a key ring that is not that of the database is refused, with what to put back', async () => {
      const stranger = openDataFolder(join(root, 'stranger'));
      await assert.rejects(
        firstStart(opened.database, KeyRing.open(stranger.file('secret.key')), stranger),
        /sealed with the key [0-9a-f]{8}, which is not in secret\.key; put that key back/,
      );
      assert.ok(!existsSync(stranger.file('admin-password')));
      stranger.close();
    });
  });
}
