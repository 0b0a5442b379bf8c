/** Forwarding switches, each off for itself, with a stock ssh: what it stops, what the person reads, what goes on. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { everythingForwarded } from '@berth/contract';
import type { Forwarding } from '@berth/contract';
import type { Side } from '@berth/ssh';
import { missingSshd } from '../../ssh/src/testing/sshd.ts';
import { relayPolicy } from './policy.ts';
import { Stage, waysOfTest } from './testing/stage.ts';
import { until } from './testing/until.ts';

test('each channel needs its switch, is opened from its own side only, and no other is carried', () => {
  const needed: [Side, string, keyof Forwarding | null][] = [
    ['client', 'session', null],
    ['client', 'direct-tcpip', 'local'],
    ['client', 'direct-streamlocal@openssh.com', 'local'],
    ['upstream', 'forwarded-tcpip', 'remote'],
    ['upstream', 'forwarded-streamlocal@openssh.com', 'remote'],
    ['upstream', 'auth-agent@openssh.com', 'agent'],
    ['upstream', 'x11', 'x11'],
  ];
  const switches = Object.keys(everythingForwarded) as (keyof Forwarding)[];
  for (const off of [null, ...switches]) {
    const forwarding = { ...everythingForwarded, ...(off !== null && { [off]: false }) };
    const of = {
      environment: 'demo-7f3k',
      terminal: true,
      source: '127.0.0.1',
      sourcePort: 1,
      explain: () => {},
    };
    const policy = relayPolicy({ ...of, forwarding });
    const isRefused = (from: Side, type: string) =>
      policy.refuseChannel?.({ from, type, details: Buffer.alloc(0) }) !== undefined;
    for (const [from, type, needs] of needed) {
      assert.equal(isRefused(from, type), needs !== null && needs === off, `${type} without ${off}`);
      assert.equal(isRefused(from === 'client' ? 'upstream' : 'client', type), true, type);
    }
    for (const type of ['tun@openssh.com', 'constructor', '']) assert.equal(isRefused('client', type), true);
  }
});

describe('the forwarding policy', { skip: missingSshd }, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.start();
  });
  after(() => stage[Symbol.asyncDispose]());

  const ssh = (
    way: (typeof waysOfTest)[number],
    off: keyof Forwarding | null,
    flags: string[],
    command?: string,
  ) => {
    stage.server.forwarding = { ...everythingForwarded, ...(off !== null && { [off]: false }) };
    return stage.ssh({
      way,
      identities: [stage.personKey.file],
      flags,
      ...(command !== undefined && { command }),
    });
  };
  const place = () => `127.0.0.1:${stage.sshd.port}`;

  for (const way of waysOfTest) {
    test(`${way}: local forwarding`, async () => {
      stage.server.forwarding = { ...everythingForwarded, remote: false };
      const child = stage.start({ way, identities: [stage.personKey.file], flags: ['-W', place()] });
      const [line] = (await once(child.stdout as Readable, 'data')) as [Buffer];
      assert.match(line.toString(), /^SSH-2\.0-OpenSSH/);
      child.kill();
      const off = await ssh(way, 'local', ['-W', place()]);
      assert.equal(off.stdout, '');
      assert.match(off.stderr, /Local forwarding \(-L, -D, -W\) is switched off for demo-7f3k\./);
    });

    test(`${way}: remote forwarding`, async () => {
      const flags = ['-v', '-o', 'ExitOnForwardFailure=yes', '-R', `0:${place()}`];
      assert.equal((await ssh(way, 'local', flags, 'true')).status, 0);
      for (const from of ['0', `${stage.folder}/remote-${way}`]) {
        const refused = await ssh(way, 'remote', [...flags.slice(0, 4), `${from}:${place()}`], 'true');
        assert.equal(refused.status, 255);
        assert.match(refused.stderr, /Remote forwarding \(-R\) is switched off for demo-7f3k\./);
      }
    });

    test(`${way}: sftp, while the old scp and programs go on`, async () => {
      assert.equal((await ssh(way, 'x11', ['-s'], 'sftp')).status, 0);
      const off = await ssh(way, 'sftp', ['-v', '-s'], 'sftp');
      assert.equal(off.status, 255);
      assert.match(off.stderr, /SFTP is switched off for demo-7f3k\./);
      assert.equal((await ssh(way, 'sftp', [], 'echo in')).stdout, 'in\n');
    });
  }

  test('no terminal, where a certificate does not permit one', async () => {
    stage.server.grant = { terminal: false };
    try {
      const refused = await ssh('own-port', null, ['-v', '-tt'], 'tty');
      assert.match(refused.stderr, /PTY allocation request failed/);
      assert.match(refused.stderr, /permits no terminal/);
    } finally {
      stage.server.grant = {};
    }
  });

  test('agent forwarding', async () => {
    const path = join(stage.folder, 'agent');
    const agent = spawn('ssh-agent', ['-D', '-a', path], { stdio: 'ignore' });
    try {
      await until('the agent listens', () => existsSync(path));
      const flags = ['-v', '-A', '-o', `IdentityAgent=${path}`];
      const on = await ssh('own-port', 'x11', flags, 'echo "$SSH_AUTH_SOCK"');
      assert.match(on.stdout, /agent/);
      const off = await ssh('own-port', 'agent', flags, 'echo "[$SSH_AUTH_SOCK]"');
      assert.equal(off.stdout, '[]\n');
      assert.match(off.stderr, /Agent forwarding \(-A\) is switched off for demo-7f3k\./);
    } finally {
      agent.kill();
    }
  });

  test('X11 forwarding', async () => {
    process.env['DISPLAY'] ??= '127.0.0.1:99';
    const flags = ['-v', '-Y'];
    const off = await ssh('own-port', 'x11', flags, 'echo "[$DISPLAY]"');
    assert.equal(off.stdout, '[]\n');
    assert.match(off.stderr, /X11 forwarding \(-X\) is switched off for demo-7f3k\./);
  });
});
