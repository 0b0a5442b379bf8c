/** One client's life on each way in, with stock ssh and sshd: who gets in, what is carried, what is recorded. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, describe, test } from 'node:test';
import { missingSshd } from '../../ssh/src/testing/sshd.ts';
import { Stage, demo, password, waysOfTest } from './testing/stage.ts';

describe('ways in', { skip: missingSshd }, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.start();
  });
  after(() => stage[Symbol.asyncDispose]());
  beforeEach(() => {
    stage.records.length = 0;
    stage.server.attempts.length = 0;
  });

  for (const way of waysOfTest) {
    describe(way, () => {
      test('lets a key in, which the server was asked about once', async () => {
        const { status, stdout, stderr } = await stage.ssh({
          way,
          identities: [stage.personKey.file],
          command: 'echo out; echo err >&2; exit 7',
        });
        assert.deepEqual({ status, stdout, stderr }, { status: 7, stdout: 'out\n', stderr: 'err\n' });
        const asked = stage.server.attempts.filter((attempt) => attempt.way === way);
        assert.equal(asked.length, 1);
        assert.partialDeepStrictEqual(asked[0], {
          target: demo,
          method: 'publickey',
          password: null,
          source: '127.0.0.1',
          jumper: way === 'jump' ? 'alice' : null,
        });
        assert.match(asked[0]?.client ?? '', /^SSH-2\.0-OpenSSH/);
      });
    });
  }
});
