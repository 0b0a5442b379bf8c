/** The outer session of a jump, with a stock ssh: what it opens, and that it opens nothing else. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { knownHostsLine } from '@berth/ssh';
import { missingSshd } from '../../ssh/src/testing/sshd.ts';
import { Stage, account, demo, other, password } from './testing/stage.ts';

describe('a jump', { skip: missingSshd }, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.start();
  });
  after(() => stage[Symbol.asyncDispose]());

  const outer = async (parameters: string[], identity = stage.accountKey.file) => {
    const knownHosts = knownHostsLine('127.0.0.1', stage.sharedPort, stage.gatewayHostKey.publicLine);
    const options = [
      ...['StrictHostKeyChecking=yes', `UserKnownHostsFile=${stage.write('known', `${knownHosts}\n`)}`],
      ...['IdentitiesOnly=yes', 'IdentityAgent=none', `IdentityFile=${identity}`, 'BatchMode=yes'],
    ].flatMap((option) => ['-o', option]);
    const whole = [
      '-F',
      'none',
      ...options,
      '-p',
      String(stage.sharedPort),
      `${account}@127.0.0.1`,
      ...parameters,
    ];
    const child = spawn('ssh', whole, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 });
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { stdout, stderr };
  };

  test("reaches port 22 of its customer's environments, in any case, and nothing else", async () => {
    const there = await outer(['-W', `${demo.toUpperCase()}:22`]);
    assert.match(there.stdout, /^SSH-2\.0-Berth/);
    const places = [
      `${other}:22`,
      `${demo}:2222`,
      'nobody-9z9z:22',
      `127.0.0.1:${stage.sshd.port}`,
      'localhost:22',
    ];
    for (const place of places) {
      const { stdout, stderr } = await outer(['-W', place]);
      assert.equal(stdout, '', place);
      assert.match(stderr, /Only port 22 of your own environments can be reached/);
    }
  });

  test('is no shell, no program, no subsystem, and says what to do', async () => {
    for (const parameters of [[], ['id'], ['-tt'], ['-s', 'sftp']]) {
      const { stdout, stderr } = await outer(parameters);
      assert.match(stdout + stderr, /ssh -J alice@HOST USER@ENVIRONMENT/);
      assert.doesNotMatch(stdout, /uid=/);
    }
  });

  test('forwards nothing back', async () => {
    const { stderr } = await outer(['-N', '-o', 'ExitOnForwardFailure=yes', '-R', '0:127.0.0.1:1']);
    assert.match(stderr, /remote port forwarding failed/);
  });

  test("is opened by no other key, and by no environment's password", async () => {
    const stranger = await outer(['-W', `${demo}:22`], stage.personKey.file);
    assert.equal(stranger.stdout, '');
    assert.match(stranger.stderr, /Permission denied/);
    assert.ok(stage.server.attempts.every(({ way, password: typed }) => way === 'jump' || typed === null));
  });

  test('asks for the credentials of the environment itself', async () => {
    const asked = stage.server.attempts.length;
    const { status } = await stage.ssh({
      way: 'jump',
      password: 'Wrong-Horse-7-Battery',
      command: 'echo in',
    });
    assert.equal(status, 255);
    const [login, ...inner] = stage.server.attempts.slice(asked);
    assert.partialDeepStrictEqual(login, { way: 'jump-login', target: account, user: account, jumper: null });
    assert.ok(inner.length > 0);
    for (const attempt of inner) {
      assert.partialDeepStrictEqual(attempt, {
        way: 'jump',
        target: demo,
        user: 'developer',
        jumper: account,
      });
      assert.equal(attempt.source_port, login?.source_port);
    }
    const right = await stage.ssh({ way: 'jump', password, command: 'echo in' });
    assert.equal(right.stdout, 'in\n');
  });

  test('wrote nothing of its own into the log', () => {
    assert.deepEqual(stage.log, []);
  });
});
