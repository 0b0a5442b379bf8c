/** Logins at environments that are stopped: started for whoever may, with words about it, and served then. */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { after, before, beforeEach, describe, test } from 'node:test';
import { missingSshd } from '../../ssh/src/testing/sshd.ts';
import { Stage, demo, password, waysOfTest } from './testing/stage.ts';
import { until } from './testing/until.ts';

const stoppedSentence = 'demo-7f3k was stopped a moment ago and is started only for a terminal.';

describe('waking', { skip: missingSshd }, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.start();
  });
  after(() => stage[Symbol.asyncDispose]());
  beforeEach(() => {
    stage.records.length = 0;
    stage.server.upstreams.length = 0;
  });

  const stopped = (when: 'now' | 'terminal') => {
    stage.server.answer = (request) => {
      const answer = stage.server.decide(request);
      if (answer.outcome !== 'accept') return answer;
      const { grant } = answer;
      return when === 'now'
        ? { outcome: 'wake', grant, when }
        : { outcome: 'wake', grant, when, sentence: stoppedSentence };
    };
    stage.server.starting = async function* () {
      yield { type: 'progress', message: 'container', seconds: 0 };
      await pause(600);
      yield { type: 'progress', message: 'container', seconds: 1 };
    };
  };

  for (const way of waysOfTest) {
    test(`${way}: says how the start gets on, and serves then`, async () => {
      stopped('now');
      const { status, stdout, stderr } = await stage.ssh({ way, password, command: 'echo in' });
      assert.equal(status, 0, stderr);
      assert.equal(stdout, 'in\n');
      assert.match(
        stderr,
        /demo-7f3k is starting: container \(0 s\)\r?\n[^]*demo-7f3k is starting: container \(1 s\)/,
      );
      assert.partialDeepStrictEqual(stage.server.upstreams, [
        { environment: demo, wake: true, source: '127.0.0.1', account: null },
      ]);
      const login = stage.attempts().find((each) => each.way === way && each.accepted);
      assert.equal(stage.server.upstreams[0]?.attempt, login?.id);
    });

    test(`${way}: starts for a terminal, where somebody stopped it a moment ago`, async () => {
      stopped('terminal');
      const identities = [stage.personKey.file];
      const { stdout } = await stage.ssh({
        way,
        identities,
        flags: ['-tt'],
        command: 'tty; echo "$BERTH_CLIENT"',
      });
      assert.match(stdout, /\/dev\/pts\/\d+\r?\n127\.0\.0\.1 \d+/);
      assert.equal(stage.server.upstreams.length, 1);
    });

    test(`${way}: starts nothing for a program then, and says why`, async () => {
      stopped('terminal');
      const { status, stdout, stderr } = await stage.ssh({ way, password, command: 'echo in' });
      assert.equal(status, 255);
      assert.equal(stdout, '');
      assert.ok(stderr.includes(stoppedSentence), stderr);
      assert.equal(stage.server.upstreams.length, 0);
    });
  }

  test('says so when the start fails', async () => {
    stopped('now');
    stage.server.starting = async function* () {
      yield { type: 'failed', sentence: 'demo-7f3k did not start: its image is gone.' };
    };
    const { status, stderr } = await stage.ssh({ way: 'shared-port', password, command: 'echo in' });
    assert.equal(status, 255);
    assert.match(stderr, /demo-7f3k did not start: its image is gone\./);
    assert.partialDeepStrictEqual(stage.attempts().at(-1), { accepted: false, reason: 'failed' });
    stopped('terminal');
    stage.server.starting = async function* () {
      yield { type: 'failed', sentence: 'demo-7f3k did not start: its image is gone.' };
    };
    const inTerminal = await stage.ssh({ way: 'shared-port', password, flags: ['-tt'], command: 'echo in' });
    assert.match(inTerminal.stdout + inTerminal.stderr, /demo-7f3k did not start: its image is gone\./);
  });

  test('a start takes as long as it takes, grace or not; who gives up is recorded', async () => {
    stopped('now');
    stage.setSettings({ graceSeconds: 1 });
    try {
      stage.server.starting = async function* () {
        yield { type: 'progress', message: 'image', seconds: 0 };
        await pause(1500);
      };
      const { stdout } = await stage.ssh({ way: 'own-port', password, command: 'echo in' });
      assert.equal(stdout, 'in\n');
      let isAborted = false;
      stage.server.starting = async function* (signal) {
        yield { type: 'progress', message: 'image', seconds: 0 };
        await pause(60_000, undefined, { signal }).catch(() => (isAborted = true));
      };
      const before = stage.attempts().length;
      const child = stage.start({ way: 'own-port', password, command: 'echo in' });
      await until('the start', () => stage.server.upstreams.length === 2);
      child.kill();
      await until('the record', () => stage.attempts().length > before);
      assert.equal(isAborted, true);
      assert.partialDeepStrictEqual(stage.attempts().at(-1), { accepted: true, reason: null });
    } finally {
      stage.setSettings({ graceSeconds: 120 });
    }
  });

  test('wrote nothing of its own into the log', () => {
    assert.deepEqual(stage.log, []);
  });
});
