import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { refusals } from '@berth/contract';
import type { ConnectionRecord } from '@berth/contract';
import { pino } from 'pino';
import type { NewAttempt } from './attempts.ts';
import { AuthLog } from './auth-log.ts';

const folder = mkdtempSync(join(tmpdir(), 'berth-auth-log-'));
after(() => rmSync(folder, { recursive: true }));
const silent = pino({ level: 'silent' });
const fingerprint = `SHA256:${'a'.repeat(43)}`;

let made = 0;
function attempt(given: Partial<NewAttempt>): NewAttempt {
  made += 1;
  return {
    type: 'attempt',
    id: `attempt${String(made).padStart(12, '0')}`,
    at: '2026-11-24T19:05:01.000Z',
    connection: `connection${String(made).padStart(12, '0')}`,
    way: 'own-port',
    target: 'demo-7f3k',
    jumper: null,
    user: 'developer',
    source: '203.0.113.7',
    source_port: 51234,
    client: 'SSH-2.0-OpenSSH_9.2',
    method: 'password',
    accepted: false,
    reason: 'wrong_password',
    fingerprint: null,
    account: null,
    customer: 1,
    count: 1,
    keyType: null,
    ...given,
  };
}

const accepted = (given: Partial<NewAttempt>) => attempt({ accepted: true, reason: null, ...given });

function connectionOf({ connection }: NewAttempt, ended: string | null): ConnectionRecord {
  return {
    type: 'connection',
    id: connection ?? '',
    gateway: 'gateway000000000',
    environment: 'demo-7f3k',
    customer: 1,
    account: null,
    method: 'password',
    fingerprint: null,
    key_name: null,
    way: 'own-port',
    source: '203.0.113.7',
    source_port: 51234,
    client: '',
    started_at: '2026-11-24T19:05:01.000Z',
    bytes_in: 0,
    bytes_out: 0,
    channels: 0,
    open_channels: 0,
    ended_at: ended,
    end_reason: null,
  };
}

const open = (authLog: string) => new AuthLog({ authLog, 'limits.attempts': 5 }, silent);

/** What is written of these, each line without its header. */
async function messages(records: NewAttempt[], ended: ConnectionRecord[] = []): Promise<string[]> {
  return (await linesOf(records, ended)).map((line) => line.replace(/^.*? sshd\[\d+\]: /, ''));
}

async function linesOf(records: NewAttempt[], ended: ConnectionRecord[] = []): Promise<string[]> {
  const file = join(folder, `auth-${(made += 1)}.log`);
  const log = open(file);
  log.attempts(records);
  log.connections(ended);
  await log.close();
  return readFileSync(file, 'utf8').trimEnd().split('\n');
}

test('says what happened in the words of sshd', async () => {
  const inside = accepted({ method: 'publickey', fingerprint, keyType: 'ssh-ed25519' });
  assert.deepEqual(
    await messages(
      [
        inside,
        accepted({ method: 'keyboard-interactive', source: '2001:db8::7' }),
        attempt({}),
        attempt({ user: 'x', reason: 'unknown_name' }),
        attempt({
          method: 'publickey',
          reason: 'wrong_key',
          fingerprint,
          keyType: 'sk-ecdsa-sha2-nistp256@openssh.com',
        }),
        attempt({ reason: 'locked' }),
        attempt({ reason: 'not_allowed' }),
        attempt({ reason: 'banned', method: null, user: '' }),
        attempt({ reason: 'unavailable' }),
      ],
      [
        connectionOf(inside, null),
        connectionOf(inside, '2026-11-24T19:06:01.000Z'),
        connectionOf(inside, '2026-11-24T19:06:01.000Z'),
      ],
    ),
    [
      `Accepted publickey for developer from 203.0.113.7 port 51234 ssh2: ED25519 ${fingerprint}`,
      'Accepted keyboard-interactive/pam for developer from 2001:db8::7 port 51234 ssh2',
      'Failed password for developer from 203.0.113.7 port 51234 ssh2',
      'Invalid user x from 203.0.113.7 port 51234',
      'Failed password for invalid user x from 203.0.113.7 port 51234 ssh2',
      `Failed publickey for developer from 203.0.113.7 port 51234 ssh2: ECDSA-SK ${fingerprint}`,
      'User developer from 203.0.113.7 not allowed because listed in DenyUsers',
      'User developer from 203.0.113.7 not allowed because not listed in AllowUsers',
      'refused connect from 203.0.113.7 (203.0.113.7)',
      'Connection closed by authenticating user developer 203.0.113.7 port 51234 [preauth]',
      'Disconnected from user developer 203.0.113.7 port 51234',
    ],
  );
});

