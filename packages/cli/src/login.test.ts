/** Signing in, and which Berth is asked afterwards. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fullServer, demo } from './testing/full-server.ts';
import { berth } from './testing/run.ts';
import { ServerDouble, json, problem } from './testing/server-double.ts';

const me = {
  account: 'alice',
  account_id: 2,
  role: 'member',
  customer_id: 1,
  customer: 'main',
  scopes: ['read', 'write'],
};

/** A Berth elsewhere, and a machine with a configuration folder of its own and nothing set. */
async function elsewhere() {
  const server = await ServerDouble.start('port');
  server.hold(demo);
  server.answers.set('GET /api/whoami', (response, asked) =>
    asked.headers.authorization === 'Bearer berth_good'
      ? json(me)(response, asked)
      : problem('unauthorized', 'Nobody has this token.')(response, asked),
  );
  server.answers.set('DELETE /api/session', (response) => response.writeHead(204).end());
  const environment = { XDG_CONFIG_HOME: join(server.folder, 'config'), BERTH_DATA_DIR: undefined };
  return {
    server,
    environment,
    file: join(server.folder, 'config', 'berth', 'profiles.yaml'),
    run: (args: string[], stdin = '') => berth(args, { environment, stdin }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

test('a token from stdin is tried, kept in a closed file, used from then on, and ended', async () => {
  await using there = await elsewhere();
  const { server, file, run } = there;
  const signedIn = await run(['login', `${server.url}/`, '--token', '--profile', 'work'], 'berth_good\n');
  assert.equal(signedIn.exitCode, 0, signedIn.stderr);
  assert.match(signedIn.stdout, /^Signed in to http:\/\/127\.0\.0\.1:\d+ as alice \(member of main\)\./);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(join(file, '..')).mode & 0o777, 0o700);
  assert.doesNotMatch(signedIn.stdout + signedIn.stderr, /berth_good/);

  assert.equal((await run(['show', 'demo'])).exitCode, 0);
  assert.equal(server.asked.at(-1)?.headers.authorization, 'Bearer berth_good');
  const whoami = await run(['whoami']);
  assert.match(whoami.stdout, /Berth +http:\/\/127\.0\.0\.1:\d+, since it is the profile in use/);
  assert.match((await run(['profiles', 'list'])).stdout, /\n\* +work +http:\/\/127/);

  assert.equal((await run(['logout'])).exitCode, 0);
  assert.deepEqual([server.asked.at(-1)?.method, server.asked.at(-1)?.path], ['DELETE', '/api/session']);
  assert.doesNotMatch(readFileSync(file, 'utf8'), /berth_good/);
  const out = await run(['whoami']);
  assert.equal(out.exitCode, 5);
  assert.match(out.stderr, /The profile work is signed out[^\n]+berth login --profile work/);
});

test('a token that does not get in is not kept', async () => {
  await using there = await elsewhere();
  const refused = await there.run(['login', there.server.url, '--token'], 'berth_bad\n');
  assert.equal(refused.exitCode, 5);
  assert.ok(!existsSync(there.file));
  assert.equal((await there.run(['login', there.server.url, '--token'], '')).exitCode, 2);
  assert.equal((await there.run(['login', there.server.url, '--token'], 'a b\n')).exitCode, 2);
});

test('an account signs in with the password from stdin', async () => {
  await using there = await elsewhere();
  there.server.answers.set('POST /api/login', (response, asked) => {
    assert.deepEqual(JSON.parse(asked.body), { account: 'alice', password: 'pass word' });
    assert.equal(asked.headers['idempotency-key'], undefined);
    json({ token: 'berth_good', expires_at: '2026-02-03T04:05:06.000Z' })(response, asked);
  });
  const result = await there.run(['login', there.server.url, '--account', 'alice'], 'pass word\n');
  assert.equal(result.exitCode, 0, result.stderr);
});

/** The answers to the questions for the token, in turn; the last one for good. */
function answerInTurn(server: ServerDouble, answers: { status: number; body: object }[]): void {
  const device = {
    device_code: 'the-device',
    user_code: 'ABCD-EFGH',
    verification_uri: `${server.url}/device`,
    verification_uri_complete: `${server.url}/device?code=ABCD-EFGH`,
    expires_in: 60,
    interval: 0.05,
  };
  server.answers.set('POST /api/device/authorization', json(device));
  server.answers.set('POST /api/device/token', (response, asked) => {
    assert.deepEqual(JSON.parse(asked.body), { device_code: 'the-device' });
    const [next] = answers.length > 1 ? answers.splice(0, 1) : answers;
    response.writeHead(next?.status ?? 500, { 'content-type': 'application/json' });
    response.end(JSON.stringify(next?.body));
  });
}

test('a browser signs in: the address and the code are shown, and it waits until somebody agrees', async () => {
  await using there = await elsewhere();
  answerInTurn(there.server, [
    { status: 400, body: { error: 'authorization_pending' } },
    { status: 400, body: { error: 'authorization_pending' } },
    { status: 200, body: { token: 'berth_good' } },
  ]);
  const result = await there.run(['login', there.server.url]);
  assert.equal(result.exitCode, 0, result.stderr);
  assert.match(result.stderr, /\/device\?code=ABCD-EFGH\n[^]*ABCD-EFGH\n$/);
  assert.match(readFileSync(there.file, 'utf8'), /token: berth_good/);
});

test('a login that is refused, runs out or is interrupted leaves no profile', async (t) => {
  const ends: [string, number, RegExp][] = [
    ['access_denied', 5, /refused in the browser/],
    ['expired_token', 5, /Nobody approved the login in time/],
  ];
  for (const [error, exitCode, sentence] of ends) {
    await t.test(error, async () => {
      await using there = await elsewhere();
      answerInTurn(there.server, [{ status: 400, body: { error } }]);
      const result = await there.run(['login', there.server.url]);
      assert.equal(result.exitCode, exitCode);
      assert.match(result.stderr, sentence);
      assert.ok(!existsSync(there.file));
    });
  }
  await t.test('Ctrl-C', async () => {
    await using there = await elsewhere();
    answerInTurn(there.server, [{ status: 400, body: { error: 'authorization_pending' } }]);
    const { environment } = there;
    const result = await berth(['login', there.server.url], {
      environment,
      signalAfter: ['compare the code', 'SIGINT'],
    });
    assert.deepEqual([result.exitCode, result.stdout], [130, '']);
    assert.match(result.stderr, /berth: Not signed in\.\n$/);
    assert.ok(!existsSync(there.file));
  });
});

test('flags win over variables, variables over the profile in use, and that over the socket', async () => {
  await using there = await elsewhere();
  await using local = await fullServer();
  const { server, environment, file } = there;
  mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 });
  const url = server.url;
  const profile = `current: work\nprofiles:\n  work: { url: "${url}", token: berth_good }\n  other: { url: "${url}/other", token: berth_good }\n`;
  writeFileSync(file, profile, { mode: 0o600 });
  const askedWith = async (args: string[], variables: NodeJS.ProcessEnv) => {
    const before = [server.asked.length, local.asked.length];
    await berth(['whoami', ...args], { environment: { ...environment, ...variables } });
    if (local.asked.length > (before[1] ?? 0)) return 'socket';
    return server.asked.length > (before[0] ?? 0) ? server.asked.at(-1)?.path : 'nobody';
  };
  symlinkSync('.', join(local.folder, 'berth'));
  assert.equal(await askedWith([], {}), '/api/whoami');
  assert.equal(await askedWith([], { BERTH_PROFILE: 'other' }), '/other/api/whoami');
  assert.equal(await askedWith(['--profile', 'work'], { BERTH_PROFILE: 'other' }), '/api/whoami');
  assert.equal(
    await askedWith([], { BERTH_URL: `${url}/variable`, BERTH_PROFILE: 'other' }),
    '/variable/api/whoami',
  );
  assert.equal(
    await askedWith(['--profile', 'other'], { BERTH_URL: `${url}/variable` }),
    '/other/api/whoami',
  );
  assert.equal(await askedWith([], { BERTH_DATA_DIR: local.folder }), 'socket');
  assert.equal(await askedWith(['--data-dir', local.folder], { BERTH_PROFILE: 'other' }), 'socket');
  rmSync(file);
  assert.equal(await askedWith([], { XDG_DATA_HOME: local.folder }), 'socket');
});

