/** What strangers can tell from refusals, lockouts and bans, with packages/ssh's own client over real sockets. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { AuthenticationError, TransportError, dial, generateSigningKey } from '@berth/ssh';
import type { Credential } from '@berth/ssh';
import { missingSshd } from '../../ssh/src/testing/sshd.ts';
import { Stage, account, demo, other, password, waysOfTest } from './testing/stage.ts';
import { until } from './testing/until.ts';

const wrong = 'Wrong-Horse-7-Battery';

describe('attempts', { skip: missingSshd }, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.start();
    // Stopped as far as anybody can tell, and not to be reached from here.
    stage.setEnvironment({ id: 'away-5c5c', port: null, allowlist: ['192.0.2.0/24'] });
  });
  after(() => stage[Symbol.asyncDispose]());
  beforeEach(() => {
    stage.records.length = 0;
    stage.server.attempts.length = 0;
  });

  /** What the client learns of a refusal, and when. */
  const tried = async (port: number, user: string, ...credentials: Credential[]) => {
    const banners: string[] = [];
    const began = performance.now();
    try {
      const transport = await dial({
        ...{ host: '127.0.0.1', port, user, credentials, timeoutMs: 20_000 },
        hostKey: () => undefined,
        banner: (text) => banners.push(text),
      });
      transport.disconnect(11, 'seen');
      return { isIn: true, ms: performance.now() - began, seen: '' };
    } catch (error) {
      const ms = performance.now() - began;
      assert.ok(error instanceof AuthenticationError || error instanceof TransportError);
      const seen =
        error instanceof AuthenticationError
          ? [error.methods, error.tried.map(({ outcome }) => outcome)]
          : [error.code, error.message];
      return { isIn: false, ms, seen: JSON.stringify([seen, banners]) };
    }
  };

  test('unknown, wrong, not allowed, and an account without passwords are one to a stranger', async () => {
    const names = ['nobody-9z9z', demo, other, account, 'away-5c5c', 'root', ''];
    for (const credential of [
      { method: 'password', password: wrong },
      { method: 'keyboard-interactive', answer: () => [wrong] },
      { method: 'publickey', key: stage.strangerKey.key },
    ] satisfies Credential[]) {
      const answers = await Promise.all(names.map((name) => tried(stage.sharedPort, name, credential)));
      for (const [index, { seen, isIn }] of answers.entries()) {
        assert.equal(isIn, false);
        assert.equal(seen, answers[0]?.seen, `${credential.method} at ${names[index]}`);
      }
    }
    const ofAway = stage.attempts().filter(({ target }) => target === 'away-5c5c');
    assert.deepEqual(
      ofAway.map(({ reason }) => reason),
      ['not_allowed', 'not_allowed', 'not_allowed'],
    );
    assert.ok(stage.server.attempts.every(({ target }) => target !== 'away-5c5c'));
  });

  test('each refusal comes at the same time after the attempt, whatever the server takes', async () => {
    const { answer } = stage.server;
    stage.server.answer = async (request) => {
      // What is known takes longer to decide.
      if (request.target === demo) await new Promise((resolve) => setTimeout(resolve, 100));
      return stage.server.decide(request);
    };
    try {
      const times = new Map<string, number[]>();
      for (let round = 0; round < 8; round += 1) {
        for (const name of [demo, 'nobody-9z9z', 'away-5c5c']) {
          const { ms } = await tried(stage.sharedPort, name, { method: 'password', password: wrong });
          times.set(name, [...(times.get(name) ?? []), ms]);
        }
      }
      const medians = [...times.values()].map((each) => each.sort((a, b) => a - b)[4] ?? 0);
      for (const median of medians) assert.ok(median >= 250, `${median} ms`);
      assert.ok(Math.max(...medians) - Math.min(...medians) < 40, medians.join(', '));
    } finally {
      stage.server.answer = answer;
    }
  });

  test('a wrong signature is counted by the server, recorded, and never right', async () => {
    const key = stage.personKey.key;
    const elsewhere = await generateSigningKey('ssh-ed25519');
    const signer = {
      blob: key.publicKey.blob,
      algorithms: key.publicKey.signatureAlgorithms,
      sign: (data: Buffer) => elsewhere.sign(data),
    };
    const { isIn, ms } = await tried(stage.ownPort, 'developer', { method: 'publickey', key: signer });
    assert.equal(isIn, false);
    assert.ok(ms >= 250);
    // The double looks at the key alone, and would let it in.
    assert.partialDeepStrictEqual(stage.server.attempts, [{ key: { signature_ok: false } }]);
    const { fingerprint } = stage.personKey;
    assert.partialDeepStrictEqual(stage.attempts(), [
      {
        accepted: false,
        reason: 'wrong_signature',
        method: 'publickey',
        fingerprint,
        account: null,
        target: demo,
      },
    ]);
  });

  for (const way of waysOfTest) {
    test(`${way}: a locked pair and a banned source are told so, and until when`, async () => {
      const until = new Date(Math.ceil(Date.now() / 60_000) * 60_000 + 600_000);
      const shown = `${until.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
      const asked = () => stage.server.attempts.filter((each) => each.way === way).length;
      const ssh = () => stage.ssh({ way, identities: [stage.personKey.file], command: 'echo in' });
      stage.tell({ type: 'lockout', target: demo, source: '127.0.0.1', until: until.toISOString() });
      const locked = await ssh();
      assert.equal(locked.status, 255);
      assert.ok(locked.stderr.includes(`Locked until ${shown} after too many failed logins from 127.0.0.1.`));
      assert.equal(asked(), 0);
      assert.equal(stage.attempts().at(-1)?.reason, 'locked');
      stage.tell({ type: 'lockout', target: demo, source: '127.0.0.1', until: null });
      stage.tell({ type: 'lockout', target: demo, source: '127.0.0.2', until: until.toISOString() });
      stage.tell({ type: 'lockout', target: other, source: '127.0.0.1', until: until.toISOString() });
      stage.tell({ type: 'lockout', target: demo, source: '127.0.0.1', until: new Date(0).toISOString() });
      assert.equal((await ssh()).stdout, 'in\n', 'another pair, and what is over, lock nobody');
      stage.tell({ type: 'lockout', target: other, source: '127.0.0.1', until: null });
    });

    test(`${way}: a banned source is not spoken to, and is recorded with a count`, async () => {
      stage.tell({ type: 'ban', source: '127.0.0.1', until: new Date(Date.now() + 600_000).toISOString() });
      try {
        for (let round = 0; round < 3; round += 1) {
          const { status, stderr } = await stage.ssh({ way, password, command: 'echo in' });
          assert.equal(status, 255);
          assert.match(stderr, /Connection (closed|reset)|kex_exchange_identification/);
        }
        assert.equal(stage.server.attempts.length, 0);
        await until('the record', () => stage.attempts().length > 0);
        const target = way === 'own-port' ? demo : '';
        const atDoor = way === 'jump' ? 'shared-port' : way;
        assert.partialDeepStrictEqual(stage.attempts(), [
          {
            reason: 'banned',
            source: '127.0.0.1',
            way: atDoor,
            target,
            count: 3,
            method: null,
            connection: null,
          },
        ]);
        assert.equal(stage.attempts().length, 1);
      } finally {
        stage.tell({ type: 'ban', source: '127.0.0.1', until: null });
      }
    });
  }

  test('ends a connection after its attempts', async () => {
    const passwords = Array.from({ length: 9 }, () => ({ method: 'password', password: wrong }) as const);
    const { seen } = await tried(stage.ownPort, 'developer', ...passwords);
    assert.match(seen, /Too many failed attempts/);
    assert.equal(stage.server.attempts.length, stage.settings.attemptsPerConnection);
  });

  test('wrote nothing of its own into the log', () => {
    assert.deepEqual(stage.log, []);
  });
});
