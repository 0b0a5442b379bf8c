/** A Berth that is moved: backed up while it works, restored into another folder, and at work there. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Platform } from '@berth/contract';
import { routes } from '@berth/contract';
import { databases } from '../harness/databases.ts';
import { TestBerth, skipWithoutDocker } from '../harness/berth.ts';
import { Background } from '../harness/background.ts';
import { Login, eventually, execute } from '../harness/ssh.ts';

const command = fileURLToPath(new URL('../../packages/cli/bin/berth.mjs', import.meta.url));
const movesTo = databases.find(({ name, skip }) => name === 'PostgreSQL' && skip === false);

describe('a Berth that is moved', { skip: skipWithoutDocker }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-moved-'));
  const file = join(folder, 'all.backup');
  let source: TestBerth;
  let target: TestBerth;
  let up: Background;
  before(async () => {
    source = await TestBerth.start();
    target = await TestBerth.start({ databaseUrl: (await movesTo?.create()) ?? null });
    await target.kill('SIGTERM');
    up = new Background(process.execPath, [command, 'up'], { environment: target.environment });
    await up.says(/Berth is running/, 30_000);
  });
  after(async () => {
    await up?.stop();
    await target?.remove();
    await source?.remove();
    rmSync(folder, { recursive: true });
  });

  const berth = (of: TestBerth, ...commandLine: string[]) =>
    execute(process.execPath, [command, ...commandLine, '--data-dir', of.dataDir]);
  const installation = async () => {
    const answer = await target.call<Platform>('GET', routes.platform).catch(() => undefined);
    return answer?.body.installation_id;
  };

  it('goes on in the other folder under the same ids, passwords and files', async () => {
    const { env_id: id } = await source.createRunning({ name: 'moved' });
    const was = await source.ssh(id);
    const login = new Login(was);
    const written = await login.ssh('echo kept > /gemini/code/note');
    assert.equal(written.code, 0, written.stderr);

    const backup = await berth(source, 'backup', file);
    assert.equal(backup.code, 0, backup.stderr);
    await source.kill('SIGTERM');
    const restored = await berth(target, 'restore', file, '--yes');
    assert.equal(restored.code, 0, restored.stderr);

    // The server ends by itself and `berth up` starts it again.
    await eventually(installation, (found) => found === source.installationId, 30_000);
    assert.equal(up.ended, false);
    await target.until(id, 'running');
    assert.deepEqual(await target.ssh(id), was);
    const read = await login.ssh('cat /gemini/code/note');
    assert.equal(read.stdout, 'kept\n', read.stderr);
    login.remove();
  });

  it('is refused a second time, since there are environments now, and goes on working', async () => {
    const refused = await berth(target, 'restore', file, '--yes');
    assert.equal(refused.code, 6, refused.stderr);
    assert.match(refused.stderr, /There is 1 environment here/);
    const rotated = await berth(target, 'secrets', 'rotate');
    assert.equal(rotated.code, 0, rotated.stderr);
    const { env_id: id } = await target.createRunning({ name: 'made after' });
    const login = new Login(await target.ssh(id));
    assert.equal((await login.ssh('true')).code, 0);
    login.remove();
  });
});

describe(
  'two servers on one database',
  { skip: skipWithoutDocker || (!movesTo && 'needs PostgreSQL') },
  () => {
    let one: TestBerth;
    let other: TestBerth;
    before(async () => {
      const databaseUrl = (await movesTo?.create()) ?? null;
      one = await TestBerth.start({ databaseUrl, image: null });
      other = await TestBerth.make({ databaseUrl, image: null });
      copyFileSync(join(one.dataDir, 'secret.key'), join(other.dataDir, 'secret.key'));
      assert.equal(await other.up(), true, other.log);
    });
    after(async () => {
      await other?.remove();
      await one?.remove();
    });

    it('both begin anew after a restore through one of them', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'berth-two-'));
      const run = (...commandLine: string[]) =>
        execute(process.execPath, [command, ...commandLine, '--data-dir', one.dataDir]);
      const file = join(folder, 'backup');
      assert.equal((await run('backup', file)).code, 0);
      const restored = await run('restore', file, '--yes');
      rmSync(folder, { recursive: true });
      assert.equal(restored.code, 0, restored.stderr);
      await one.ended();
      await other.ended();
      assert.equal(await one.up(), true, one.log);
      assert.equal(await other.up(), true, other.log);
    });
  },
);
