import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeEnvironment, makeSshAccess } from '../testing/server-double.ts';
import { greeting, readFirstLogin, shortGreeting } from './greeting.ts';
import type { ServerReady } from './server-process.ts';

const ready: ServerReady = {
  type: 'ready',
  publicUrl: 'http://127.0.0.1:8080',
  httpAddress: 'http://127.0.0.1:8080',
  socketPath: '/home/somebody/.local/share/berth/berth.sock',
  dataDir: '/home/somebody/.local/share/berth',
  firstPassword: true,
  sshHost: 'localhost',
  sharedPort: 2222,
  sshCiphers: { name: 'addon', reason: 'built on OpenSSL 3.5.4' },
};
const login = { account: 'admin', password: 'First-Password-1', path: `${ready.dataDir}/admin-password` };

test('the block holds every way in and fits 80 columns', () => {
  const environment = makeEnvironment('demo', 'running');
  const access = makeSshAccess(environment);
  const block = greeting(ready, 'ssh ENVIRONMENT@localhost -p 2222', login, { environment, access });
  const facts = [
    'http://127.0.0.1:8080/api/docs',
    'admin',
    login.password,
    login.path,
    access.ssh_command,
    access.ssh_password,
    access.sftp_url,
    access.shared_port_command,
  ];
  for (const fact of [
    ...facts,
    '  Host demo-7f3k',
    '    User developer',
    'npx berth ssh --password demo-7f3k',
  ]) {
    assert.ok(block.includes(fact ?? 'null'), fact ?? 'null');
  }
  for (const line of block.split('\n')) assert.ok(line.length <= 80, line);
});

test('a demo that does not run says what to do', () => {
  const stopped = makeEnvironment('demo', 'stopped');
  assert.match(
    greeting(ready, 'ssh ENVIRONMENT@localhost -p 2222', login, { environment: stopped, access: null }),
    /is stopped\.\n  Start it  npx berth start demo-7f3k --wait/,
  );
  const failure = { code: 'x', cause: 'The image is gone.', cure: 'Build it again.' };
  const failed = makeEnvironment('demo', 'failed', { failure });
  assert.match(
    greeting(ready, 'ssh ENVIRONMENT@localhost -p 2222', login, { environment: failed, access: null }),
    /Cause  The image is gone\.\n +Build it again\./,
  );
});

test('without a demo only the address, the folder and what comes next are said', () => {
  const text = shortGreeting(ready, null);
  for (const fact of ['http://127.0.0.1:8080/api/docs', ready.dataDir, 'npx berth create NAME'])
    assert.ok(text.includes(fact));
  assert.ok(!greeting(ready, null, undefined, undefined).includes('Password'));
});

test('what SSH packets are sealed with is said, and why it is the slower one', () => {
  assert.match(
    greeting(ready, 'ssh ENVIRONMENT@localhost -p 2222', login, undefined),
    /SSH ciphers  native, built on OpenSSL 3\.5\.4\n/,
  );
  const reason = 'there was no C compiler (cc) to build the addon with';
  const slower = shortGreeting({ ...ready, sshCiphers: { name: 'node:crypto', reason } }, null);
  assert.match(slower, /SSH ciphers  node:crypto, which is slower, since\n +there was no C compiler/);
});

test('the first password is read as long as its file stands', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-greeting-'));
  assert.equal(readFirstLogin(folder), undefined);
  writeFileSync(join(folder, 'admin-password'), 'First-Password-1\n');
  assert.equal(readFirstLogin(folder)?.password, 'First-Password-1');
  rmSync(folder, { recursive: true });
});
