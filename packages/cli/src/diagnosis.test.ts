/** `berth diagnose` against a server that answers as told; that it finds what is wrong is tested end to end. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Command } from 'commander';
import { findings } from '@berth/contract';
import type { CheckResult, Diagnosis } from '@berth/contract';
import { clientFindings } from '@berth/contract/explain';
import { makeProgram } from './program.ts';
import { demo, fullServer } from './testing/full-server.ts';
import { berth } from './testing/run.ts';
import { json } from './testing/server-double.ts';
import type { ServerDouble } from './testing/server-double.ts';

const path = `GET /api/environments/${demo.env_id}/diagnosis`;

const well: CheckResult = {
  id: 'sshd',
  looked_at: 'the sshd inside',
  verdict: 'ok',
  code: 'sshd_answers',
  cause: 'It answers as OpenSSH_10.0.',
  cure: null,
  facts: {},
};
const ill: CheckResult = {
  id: 'disk',
  looked_at: 'its disks',
  verdict: 'problem',
  code: 'disk_full',
  cause: '/home/developer\u001b[2J is full.',
  cure: 'Remove what nobody needs there.',
  facts: { place: '/home/developer' },
};
const skipped: CheckResult = {
  ...well,
  id: 'ban',
  looked_at: 'bans',
  verdict: 'skipped',
  code: 'source_unknown',
  cause: 'Not known.',
};

function holds(server: ServerDouble, ...checks: CheckResult[]): Diagnosis {
  const diagnosis: Diagnosis = {
    env_id: demo.env_id,
    at: '2026-02-03T04:05:06.000Z',
    source: null,
    healthy: checks.every(({ verdict }) => verdict !== 'problem'),
    checks,
    duration_ms: 120,
  };
  server.answers.set(path, json(diagnosis));
  return diagnosis;
}

const output = [
  'OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.19',
  'debug1: Connecting to ssh.example.com [203.0.113.9] port 30001.',
  "debug1: Authenticating to ssh.example.com:30001 as 'developer'",
  `debug1: Offering public key: /k/id ED25519 SHA256:${'a'.repeat(43)} agent`,
  'debug1: Authentications that can continue: publickey',
  'debug1: No more authentication methods to try.',
  'developer@ssh.example.com: Permission denied (publickey).',
].join('\n');

describe('berth diagnose', () => {
  test('shows a line for each look and what helps, and ends with 1 where something is wrong', async () => {
    await using server = await fullServer();
    const diagnosis = holds(server, well, ill, skipped);
    const result = await berth(['diagnose', 'demo'], { server });
    assert.equal(
      result.stdout,
      `✓ the sshd inside  It answers as OpenSSH_10.0.
✗ its disks        /home/developer\\x1b[2J is full.
- bans             Not known.

demo-7f3k: 1 problem.

To mend it:
  its disks  Remove what nobody needs there.
`,
    );
    assert.equal(result.exitCode, 1);
    const forPrograms = await berth(['diagnose', 'demo', '--json'], { server });
    assert.deepEqual(JSON.parse(forPrograms.stdout), diagnosis);
    assert.equal(forPrograms.exitCode, 1);
    holds(server, well, skipped);
    const healthy = await berth(['diagnose', 'demo'], { server });
    assert.match(healthy.stdout, /\n\ndemo-7f3k: nothing is wrong\.\n$/);
    assert.equal(healthy.exitCode, 0);
  });

  test('asks for the address and the key that are named, and sends no private key', async () => {
    await using server = await fullServer();
    holds(server, well);
    const key = join(server.folder, 'id');
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    const shown = spawnSync('ssh-keygen', ['-l', '-f', key], { encoding: 'utf8' }).stdout.split(' ')[1];
    for (const file of [key, `${key}.pub`]) {
      await berth(['diagnose', 'demo', '--source', '203.0.113.7', '--key', file], { server });
      const { query } = server.asked.at(-1) ?? {};
      assert.equal(query?.get('source'), '203.0.113.7');
      assert.equal(query.get('fingerprint'), shown);
    }
    spawnSync('ssh-keygen', ['-q', '-s', key, '-I', 'mei', '-n', 'demo', `${key}.pub`]);
    await berth(['diagnose', 'demo', '--key', `${key}-cert.pub`], { server });
    assert.match(server.asked.at(-1)?.query.get('certificate') ?? '', /^AAAAIHNzaC1lZDI1NTE5LWNlcnQ/);
    writeFileSync(join(server.folder, 'alone'), '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n');
    const refused = await berth(['diagnose', 'demo', '--key', join(server.folder, 'alone')], { server });
    assert.equal(refused.exitCode, 2);
    assert.match(refused.stderr, /is no public key/);
    assert.equal((await berth(['diagnose'], { server })).exitCode, 2);
    assert.equal((await berth(['diagnose', 'nobody'], { server })).exitCode, 4);
  });

  test('explains what a client printed, and asks about the environment and the key that it names', async () => {
    await using server = await fullServer();
    holds(server, well);
    const file = join(server.folder, 'output.txt');
    writeFileSync(file, output);
    const result = await berth(['diagnose', '--from', file], { server });
    assert.equal(result.exitCode, 1);
    assert.match(
      result.stdout,
      /^OpenSSH 9\.2p1 to developer@ssh\.example\.com, port 30001:\n\n✗ None of the keys/,
    );
    assert.match(result.stdout, /nothing is wrong\.\n$/);
    assert.equal(server.asked.at(-1)?.query.get('fingerprint'), `SHA256:${'a'.repeat(43)}`);
    const piped = await berth(['diagnose', '--from', '-', '--json'], { server, stdin: output });
    const { env_id, explanation, diagnosis } = JSON.parse(piped.stdout) as {
      env_id: string;
      explanation: { findings: { code: string }[] };
      diagnosis: Diagnosis;
    };
    assert.equal(env_id, demo.env_id);
    assert.equal(explanation.findings[0]?.code, 'keys_refused');
    assert.equal(diagnosis.env_id, demo.env_id);
    const missing = await berth(['diagnose', '--from', join(server.folder, 'none')], { server });
    assert.equal(missing.exitCode, 2);
    assert.match(missing.stderr, /cannot be read \(ENOENT\)/);
  });

  test('explains without a Berth as well, and says what it does not know', async () => {
    const away = await berth(['diagnose', '--from', '-'], { stdin: output });
    assert.equal(away.exitCode, 1);
    assert.match(away.stdout, /None of the keys/);
    assert.match(away.stderr, /only what the client printed was looked at/);
    const nothing = await berth(['diagnose', '--from', '-'], { stdin: 'hello\n' });
    assert.equal(nothing.exitCode, 0);
    assert.match(nothing.stdout, /Nothing in what it printed is known here/);
  });
});

test('every command that a finding names is one', () => {
  const program = makeProgram();
  const texts = [...Object.values(findings), ...Object.values(clientFindings)].flatMap(({ cause, cure }) => [
    cause,
    cure ?? '',
  ]);
  const pattern = /\bberth ((?:[a-z-]+ ?)+)((?:[A-Z{-][^.,;)"]*)?)/g;
  const named = texts.flatMap((text) => Array.from(text.matchAll(pattern)));
  assert.ok(named.length > 40);
  for (const [whole, words = '', rest = ''] of named) {
    let command: Command = program;
    for (const word of words.trim().split(' ')) {
      const next = command.commands.find((each) => each.name() === word);
      if (next === undefined) break;
      command = next;
    }
    // "berth up" may be followed by other words of its sentence.
    assert.notEqual(command, program, whole);
    assert.equal(command.commands.length, 0, `${whole} needs one of its commands`);
    for (const [, option] of rest.matchAll(/ (--[a-z-]+)/g))
      assert.ok(
        command.options.some(({ long }) => long === option),
        `${whole}: there is no ${option}`,
      );
  }
});
