/** One client's life on each way in, with stock ssh and sshd: who gets in, what is carried, what is recorded. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { fingerprint, signUserCertificate } from '@berth/ssh';
import { missingSshd } from '../../ssh/src/testing/sshd.ts';
import { Stage, account, demo, other, password, waysOfTest } from './testing/stage.ts';
import { until } from './testing/until.ts';

const wrong = 'Wrong-Horse-7-Battery';

describe('ways in', { skip: missingSshd }, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.start();
  });
  after(() => stage[Symbol.asyncDispose]());
  beforeEach(async () => {
    await until('nobody is in', () => stage.worker.connections().length === 0);
    stage.records.length = 0;
    stage.server.attempts.length = 0;
    stage.server.answer = undefined;
    stage.server.isUp = true;
  });

  for (const way of waysOfTest) {
    describe(way, () => {
      const asked = () => stage.server.attempts.filter((attempt) => attempt.way === way);
      const tried = () => stage.attempts().filter((attempt) => attempt.way === way);

      test('lets a key in, which the server was asked about once', async () => {
        const { status, stdout, stderr } = await stage.ssh({
          way,
          identities: [stage.strangerKey.file, stage.personKey.file],
          command: 'echo out; echo err >&2; exit 7',
        });
        assert.deepEqual({ status, stdout, stderr }, { status: 7, stdout: 'out\n', stderr: 'err\n' });
        assert.equal(asked().length, 1);
        assert.partialDeepStrictEqual(asked()[0], {
          target: demo,
          method: 'publickey',
          password: null,
          source: '127.0.0.1',
          jumper: way === 'jump' ? account : null,
        });
        assert.match(asked()[0]?.client ?? '', /^SSH-2\.0-OpenSSH/);
        assert.partialDeepStrictEqual(tried(), [
          {
            id: asked()[0]?.id,
            accepted: true,
            reason: null,
            method: 'publickey',
            fingerprint: stage.personKey.fingerprint,
            account,
            customer: 1,
            target: demo,
            count: 1,
          },
        ]);
      });

      test('lets a password in, typed at either method, and refuses a wrong one', async () => {
        for (const method of ['password', 'keyboard-interactive'] as const) {
          const config = [`PreferredAuthentications ${method}`];
          const right = await stage.ssh({ way, password, config, command: 'echo in' });
          assert.equal(right.stdout, 'in\n', right.stderr);
          const refused = await stage.ssh({ way, password: wrong, config, command: 'echo in' });
          assert.equal(refused.status, 255);
          assert.match(refused.stderr, /Permission denied/);
          assert.deepEqual(
            tried().map(({ method, accepted, reason }) => ({ method, accepted, reason })),
            [
              { method, accepted: true, reason: null },
              { method, accepted: false, reason: 'wrong_password' },
            ],
          );
          stage.records.length = 0;
        }
      });

      test('offers a certificate of a known authority to the server, and no other', async () => {
        const certificate = (authority: typeof stage.personKey) =>
          signUserCertificate({
            ca: authority.key,
            publicKey: stage.strangerKey.key.publicKey.blob,
            keyId: 'of a test',
            principals: [demo],
            validAfter: new Date(0),
            validBefore: 'forever',
          }).line;
        const run = (line: string) =>
          stage.ssh({
            way,
            identities: [stage.strangerKey.file],
            config: [`CertificateFile ${stage.write('stranger-cert.pub', `${line}\n`)}`],
            command: 'echo in',
          });
        const authorities = [stage.personKey.fingerprint];
        stage.tell({ type: 'customer', id: 1, route: { id: 1, allowlist: [], keys: [], authorities } });
        stage.server.answer = (request) => {
          if (request.way !== way) return stage.server.decide(request);
          const upstream = stage.server.upstreamFor(request.upstream_key, request.id);
          return { outcome: 'accept', grant: stage.server.grantFor(request), upstream };
        };
        try {
          assert.equal((await run(certificate(stage.personKey))).stdout, 'in\n');
          const [{ key } = assert.fail()] = asked();
          assert.equal(key?.algorithm, 'ssh-ed25519-cert-v01@openssh.com');
          assert.equal(fingerprint(Buffer.from(key.blob, 'base64')), stage.strangerKey.fingerprint);
          assert.equal((await run(certificate(stage.accountKey))).status, 255);
          assert.equal(asked().length, 1, 'a certificate of an unknown authority is not asked about');
        } finally {
          stage.setCustomer(1, []);
        }
      });

      test('records whoever shows nothing but unknown keys, without saying which', async () => {
        assert.equal((await stage.ssh({ way, identities: [stage.strangerKey.file] })).status, 255);
        await until('the record', () => tried().length > 0);
        assert.partialDeepStrictEqual(tried(), [
          { accepted: false, method: 'publickey', reason: 'wrong_key', fingerprint: null, account: null },
        ]);
        assert.equal(asked().length, 0);
      });

      test('refuses another user name like a wrong password', async () => {
        // Even where the server would let it in.
        stage.server.answer = (request) =>
          stage.server.decide(request.way === way ? { ...request, target: demo } : request);
        const user = way === 'shared-port' ? 'nobody-9z9z' : 'root';
        if (way === 'shared-port') stage.server.answer = undefined;
        const refused = await stage.ssh({ way, user, password, command: 'echo in' });
        const usual = await stage.ssh({ way, password: wrong, command: 'echo in' });
        assert.equal(refused.stdout, '');
        const shown = (text: string) => text.replaceAll(/^\S+@\S+: /gm, '');
        assert.equal(shown(refused.stderr), shown(usual.stderr));
        const reasons = tried().map(({ reason }) => reason);
        assert.deepEqual([...new Set(reasons)], ['unknown_name', 'wrong_password']);
      });

      test('tells the programs inside where the person is, and nobody can say otherwise', async () => {
        const { stdout } = await stage.ssh({
          way,
          identities: [stage.personKey.file],
          config: ['SetEnv BERTH_CLIENT=10.0.0.1 COLOR=red'],
          command: 'echo "$BERTH_CLIENT $COLOR"',
        });
        assert.match(stdout, /^127\.0\.0\.1 \d+ red\n$/);
      });

      test('carries a terminal, sftp and forwardings', async () => {
        const identities = [stage.personKey.file];
        const terminal = await stage.ssh({ way, identities, flags: ['-tt'], command: 'tty; stty size' });
        assert.match(terminal.stdout, /^\/dev\/pts\//);
        const sftp = await stage.ssh({ way, identities, flags: ['-s'], command: 'sftp' });
        assert.equal(sftp.status, 0, sftp.stderr);
        const path = join(stage.folder, `${way}.socket`);
        const forward = ['-N', '-L', `${path}:127.0.0.1:${stage.sshd.port}`];
        const forwarded = stage.start({ way, identities, flags: forward });
        await until('the forwarded server answers', () => saysSsh(path));
        forwarded.kill();
      });

      test('records the connection at its start, as it goes on, and at its end, to the byte', async () => {
        const { status } = await stage.ssh({
          way,
          identities: [stage.personKey.file],
          command: 'head -c 1000000 /dev/zero; sleep 1.5',
        });
        assert.equal(status, 0);
        await until('the last record', () => stage.connections().at(-1)?.ended_at !== null);
        const records = stage.connections();
        const [first, ...later] = records;
        const last = records.at(-1);
        assert.partialDeepStrictEqual(first, {
          environment: demo,
          customer: 1,
          account,
          way,
          method: 'publickey',
          key_name: 'laptop',
          fingerprint: stage.personKey.fingerprint,
          source: '127.0.0.1',
          ended_at: null,
        });
        assert.ok(later.some(({ ended_at, bytes_out }) => ended_at === null && bytes_out > 1_000_000));
        assert.partialDeepStrictEqual(last, { channels: 1, open_channels: 0 });
        assert.ok((last?.bytes_out ?? 0) > 1_000_000);
        assert.equal(new Set(records.map(({ id }) => id)).size, 1);
        assert.equal(first?.id, asked()[0]?.connection);
      });

      test('says that the server is away, within 5 s, to whoever comes now', async () => {
        const attempt = stage.server.attempt.bind(stage.server);
        stage.server.attempt = (request, signal) => {
          stage.server.isUp = request.way === 'jump-login';
          return attempt(request, signal);
        };
        try {
          const { status, stderr, ms } = await stage.ssh({ way, password, command: 'echo in' });
          assert.equal(status, 255);
          assert.match(stderr, /Berth's server is away for a moment; try again/);
          assert.ok(ms < 6000);
          assert.equal(tried().at(-1)?.reason, 'unavailable');
        } finally {
          stage.server.attempt = attempt;
        }
      });

      test('says so where the environment does not answer, or is another one', async () => {
        stage.server.answer = (request) => {
          const answer = stage.server.decide(request);
          if (answer.outcome !== 'accept') return answer;
          return {
            ...answer,
            upstream: { ...answer.upstream, hostKey: stage.environmentHostKey.publicKey.toString('base64') },
          };
        };
        const { status, stderr } = await stage.ssh({ way, password, command: 'echo in' });
        assert.equal(status, 255);
        assert.match(stderr, /demo-7f3k does not answer at the moment; try again/);
        assert.partialDeepStrictEqual(tried(), [{ accepted: false, reason: 'failed' }]);
      });
    });
  }

  test('shows the sentence of the server, and ends when it says so', async () => {
    stage.server.answer = () => ({
      outcome: 'refuse',
      reason: 'wrong_password',
      sentence: 'The password is too old.',
    });
    const refused = await stage.ssh({ way: 'own-port', password });
    assert.match(refused.stderr, /The password is too old\.\r?\n[^]*Permission denied/);
    stage.server.answer = () => ({ outcome: 'end', reason: 'locked', sentence: 'Locked until 09:30 UTC.' });
    const ended = await stage.ssh({ way: 'shared-port', password });
    assert.match(ended.stderr, /Locked until 09:30 UTC/);
    assert.doesNotMatch(ended.stderr, /Permission denied/);
  });

  test('offers no password where an environment takes none, on its own port', async () => {
    stage.setEnvironment({ passwordLogin: false });
    try {
      const own = await stage.ssh({ way: 'own-port', password });
      assert.match(own.stderr, /Permission denied \(publickey\)/);
      const shared = await stage.ssh({ way: 'shared-port', password: wrong });
      assert.match(shared.stderr, /Permission denied \(publickey,password,keyboard-interactive\)/);
      assert.ok(stage.server.attempts.every(({ way }) => way === 'shared-port'));
    } finally {
      stage.setEnvironment({});
    }
  });

  test('demands what the grant says of a certificate or key before it dials, and only its own environment', async () => {
    stage.server.answer = (request) => {
      const answer = stage.server.decide(request);
      if (answer.outcome !== 'accept') return answer;
      return { ...answer, grant: { ...answer.grant, environment: other } };
    };
    const { status } = await stage.ssh({ way: 'own-port', password, command: 'echo in' });
    assert.equal(status, 255);
    assert.match(stage.log.join('\n'), /was granted other-2b2b/);
    stage.log.length = 0;
  });

  test('ends whoever has not logged in when the grace is over', async () => {
    stage.setSettings({ graceSeconds: 1 });
    try {
      const socket = connect(stage.sharedPort, '127.0.0.1');
      const began = performance.now();
      socket.resume();
      await once(socket, 'close');
      const ms = performance.now() - began;
      assert.ok(ms > 900 && ms < 3000, `${ms} ms`);
    } finally {
      stage.setSettings({ graceSeconds: 120 });
    }
  });

  test('wrote nothing of its own into the log', () => {
    assert.deepEqual(stage.log, []);
  });
});

async function saysSsh(path: string): Promise<boolean> {
  const socket = connect({ path });
  try {
    const [line] = (await once(socket, 'data')) as [Buffer];
    return line.toString().startsWith('SSH-2.0-OpenSSH');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