test('says when a connection had its last attempt, and names a stranger once', async () => {
  const connection = 'connection-of-five';
  const five = Array.from({ length: 5 }, () => attempt({ connection, user: 'x', reason: 'unknown_name' }));
  const lines = await messages(five);
  assert.deepEqual(
    lines.filter((line) => !line.startsWith('Failed password')),
    [
      'Invalid user x from 203.0.113.7 port 51234',
      'error: maximum authentication attempts exceeded for invalid user x from 203.0.113.7 port 51234 ssh2 [preauth]',
    ],
  );
  assert.equal(lines.length, 7);
});

test('heads each line as the traditional syslog, with one number for the lines of a connection', async () => {
  const connection = 'connection-number-one';
  const [first = '', second, third] = await linesOf([
    attempt({ connection }),
    attempt({ connection }),
    attempt({}),
  ]);
  assert.match(first, /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d [^ .]+ sshd\[\d+\]: Failed/);
  assert.equal(first, second);
  assert.notEqual(first, third);
  const at = new Date('2026-11-24T19:05:01.000Z');
  assert.equal(first.slice(7, 15), at.toTimeString().slice(0, 8));
});

const fail2ban = spawnSync('fail2ban-regex', ['--version']).error
  ? 'needs fail2ban-regex (package fail2ban)'
  : false;

/** What fail2ban makes of the lines: those that count, those it knows and does not count, and those it does not know. */
function judged(
  lines: string[],
  filter = 'sshd',
): { counted: string[]; known: string[]; missed: string[]; hosts: string[] } {
  const file = join(folder, `judged-${(made += 1)}.log`);
  writeFileSync(file, `${lines.join('\n')}\n`);
  const run = (...options: string[]) =>
    spawnSync('fail2ban-regex', [...options, file, filter], { encoding: 'utf8' }).stdout;
  const printed = run('--print-all-matched', '--print-all-missed', '--print-all-ignored');
  const section = (name: string) =>
    new RegExp(`\\|- ${name} line\\(s\\):\\n((?:\\|  .*\\n)*)`)
      .exec(printed)?.[1]
      ?.trimEnd()
      .split('\n')
      .map((line) => line.slice(3)) ?? [];
  const hosts = run('--out', 'ip')
    .trimEnd()
    .split('\n')
    .filter((line) => line !== '');
  return { counted: section('Matched'), known: section('Ignored'), missed: section('Missed'), hosts };
}

test("is read by fail2ban's own filter as sshd's would be", { skip: fail2ban }, async () => {
  const good = await linesOf([
    accepted({}),
    accepted({ method: 'publickey', fingerprint, keyType: 'ssh-rsa' }),
    accepted({ source: '2001:db8::7' }),
  ]);
  assert.deepEqual(judged(good), { counted: [], known: good, missed: [], hosts: [] });
  const inside = accepted({});
  // The filter knows no word with "/", from sshd neither.
  assert.deepEqual(judged(await linesOf([accepted({ method: 'keyboard-interactive' })])).counted, []);
  const [, end = ''] = await linesOf([inside], [connectionOf(inside, '2026-11-24T19:06:01.000Z')]);
  assert.deepEqual(judged([end]).counted, []);

  const ownFault = ['unavailable', 'failed'];
  const methods = ['password', 'keyboard-interactive', 'none', 'publickey', null] as const;
  for (const source of ['203.0.113.7', '2001:db8::7']) {
    const all: string[] = [];
    const expected: string[] = [];
    for (const reason of refusals)
      for (const method of methods) {
        const key = method === 'publickey' ? { fingerprint, keyType: 'ssh-ed25519' } : {};
        const lines = await linesOf([attempt({ reason, source, method, ...key })]);
        all.push(...lines);
        if (method === null || !ownFault.includes(reason)) expected.push(...lines);
      }
    const { counted, hosts, missed } = judged(all, 'sshd[publickey=any]');
    assert.deepEqual(counted, expected);
    assert.deepEqual(missed, []);
    assert.deepEqual(
      hosts,
      expected.map(() => source),
    );
  }
  // As with sshd, a key that is merely offered counts for nothing unless the filter is told to.
  const offered = await linesOf([attempt({ method: 'publickey', reason: 'wrong_key', fingerprint })]);
  assert.deepEqual(judged(offered), { counted: [], known: offered, missed: [], hosts: [] });
});

