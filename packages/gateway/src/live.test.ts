/** How live connections end: by the state's lines, an allowlist, the worker's own end. With stock ssh, on each way in. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Which } from '@berth/contract';
import { missingSshd } from '../../ssh/src/testing/sshd.ts';
import { Stage, account, demo, waysOfTest } from './testing/stage.ts';
import type { WayOfTest } from './testing/stage.ts';
import { until } from './testing/until.ts';

describe('live connections', { skip: missingSshd }, () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await Stage.start();
  });
  afterEach(() => stage[Symbol.asyncDispose]());

  /** A session that stays, and what comes of it. */
  const enter = async (way: WayOfTest, flags: string[] = []) => {
    const child = stage.start({
      way,
      identities: [stage.personKey.file],
      flags,
      command: 'echo in; cat',
    });
    await once(child.stdout as Readable, 'readable');
    let stderr = '';
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    let stdout = '';
    child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    const exited = once(child, 'close');
    return { child, exited, shown: () => stdout + stderr };
  };
  const isIn = () => stage.worker.connections().length;

  for (const way of waysOfTest) {
    test(`${way}: ends by each line that fits, and by no other`, async () => {
      const fingerprint = stage.personKey.fingerprint;
      const others: Which[] = [
        { environment: 'other-2b2b' },
        { fingerprint: stage.strangerKey.fingerprint },
        { method: 'password' },
        { customer: 2 },
        { environment: demo, method: 'password' },
        { connection: 'ffffffffffffffffffffffffffffffff' },
      ];
      const those: (() => Which)[] = [
        () => ({ connection: stage.connections().at(-1)?.id ?? '' }),
        () => ({ environment: demo }),
        () => ({ fingerprint }),
        () => ({ customer: 1, method: 'publickey' }),
        () => ({ environment: demo, method: 'publickey', fingerprint }),
      ];
      for (const which of those) {
        const { exited, shown } = await enter(way);
        assert.deepEqual(
          stage.worker.connections().map(({ environment }) => environment),
          [demo],
        );
        for (const each of others) stage.tell({ type: 'end', which: each, sentence: 'Not you.' });
        assert.equal(isIn(), 1);
        stage.tell({ type: 'end', which: which(), sentence: 'An administrator ended it.' });
        await exited;
        assert.match(shown(), /An administrator ended it\./);
        await until('the last record', () => isIn() === 0);
        const last = stage.connections().at(-1);
        assert.equal(last?.end_reason, 'An administrator ended it.');
        assert.notEqual(last?.ended_at, null);
      }
    });

    test(`${way}: ends when the allowlist shuts it out, and then refuses whoever comes from there`, async () => {
      const { exited, shown } = await enter(way);
      stage.setEnvironment({ allowlist: ['127.0.0.0/8'] });
      stage.setCustomer(1, ['10.0.0.0/8', '::/0']);
      assert.equal(isIn(), 1, 'either list lets somebody in');
      stage.setEnvironment({ allowlist: ['192.0.2.0/24'] });
      await exited;
      assert.match(shown(), /allowlist of demo-7f3k was changed and does not have 127\.0\.0\.1 any more/);
      const asked = stage.server.attempts.length;
      const refused = await stage.ssh({ way, identities: [stage.personKey.file], command: 'echo in' });
      assert.equal(refused.status, 255);
      assert.equal(stage.server.attempts.length, asked, 'no credential was looked at');
      if (way === 'own-port')
        assert.match(refused.stderr, /Connections from 127\.0\.0\.1 are not allowed here/);
      else assert.doesNotMatch(refused.stderr, /allow/);
    });
  }

  test('ends when the environment is deleted, also while the server was not heard', async () => {
    const { exited, shown } = await enter('shared-port');
    const lines = stage.worker.toLines().filter((line) => line.type !== 'environment' || line.id !== demo);
    for (const line of lines) stage.worker.apply(line);
    await exited;
    assert.match(shown(), /demo-7f3k was deleted/);
  });

  test('notices nothing of a server that is away', async () => {
    const { child, exited, shown } = await enter('own-port');
    stage.server.isUp = false;
    child.stdin?.end('still here\n');
    await exited;
    assert.match(shown(), /still here/);
  });

  test('an account that is gone opens no further ways, and none to others', async () => {
    const master = stage.start({ way: 'jump', identities: [stage.personKey.file], command: 'echo in; cat' });
    await once(master.stdout as Readable, 'readable');
    stage.tell({ type: 'account', name: account, route: null });
    const { status } = await stage.ssh({
      way: 'jump',
      identities: [stage.personKey.file],
      command: 'echo in',
    });
    assert.equal(status, 255);
    assert.equal(isIn(), 1);
  });

  test('a drain takes nobody new, shows a notice, and waits for those who are in', async () => {
    const { child, exited, shown } = await enter('own-port', ['-tt']);
    let isOver = false;
    const drained = stage.worker.drain('Berth is being restarted.').then(() => (isOver = true));
    await until('the notice', () => shown().includes('Berth is being restarted.'));
    assert.deepEqual(stage.sockets.ports, []);
    assert.equal((await stage.ssh({ way: 'own-port', identities: [stage.personKey.file] })).status, 255);
    assert.equal(isOver, false);
    child.stdin?.end('\u0004');
    await exited;
    await drained;
    assert.equal(isIn(), 0);
    assert.notEqual(stage.connections().at(-1)?.ended_at, null);
  });

  test('a drain ends what is left at its limit, jumps too, with a sentence', async () => {
    stage.setSettings({ drainSeconds: 1 });
    const sessions = [await enter('jump'), await enter('own-port')];
    await stage.worker.drain(null);
    for (const { exited, shown } of sessions) {
      await exited;
      assert.match(shown(), /The gateway is restarted; connect again\.|closed by/);
    }
    assert.equal(isIn(), 0);
    const ends = stage.connections().filter(({ ended_at }) => ended_at !== null);
    assert.equal(ends.length, 2);
  });
});