test('wrong profiles and addresses are named with what is allowed', async (t) => {
  await using there = await elsewhere();
  const wrong: [string[], number, RegExp][] = [
    [['list', '--profile', 'none'], 4, /no profile called none[^\n]+berth login URL --profile none\n/],
    [['list', '--profile', 'a', '--data-dir', '/b'], 2, /--data-dir and --profile name two places/],
    [
      ['login', there.server.url, '--profile', 'Local Net', '--token'],
      2,
      /--profile is "Local Net"[^\n]+Allowed/,
    ],
    [['login', there.server.url, '--profile', 'local', '--token'], 2, /"local", which is this machine/],
    [['login', 'berth.example.com', '--token'], 2, /The address is "berth\.example\.com"/],
    [['login', 'http://a:Secret-1@b/', '--token'], 2, /The address is "\(hidden\)"/],
    [['login', there.server.url, '--token', '--account', 'a'], 2, /two ways to sign in/],
    [['login'], 2, /No address/],
    [['logout'], 2, /No profile is in use/],
    [['profiles', 'remove', 'x'], 4, /no profile called x/],
  ];
  for (const [args, exitCode, sentence] of wrong) {
    await t.test(args.join(' '), async () => {
      const result = await there.run(args);
      assert.equal(result.exitCode, exitCode, result.stderr);
      assert.match(result.stderr, sentence);
    });
  }
});

test('profiles that others may read are refused, and so is a broken file', async () => {
  await using there = await elsewhere();
  mkdirSync(join(there.file, '..'), { recursive: true });
  writeFileSync(there.file, 'profiles: {}\n');
  chmodSync(there.file, 0o644);
  const open = await there.run(['list']);
  assert.equal(open.exitCode, 1);
  assert.match(open.stderr, /others may read it\. Close it \(chmod 600 /);
  chmodSync(there.file, 0o600);
  for (const content of ['profiles: [', 'profiles: { a: {} }']) {
    writeFileSync(there.file, content);
    const broken = await there.run(['profiles', 'list']);
    assert.equal(broken.exitCode, 2, content);
  }
});