test('takes no source from a user name', { skip: fail2ban }, async () => {
  const names = [
    'x from 1.2.3.4 port 22',
    'x from 1.2.3.4 port 22 ssh2',
    'root from 1.2.3.4',
    ' from 1.2.3.4 port 22 ssh2\nNov 24 19:05:01 host sshd[1]: Failed password for root from 1.2.3.4 port 22 ssh2',
    'x\r\n\0Failed password for root from 1.2.3.4 port 22 ssh2',
    'a\u2028b\u0085Failed password for root from 1.2.3.4 port 22 ssh2',
    'x: from 1.2.3.4 ssh2: ',
    'invalid user x from 1.2.3.4',
    '\\040from\\0401.2.3.4',
    '1.2.3.4',
    '',
    'é漢\ud800',
    'a'.repeat(255),
  ];
  const all: string[] = [];
  for (const user of names)
    for (const reason of ['wrong_password', 'unknown_name', 'locked', 'not_allowed'] as const) {
      const connection = `hostile-${(made += 1)}`;
      const lines = await linesOf(Array.from({ length: 5 }, () => attempt({ user, reason, connection })));
      assert.ok(lines.every((line) => /^[\x20-\x7e]+$/.test(line) && !line.includes(' from 1.2.3.4')));
      all.push(...new Set(lines));
    }
  const { counted, hosts } = judged(all);
  assert.deepEqual(counted, all);
  assert.deepEqual([...new Set(hosts)], ['203.0.113.7']);
  const good = await linesOf(names.map((user) => accepted({ user })));
  assert.deepEqual(judged(good).counted, []);
});

test('goes on in the new file after logrotate, and after SIGHUP, and keeps what is there', async () => {
  const file = join(folder, 'rotated.log');
  writeFileSync(file, 'from before\n');
  const log = open(file);
  const written = async (path: string, count: number) => {
    const deadline = Date.now() + 10_000;
    for (;;) {
      const lines = statSync(path, { throwIfNoEntry: false })
        ? readFileSync(path, 'utf8').trimEnd().split('\n')
        : [];
      if (lines.length === count) return lines;
      assert.ok(Date.now() < deadline, `${path} has ${lines.length} lines, not ${count}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  log.attempts([attempt({})]);
  assert.equal((await written(file, 2))[0], 'from before');
  renameSync(file, `${file}.1`);
  log.attempts([attempt({})]);
  await written(file, 1);
  await written(`${file}.1`, 2);
  process.emit('SIGHUP');
  log.attempts([attempt({})]);
  await written(file, 2);
  assert.equal(statSync(file).mode & 0o137, 0);
  await log.close();
});

test('loses lines and nothing else where the disk is full or the folder is missing', async () => {
  for (const place of ['/dev/full', join(folder, 'no', 'such', 'folder.log')]) {
    const told: string[] = [];
    const logger = pino({ level: 'warn' }, { write: (text: string) => told.push(text) });
    const log = new AuthLog({ authLog: place, 'limits.attempts': 5 }, logger);
    log.attempts([attempt({}), attempt({})]);
    await log.close();
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /"lines":2.*(ENOSPC|ENOENT)/);
  }
});

test('goes to a syslog server as authpriv, each line a packet', async () => {
  const server = createSocket('udp4');
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const packets: string[] = [];
  const log = open(`udp://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const all = new Promise<void>((resolve) =>
    server.on('message', (packet) => {
      packets.push(packet.toString());
      if (packets.length === 3) resolve();
    }),
  );
  log.attempts([accepted({}), attempt({ user: '\0'.repeat(400), reason: 'unknown_name' })]);
  await all;
  assert.match(
    packets[0] ?? '',
    /^<86>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d [^ ]+ sshd\[\d+\]: Accepted password for developer /,
  );
  assert.ok(packets.every((packet) => packet.startsWith('<86>') && packet.length <= 1024));
  await log.close();
  server.close();
});

test('counts what a syslog server that is not there would have got for nothing', async () => {
  const log = open('udp://127.0.0.1:9');
  log.attempts(Array.from({ length: 100 }, () => attempt({})));
  await log.close();
});
