import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';
import type { AttemptAnswer, AttemptRequest, Refusal } from '@berth/contract';
import { countedSource } from '@berth/contract';
import { generateHostKey, parsePublicKey } from '@berth/ssh';
import { databases } from '../../../../test/harness/databases.ts';
import { eventually } from '../../../../test/harness/ssh.ts';
import { makeKey, sshKeygenIn } from '../../../ssh/src/testing/ssh-keygen.ts';
import { removeAccount } from '../accounts/accounts.ts';
import { deleteEnvironment, resetPassword, stopEnvironment } from '../environments/environments.ts';
import { replacePasswords } from '../housekeeping/passwords.ts';
import type { Services } from '../http/app.ts';
import { endLockout } from '../lockouts/lockouts.ts';
import { addAuthority, setRevocations } from '../ssh-authorities/ssh-authorities.ts';
import { addKey, removeKey } from '../ssh-keys/ssh-keys.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { decideAttempt } from './attempts.ts';

const id = () => randomBytes(12).toString('hex');
const upstreamKey = parsePublicKey(generateHostKey().publicLine).blob.toString('base64');
let sources = 0;
/** Each that nobody has failed from. */
const freshSource = () => `10.${(sources >> 16) & 255}.${(sources >> 8) & 255}.${(sources += 1) & 255}`;

interface Pair {
  line: string;
  blob: string;
  fingerprint: string;
}

function makePair(...parameters: string[]): Pair {
  const { publicLine } = makeKey(...(parameters.length > 0 ? parameters : ['-t', 'ed25519']));
  const { blob, fingerprint } = parsePublicKey(publicLine);
  return { line: publicLine.trim(), blob: blob.toString('base64'), fingerprint };
}

function shown(pair: Pair, certificate: string | null = null): NonNullable<AttemptRequest['key']> {
  return { blob: pair.blob, certificate, algorithm: 'ssh-ed25519', signature_ok: true, security_key: null };
}

/** An authority of ssh-keygen's, whose certificates are ssh-keygen's too. */
function makeAuthority() {
  const { privateKey, publicLine } = makeKey('-t', 'ed25519');
  const sign = (pair: Pair, ...options: string[]): string => {
    const { files } = sshKeygenIn({ ca: privateKey, 'key.pub': `${pair.line}\n` }, [
      '-q',
      '-s',
      'ca',
      '-I',
      'badge 7',
      ...options,
      'key.pub',
    ]);
    return files.get('key-cert.pub')?.toString('utf8').split(' ')[1] ?? '';
  };
  return { line: publicLine.trim(), sign };
}

/** Answers without what differs between any two. */
const outcomeOf = (answer: AttemptAnswer): string =>
  answer.outcome === 'refuse' || answer.outcome === 'end'
    ? `${answer.outcome} ${answer.reason}`
    : answer.outcome === 'wake'
      ? `wake ${answer.when}`
      : answer.outcome;

for (const on of databases) {
  describe(`attempts on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let alice: Account;
    let bob: Account;
    const authority = makeAuthority();
    const keys = { hers: makePair(), colleagues: makePair(), his: makePair(), nobodys: makePair() };
    /** Those of the environment that runs. */
    let demo: string;
    let password: string;

    before(async () => {
      plane = await ControlPlane.open(on);
      await begin();
    });
    after(() => plane.close());

    const begin = async () => {
      [alice, bob] = [await plane.account('alice'), await plane.account('bob')];
      const colleague = await plane.account('alice', 'admin');
      for (const [{ principal }, pair] of [
        [alice, keys.hers],
        [colleague, keys.colleagues],
        [bob, keys.his],
      ] as const)
        await addKey(
          plane.database,
          principal,
          { principal, source: null },
          { name: 'laptop', public_key: pair.line },
        );
      const { principal } = alice;
      const key = { name: 'CA', public_key: authority.line };
      await addAuthority(plane.database, { principal, source: null }, key);
      await plane.startReconciler();
      ({ id: demo, password } = await make('demo'));
      await plane.until(demo, 'running');
      await settle();
    };
    const make = async (name: string) => {
      const { env_id, ssh_password } = await plane.create({ name }, plane.services, alice.principal);
      return { id: env_id, password: ssh_password };
    };
    /** What was announced is in the directory. */
    const settle = () => plane.services.directory.reload();
    const request = (given: Partial<AttemptRequest> = {}): AttemptRequest => {
      const target = given.target ?? demo;
      const way = given.way ?? 'shared-port';
      return {
        id: id(),
        connection: id(),
        gateway: id(),
        way,
        target,
        jumper: way === 'jump' ? alice.principal.account : null,
        user: way === 'own-port' || way === 'jump' ? 'developer' : target,
        source: freshSource(),
        source_port: 50_000,
        client: 'SSH-2.0-OpenSSH_10.0',
        method: given.key ? 'publickey' : 'password',
        password: null,
        key: null,
        upstream_key: upstreamKey,
        ...given,
      };
    };
    const ask = (given: Partial<AttemptRequest> = {}, services: Services = plane.services) =>
      decideAttempt(services, request(given), new AbortController().signal);
    const environmentSet = async (change: object, environment = demo) => {
      await plane.database.updateTable('environments').set(change).where('id', '=', environment).execute();
      await settle();
    };
    const allow = async (env_id: string | null, network: string) => {
      const row = { customer_id: alice.principal.customerId, env_id, network, note: '' };
      const { id } = await plane.database
        .insertInto('allowlist_entries')
        .values(row)
        .returning('id')
        .executeTakeFirstOrThrow();
      await settle();
      return async () => {
        await plane.database.deleteFrom('allowlist_entries').where('id', '=', id).execute();
        await settle();
      };
    };

    describe('by a credential', () => {
      const certificate = (...options: string[]) => ({
        key: shown(keys.nobodys, authority.sign(keys.nobodys, ...options)),
      });
      const other = makeAuthority();
      const forDemo = ['-n', 'developer', '-V', '-1m:+10m'];
      /** name, what is shown, what comes of it on a way that leads to an environment, and on the outer session of a jump. */
      const credentials: [
        name: string,
        shown: () => Partial<AttemptRequest>,
        environment: string,
        jump: string,
      ][] = [
        ['the password', () => ({ password }), 'accept', 'refuse password_off'],
        [
          'the password, asked for',
          () => ({ password, method: 'keyboard-interactive' }),
          'accept',
          'refuse password_off',
        ],
        [
          'a wrong password',
          () => ({ password: `${password}x` }),
          'refuse wrong_password',
          'refuse password_off',
        ],
        ['an empty password', () => ({ password: '' }), 'refuse wrong_password', 'refuse password_off'],
        ['a key', () => ({ key: shown(keys.hers) }), 'accept', 'jump'],
        [
          'a key with a wrong signature',
          () => ({ key: { ...shown(keys.hers), signature_ok: false } }),
          'refuse wrong_signature',
          'refuse wrong_signature',
        ],
        ["a colleague's key", () => ({ key: shown(keys.colleagues) }), 'accept', 'refuse wrong_key'],
        ["another customer's key", () => ({ key: shown(keys.his) }), 'refuse wrong_key', 'refuse wrong_key'],
        ["nobody's key", () => ({ key: shown(keys.nobodys) }), 'refuse wrong_key', 'refuse wrong_key'],
        [
          'a certificate for the user name',
          () => certificate(...forDemo),
          'accept',
          'refuse wrong_certificate',
        ],
        [
          "a certificate for the environment's id",
          () => certificate('-n', `x,${demo}`),
          'accept',
          'refuse wrong_certificate',
        ],
        ['a certificate for the account', () => certificate('-n', alice.principal.account), 'accept', 'jump'],
        [
          "a certificate for a colleague's account",
          () => certificate('-n', 'admin-of-alice'),
          'accept',
          'refuse wrong_certificate',
        ],
        [
          "a certificate for another customer's account",
          () => certificate('-n', bob.principal.account),
          'refuse wrong_certificate',
          'refuse wrong_certificate',
        ],
        [
          'a certificate for other names',
          () => certificate('-n', 'root,demo'),
          'refuse wrong_certificate',
          'refuse wrong_certificate',
        ],
        [
          'a certificate for no name',
          () => certificate(),
          'refuse wrong_certificate',
          'refuse wrong_certificate',
        ],
        [
          'a certificate of a host',
          () => certificate('-h', ...forDemo),
          'refuse wrong_certificate',
          'refuse wrong_certificate',
        ],
        [
          'a certificate that has expired',
          () => certificate('-n', 'developer', '-V', '-2d:-1d'),
          'refuse wrong_certificate',
          'refuse wrong_certificate',
        ],
        [
          'a certificate that is not valid yet',
          () => certificate('-n', 'developer', '-V', '+1d:+2d'),
          'refuse wrong_certificate',
          'refuse wrong_certificate',
        ],
        [
          'a certificate for these addresses',
          () => certificate(...forDemo, '-O', 'source-address=10.0.0.0/8'),
          'accept',
          'refuse wrong_certificate',
        ],
        [
          'a certificate for other addresses',
          () => certificate(...forDemo, '-O', 'source-address=192.0.2.0/24'),
          'refuse wrong_certificate',
          'refuse wrong_certificate',
        ],
        [
          'a certificate with an unknown demand',
          () => certificate(...forDemo, '-O', 'critical:x@example.com=y'),
          'refuse wrong_certificate',
          'refuse wrong_certificate',
        ],
        [
          'a certificate of an unknown authority',
          () => ({ key: shown(keys.nobodys, other.sign(keys.nobodys, ...forDemo)) }),
          'refuse wrong_certificate',
          'refuse wrong_certificate',
        ],
        [
          'a certificate for another key',
          () => ({ key: shown(keys.his, authority.sign(keys.nobodys, ...forDemo)) }),
          'refuse wrong_certificate',
          'refuse wrong_certificate',
        ],
        [
          'a damaged certificate',
          () => ({ key: shown(keys.nobodys, certificate(...forDemo).key.certificate?.slice(0, 200) ?? '') }),
          'refuse wrong_certificate',
          'refuse wrong_certificate',
        ],
        [
          'a certificate without forwarding',
          () => certificate('-n', alice.principal.account, '-O', 'no-port-forwarding'),
          'accept',
          'refuse wrong_certificate',
        ],
        ['nothing', () => ({}), 'refuse wrong_password', 'refuse password_off'],
      ];
      for (const [name, shownBy, expected, jump] of credentials) {
        test(name, async () => {
          for (const way of ['own-port', 'shared-port', 'jump'] as const)
            assert.equal(outcomeOf(await ask({ way, ...shownBy() })), expected, way);
          const target = alice.principal.account;
          assert.equal(outcomeOf(await ask({ way: 'jump-login', target, ...shownBy() })), jump, 'jump-login');
          for (const way of ['own-port', 'shared-port', 'jump', 'jump-login'] as const) {
            const answer = await ask({ way, ...shownBy(), target: 'none-2222' });
            assert.deepEqual(answer, { outcome: 'refuse', reason: 'unknown_name', sentence: null }, way);
          }
        });
      }
    });

    test('say who got in, and what may be done there', async () => {
      const granted = async (given: Partial<AttemptRequest>) => {
        const answer = await ask(given);
        assert.ok(answer.outcome === 'accept', JSON.stringify(answer));
        return answer.grant;
      };
      const all = { local: true, remote: true, agent: true, x11: true, sftp: true };
      const usual = {
        environment: demo,
        customer: alice.principal.customerId,
        forwarding: all,
        terminal: true,
        forceCommand: null,
        verificationRequired: false,
      };
      const unnamed = { account: null, keyName: null, fingerprint: null, touchRequired: false };
      assert.deepEqual(await granted({ password }), { ...usual, ...unnamed });
      const jumper = alice.principal.account;
      assert.deepEqual(await granted({ password, way: 'jump' }), { ...usual, ...unnamed, account: jumper });
      const { fingerprint } = keys.hers;
      const named = { account: jumper, keyName: 'laptop', fingerprint, touchRequired: true };
      assert.deepEqual(await granted({ key: shown(keys.hers) }), { ...usual, ...named });
      const sign = (...options: string[]) => ({
        key: shown(keys.nobodys, authority.sign(keys.nobodys, ...options)),
      });
      const limits = [
        'no-agent-forwarding',
        'no-pty',
        'force-command=backup',
        'verify-required',
        'no-touch-required',
      ];
      const limited = sign('-n', jumper, ...limits.flatMap((each) => ['-O', each]));
      await environmentSet({ forwarding: JSON.stringify({ ...all, x11: false, sftp: false }) });
      assert.deepEqual(await granted(limited), {
        ...usual,
        account: jumper,
        keyName: 'badge 7',
        fingerprint: keys.nobodys.fingerprint,
        forwarding: { local: true, remote: true, agent: false, x11: false, sftp: false },
        terminal: false,
        forceCommand: 'backup',
        touchRequired: false,
        verificationRequired: true,
      });
      await environmentSet({ forwarding: JSON.stringify(all) });
      const bare = await granted(sign('-n', demo, '-O', 'clear'));
      assert.deepEqual(
        [bare.account, bare.forwarding, bare.terminal],
        [null, { local: false, remote: false, agent: false, x11: false, sftp: true }, false],
      );
    });

    test('by a security key need its touch, and its PIN where that is demanded, and are not counted without', async () => {
      const source = freshSource();
      const touched = (user_present: boolean, user_verified: boolean, certificate: string | null = null) => ({
        source,
        key: {
          ...shown(certificate === null ? keys.hers : keys.nobodys, certificate),
          security_key: { user_present, user_verified },
        },
      });
      const verify = authority.sign(keys.nobodys, '-n', demo, '-O', 'verify-required');
      const noTouch = authority.sign(keys.nobodys, '-n', demo, '-O', 'no-touch-required');
      for (let round = 0; round < 6; round += 1) {
        const answer = await ask(touched(false, true));
        assert.ok(answer.outcome === 'refuse' && /touched/.test(answer.sentence ?? ''));
        assert.equal(outcomeOf(await ask(touched(true, false, verify))), 'refuse wrong_signature');
      }
      assert.equal(outcomeOf(await ask(touched(true, false))), 'accept');
      assert.equal(outcomeOf(await ask(touched(true, true, verify))), 'accept');
      assert.equal(outcomeOf(await ask(touched(false, false, noTouch))), 'accept');
    });

    test('with another user name, or through the jump of another customer, lead nowhere', async () => {
      for (const credential of [{ password }, { key: shown(keys.hers) }]) {
        for (const given of [
          { way: 'own-port', user: 'root' },
          { way: 'own-port', user: demo },
          { way: 'jump', user: 'root' },
          { way: 'jump', jumper: bob.principal.account },
          { way: 'jump', jumper: 'admin' },
          { way: 'jump', jumper: null },
          { way: 'shared-port', target: alice.principal.account },
          { way: 'jump-login', target: demo },
        ] as const) {
          const answer = await ask({ ...credential, ...given });
          assert.deepEqual(
            answer,
            { outcome: 'refuse', reason: 'unknown_name', sentence: null },
            JSON.stringify(given),
          );
        }
      }
    });

    test('a revoked key, certificate, serial number or authority opens nothing', async () => {
      const asker = { principal: alice.principal, source: null };
      const revoke = async (file: string | Buffer) => {
        await setRevocations(plane.database, asker, { list: Buffer.from(file).toString('base64') });
        await settle();
      };
      const serial = (number: string) => ({
        key: shown(keys.nobodys, authority.sign(keys.nobodys, '-n', demo, '-z', number)),
      });
      const krl = (specification: string) =>
        sshKeygenIn({ 'ca.pub': `${authority.line}\n`, spec: specification }, [
          '-q',
          '-k',
          '-f',
          'krl',
          '-s',
          'ca.pub',
          'spec',
        ]).files.get('krl') ?? Buffer.alloc(0);
      await revoke(krl('serial: 7\n'));
      assert.equal(outcomeOf(await ask(serial('7'))), 'refuse wrong_certificate');
      assert.equal(outcomeOf(await ask(serial('8'))), 'accept');
      await revoke(krl('id: badge 7\n'));
      assert.equal(outcomeOf(await ask(serial('8'))), 'refuse wrong_certificate');
      await revoke(`# lost\n${keys.nobodys.line}\n\n${keys.hers.line}\n`);
      assert.equal(outcomeOf(await ask(serial('8'))), 'refuse wrong_certificate');
      for (const way of ['own-port', 'shared-port', 'jump'] as const)
        assert.equal(outcomeOf(await ask({ way, key: shown(keys.hers) })), 'refuse wrong_key', way);
      const jump = { way: 'jump-login', target: alice.principal.account } as const;
      assert.equal(outcomeOf(await ask({ ...jump, key: shown(keys.hers) })), 'refuse wrong_key');
      assert.equal(outcomeOf(await ask({ key: shown(keys.colleagues) })), 'accept');
      await revoke(authority.line);
      assert.equal(outcomeOf(await ask(serial('9'))), 'refuse wrong_certificate');
      await plane.database.deleteFrom('ssh_revocations').execute();
      await settle();
      assert.equal(outcomeOf(await ask(serial('7'))), 'accept');
    });

    test('from outside the allowlist are refused whatever they show, and count and lock like all that is wrong', async () => {
      const jump = { way: 'jump-login', target: alice.principal.account } as const;
      for (const [where, env_id] of [
        ['environment', demo],
        ['customer', null],
      ] as const) {
        const undo = await allow(env_id, '192.0.2.0/24');
        const undoOther = await allow(env_id, '2001:db8::/32');
        try {
          for (const way of ['own-port', 'shared-port', 'jump'] as const) {
            for (const credential of [{ password }, { key: shown(keys.hers) }]) {
              const outside = await ask({ way, ...credential });
              assert.deepEqual(outside, { outcome: 'refuse', reason: 'not_allowed', sentence: null });
              for (const source of ['192.0.2.9', '::ffff:192.0.2.9', '2001:db8::1'])
                assert.equal(outcomeOf(await ask({ way, ...credential, source })), 'accept', source);
            }
          }
          const expected = where === 'customer' ? 'refuse not_allowed' : 'jump';
          assert.equal(outcomeOf(await ask({ ...jump, key: shown(keys.hers) })), expected);
          const source = freshSource();
          const sentences = [];
          for (let tries = 0; tries < 5; tries += 1) {
            const answer = await ask({ password, source });
            sentences.push(answer.outcome === 'refuse' ? answer.sentence : '');
          }
          assert.match(sentences.at(-1) ?? '', /^Locked until/);
        } finally {
          await undo();
          await undoOther();
        }
      }
      assert.equal(outcomeOf(await ask({ password })), 'accept');
    });

    describe('that fail', () => {
      const ways = ['own-port', 'shared-port', 'jump', 'jump-login'] as const;
      const wrongs: [name: string, shown: () => Partial<AttemptRequest>][] = [
        ['passwords', () => ({ password: 'wrong' })],
        ['passwords, asked for', () => ({ password: 'wrong', method: 'keyboard-interactive' })],
        ['keys', () => ({ key: shown(keys.nobodys) })],
        ['signatures', () => ({ key: { ...shown(keys.hers), signature_ok: false } })],
        ['certificates', () => ({ key: shown(keys.nobodys, authority.sign(keys.nobodys, '-n', 'x')) })],
      ];
      for (const way of ways) {
        for (const [what, wrong] of wrongs) {
          test(`lock by five wrong ${what} on the way ${way}, and only that pair`, async () => {
            const source = freshSource();
            const target = way === 'jump-login' ? alice.principal.account : demo;
            const right = { key: shown(keys.hers) };
            for (const name of [target, 'none-2222']) {
              for (let tries = 1; tries <= 5; tries += 1) {
                const answer = await ask({ way, target: name, source, ...wrong() });
                assert.ok(answer.outcome === 'refuse');
                assert.notEqual(answer.reason, 'locked');
                assert.equal(
                  (answer.sentence ?? '').startsWith('Locked until'),
                  tries === 5,
                  `${name} ${tries}`,
                );
              }
              await eventually(
                () => plane.services.directory.lockedUntil(name, source),
                (until) => until !== null,
              );
              const answer = await ask({ way, target: name, source, ...right });
              assert.ok(answer.outcome === 'refuse' && answer.reason === 'locked');
              assert.match(
                answer.sentence ?? '',
                new RegExp(
                  `^Locked until \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC after 5 failed logins from ${source}\\.`,
                ),
              );
            }
            const expected = way === 'jump-login' ? 'jump' : 'accept';
            assert.equal(outcomeOf(await ask({ way, target, ...right })), expected, 'from elsewhere');
            const row = await plane.database
              .selectFrom('lockouts')
              .selectAll()
              .where('source', '=', source)
              .where('target', '=', target)
              .executeTakeFirstOrThrow();
            assert.equal(row.failures, 5);
            assert.equal(row.customer_id, alice.principal.customerId);
            const minutes = (row.until.getTime() - row.locked_at.getTime()) / 60_000;
            assert.ok(Math.abs(minutes - 30) < 0.1);
          });
        }
      }

      test('leave a record of the lockout, by which it can be ended at once', async () => {
        const source = freshSource();
        for (let tries = 0; tries < 5; tries += 1) await ask({ source, password: 'wrong' });
        const row = await plane.database
          .selectFrom('lockouts')
          .selectAll()
          .where('source', '=', source)
          .executeTakeFirstOrThrow();
        const records = await plane.database
          .selectFrom('audit')
          .selectAll()
          .where('source', '=', source)
          .where('action', '=', 'lockout.set')
          .execute();
        assert.deepEqual(
          records.map(({ target, customer_id }) => [target, customer_id]),
          [[demo, alice.principal.customerId]],
        );
        await endLockout(plane.database, { principal: alice.principal, source: null }, row.id);
        await eventually(
          () => plane.services.directory.lockedUntil(demo, source),
          (until) => until === null,
        );
        for (let tries = 0; tries < 4; tries += 1)
          assert.equal(outcomeOf(await ask({ source, password: 'wrong' })), 'refuse wrong_password');
        assert.equal(outcomeOf(await ask({ source, password })), 'accept', 'what failed before is forgotten');
      });

      test('count no more when their time is over, nor does the lockout hold', async () => {
        const source = freshSource();
        for (let tries = 0; tries < 4; tries += 1) await ask({ source, password: 'wrong' });
        const earlier = new Date(Date.now() - 31 * 60_000);
        const late = { at: earlier };
        await plane.database.updateTable('login_failures').set(late).where('source', '=', source).execute();
        for (let tries = 0; tries < 4; tries += 1)
          assert.ok(!JSON.stringify(await ask({ source, password: 'wrong' })).includes('Locked'));
        await ask({ source, password: 'wrong' });
        const over = { locked_at: earlier, until: new Date(Date.now() - 60_000) };
        await plane.database.updateTable('lockouts').set(over).where('source', '=', source).execute();
        await plane.database.updateTable('login_failures').set(late).where('source', '=', source).execute();
        await settle();
        assert.equal(outcomeOf(await ask({ source, password: 'wrong' })), 'refuse wrong_password');
        assert.equal(outcomeOf(await ask({ source, password })), 'accept');
        for (let tries = 0; tries < 5; tries += 1) await ask({ source, password: 'wrong' });
        const { count } = await plane.database
          .selectFrom('lockouts')
          .select((e) => e.fn.countAll<number>().as('count'))
          .where('source', '=', source)
          .executeTakeFirstOrThrow();
        assert.equal(count, 2, 'it locks again');
      });

      test('do not lock again by what locked before, where the window is longer than the lockout', async () => {
        const services = plane.with({ 'lockout.minutes': 1, 'lockout.windowMinutes': 600 });
        const source = freshSource();
        for (let tries = 0; tries < 5; tries += 1) await ask({ source, password: 'wrong' }, services);
        const over = { until: new Date(Date.now() - 1000) };
        await plane.database.updateTable('lockouts').set(over).where('source', '=', source).execute();
        await settle();
        for (let tries = 0; tries < 4; tries += 1)
          assert.equal(
            outcomeOf(await ask({ source, password: 'wrong' }, services)),
            'refuse wrong_password',
          );
        assert.equal(outcomeOf(await ask({ source, password }, services)), 'accept');
      });

      test('are forgotten by a right login of the pair, by password at once and by key soon', async () => {
        const count = async (source: string) =>
          (
            await plane.database
              .selectFrom('login_failures')
              .select((e) => e.fn.countAll<number>().as('count'))
              .where('source', '=', source)
              .where('target', '=', demo)
              .executeTakeFirstOrThrow()
          ).count;
        const [first, second] = [freshSource(), freshSource()];
        for (const source of [first, second])
          for (let tries = 0; tries < 4; tries += 1) await ask({ source, password: 'wrong' });
        assert.equal(await count(first), 4);
        assert.equal(outcomeOf(await ask({ source: first, password })), 'accept');
        assert.equal(await count(first), 0);
        assert.equal(await count(second), 4, 'of the others nothing');
        assert.equal(outcomeOf(await ask({ source: second, key: shown(keys.hers) })), 'accept');
        await eventually(
          () => count(second),
          (found) => found === 0,
        );
      });

      test('ban the address for good measure, whatever they were aimed at', async () => {
        const source = freshSource();
        const names = [demo, 'none-1', 'none-2', 'none-3', 'none-4', 'none-5', alice.principal.account];
        let answers = 0;
        for (let tries = 1; tries <= 20; tries += 1) {
          const target = names[tries % names.length] ?? '';
          const way = target === alice.principal.account ? 'jump-login' : 'shared-port';
          const answer = await ask({ source, target, way, password: 'wrong' });
          if (answer.outcome === 'end') answers += 1;
          assert.equal(answer.outcome === 'end', tries === 20, `try ${tries}`);
        }
        assert.equal(answers, 1);
        await eventually(
          () => plane.services.directory.bannedUntil(source),
          (until) => until !== null,
        );
        for (const way of ways) {
          const target = way === 'jump-login' ? alice.principal.account : demo;
          const answer = await ask({ source, target, way, key: shown(keys.hers) });
          assert.ok(answer.outcome === 'end' && answer.reason === 'banned');
          assert.match(answer.sentence, /until \d{4}-\d\d-\d\d \d\d:\d\d UTC, after 20 failed logins/);
        }
        const { items } = {
          items: await plane.database.selectFrom('bans').selectAll().where('source', '=', source).execute(),
        };
        assert.deepEqual(
          items.map(({ failures }) => failures),
          [20],
        );
      });

      test('from the addresses of one IPv6 network are counted together', async () => {
        const network = `2001:db8:${(sources += 1).toString(16)}:7`;
        for (let tries = 1; tries <= 5; tries += 1)
          await ask({ source: `${network}::${tries}`, password: 'wrong' });
        const answer = await ask({ source: `${network}:1:2:3:4`, password }, plane.services);
        assert.ok(answer.outcome === 'refuse' && answer.reason === 'locked', JSON.stringify(answer));
        assert.ok(answer.sentence?.includes(`${network}::/64`));
      });

      test('at the same time are compared no oftener than the limit says', async () => {
        for (const target of [demo, 'none-2222']) {
          const source = freshSource();
          let compared = 0;
          const { keyRing: real } = plane.services;
          const keyRing = {
            open: (sealed: string, purpose: string) => {
              if (purpose.startsWith('environment-password:')) compared += 1;
              return real.open(sealed, purpose);
            },
            seal: (plain: string, purpose: string) => real.seal(plain, purpose),
          } as Services['keyRing'];
          const services = plane.with({}, { keyRing });
          await ask({ source, target, password: 'wrong' }, services);
          compared = 0;
          const answers = await Promise.all(
            Array.from({ length: 50 }, () => ask({ source, target, password: 'wrong' }, services)),
          );
          assert.equal(compared, 4, 'the fifth locks, with the one before');
          assert.equal(answers.filter((each) => outcomeOf(each) === 'refuse locked').length, 46);
        }
      });

      test('do not count while they are right, however many come at once', async () => {
        const source = freshSource();
        const answers = await Promise.all(Array.from({ length: 30 }, () => ask({ source, password })));
        assert.deepEqual([...new Set(answers.map(outcomeOf))], ['accept']);
        const left = await plane.database
          .selectFrom('login_failures')
          .selectAll()
          .where('source', '=', source)
          .execute();
        assert.deepEqual(left, []);
      });

      test('count once when a gateway asks twice, and not when the server is at fault', async () => {
        const source = freshSource();
        const same = id();
        for (let tries = 0; tries < 8; tries += 1)
          assert.equal(
            outcomeOf(await ask({ id: same, source, password: 'wrong' })),
            'refuse wrong_password',
          );
        const keyRing = {
          open: () => {
            throw new Error('it does not open');
          },
        } as unknown as Services['keyRing'];
        for (let tries = 0; tries < 8; tries += 1)
          await assert.rejects(
            ask({ source, password: 'secret-1234' }, plane.with({}, { keyRing })),
            (error: Error) => {
              assert.ok(!String(error.stack).includes('secret-1234'));
              return true;
            },
          );
        assert.equal(outcomeOf(await ask({ source, password })), 'accept');
      });

      test('with the names of strangers are counted whatever is in them', async () => {
        for (const target of ['a\0b', '\u{d800}', `'; drop table lockouts; --`, 'x'.repeat(255), '', '🚢']) {
          const source = freshSource();
          for (let tries = 1; tries <= 5; tries += 1) await ask({ source, target, password: 'wrong' });
          assert.equal(outcomeOf(await ask({ source, target, password: 'wrong' })), 'refuse locked', target);
        }
      });
    });

    test('are not compared when nobody waits for them any more', async () => {
      const source = freshSource();
      const gone = AbortSignal.abort();
      await assert.rejects(decideAttempt(plane.services, request({ source, password }), gone));
      const left = await plane.database
        .selectFrom('login_failures')
        .selectAll()
        .where('source', '=', source)
        .execute();
      assert.deepEqual(left, []);
    });

    test('hear of a new password, a forced rotation, and passwords that are off at once', async () => {
      const asker = { principal: alice.principal, source: null };
      const { ssh_password: second } = await resetPassword(plane.services, asker, demo);
      assert.equal(outcomeOf(await ask({ password })), 'refuse wrong_password');
      assert.equal(outcomeOf(await ask({ password: second })), 'accept');
      const aged = { password_changed_at: new Date(Date.now() - 100 * 86_400_000) };
      await plane.database.updateTable('ssh_credentials').set(aged).where('env_id', '=', demo).execute();
      await replacePasswords(plane.with({ passwordMaxAgeDays: 90, passwordNoticeDays: 0 }));
      assert.equal(outcomeOf(await ask({ password: second })), 'refuse wrong_password');
      ({ ssh_password: password } = await resetPassword(plane.services, asker, demo));
      for (const table of ['environments', 'customers'] as const) {
        const of = table === 'environments' ? demo : alice.principal.customerId;
        const turn = (password_login: boolean) =>
          plane.database
            .updateTable(table)
            .set({ password_login })
            .where('id', '=', of as never)
            .execute();
        await turn(false);
        const answer = await ask({ password });
        assert.deepEqual(answer, { outcome: 'refuse', reason: 'password_off', sentence: null });
        assert.equal(outcomeOf(await ask({ key: shown(keys.hers) })), 'accept');
        await turn(true);
        assert.equal(outcomeOf(await ask({ password })), 'accept');
      }
      await plane.until(demo, 'running');
      await settle();
    });

    test('hear of a key, and an account, that is gone', async () => {
      const pair = makePair('-t', 'ecdsa');
      const asker = { principal: alice.principal, source: null };
      const key = await addKey(plane.database, alice.principal, asker, {
        name: 'old',
        public_key: pair.line,
      });
      const jump = { way: 'jump-login', target: alice.principal.account } as const;
      const both = async () => [
        outcomeOf(await ask({ key: shown(pair) })),
        outcomeOf(await ask({ ...jump, key: shown(pair) })),
      ];
      await eventually(both, (found) => found.join() === 'accept,jump');
      await removeKey(plane.services, alice.principal, asker, key.id);
      await eventually(both, (found) => found.join() === 'refuse wrong_key,refuse wrong_key');
      const carol = await plane.account('carol');
      await settle();
      const target = carol.principal.account;
      const reasonOf = async () => outcomeOf(await ask({ way: 'jump-login', target, key: shown(pair) }));
      assert.equal(await reasonOf(), 'refuse wrong_key');
      await removeAccount(plane.services, plane.admin, plane.asker, carol.principal.accountId);
      await eventually(reasonOf, (found) => found === 'refuse unknown_name');
    });

    describe('at an environment that does not run', () => {
      let other: string;
      let itsPassword: string;
      before(async () => {
        ({ id: other, password: itsPassword } = await make('other'));
        await plane.until(other, 'running');
        await stopEnvironment(plane.services, { principal: alice.principal, source: null }, other);
        await plane.until(other, 'stopped');
        await settle();
      });
      const set = (change: object) => environmentSet(change, other);
      const rights: [string, () => Partial<AttemptRequest>][] = [
        ['password', () => ({ password: itsPassword })],
        ['key', () => ({ key: shown(keys.hers) })],
        ['certificate', () => ({ key: shown(keys.nobodys, authority.sign(keys.nobodys, '-n', other)) })],
      ];
      const rows: [what: string, change: object, outcome: string, sentence?: RegExp][] = [
        ['is stopped and may be woken', { status: 'stopped', stop_asked_at: null }, 'wake now'],
        ['is stopping', { status: 'stopping' }, 'wake now'],
        ['is being created', { status: 'creating' }, 'wake now'],
        ['is starting, though logins do not start it', { status: 'starting', wake: false }, 'wake now'],
        ['is restarting', { status: 'restarting', wake: true }, 'wake now'],
        ['is said to run and does not', { status: 'running' }, 'wake now'],
        [
          'is stopped and is not to be woken',
          { status: 'stopped', wake: false },
          'refuse not_running',
          /berth start/,
        ],
        ['has failed', { status: 'failed', wake: true }, 'refuse failed', /failed to start.*berth events/],
      ];
      for (const [what, change, outcome, sentence] of rows) {
        test(`that ${what}`, async () => {
          // The reconciler must not put it right meanwhile.
          await set({ ...change, due_at: null });
          for (const way of ['own-port', 'shared-port', 'jump'] as const) {
            for (const [name, right] of rights) {
              const answer = await ask({ way, target: other, ...right() });
              assert.equal(outcomeOf(answer), outcome, `${way} ${name}`);
              if (sentence) assert.match((answer as { sentence?: string }).sentence ?? '', sentence);
            }
            const wrong = await ask({ way, target: other, password: 'wrong' });
            assert.deepEqual(wrong, { outcome: 'refuse', reason: 'wrong_password', sentence: null });
          }
        });
      }

      test('since a person stopped it a moment ago: who was connected wakes it with a terminal only', async () => {
        const stopped = new Date(Date.now() - 60_000);
        await set({ status: 'stopped', wake: true, stop_asked_at: stopped, due_at: null });
        const at = (seconds: number) => new Date(stopped.getTime() + seconds * 1000);
        const connection = async (change: object) => {
          const row = {
            id: id(),
            gateway: null,
            env_id: other,
            customer_id: alice.principal.customerId,
            account: null,
            method: 'password',
            fingerprint: null,
            key_name: null,
            way: 'own-port',
            source: freshSource(),
            source_port: 1,
            client: '',
            started_at: at(-100),
            ended_at: at(2),
            ...change,
          } as const;
          await plane.database.insertInto('connections').values(row).execute();
          return row.source;
        };
        const target = other;
        const answerTo = (given: Partial<AttemptRequest>) => ask({ target, ...given });
        const was = await connection({});
        const answer = await answerTo({ source: was, password: itsPassword });
        assert.ok(answer.outcome === 'wake' && answer.when === 'terminal');
        assert.match(answer.sentence, /only a login with a terminal/);
        const never = freshSource();
        assert.equal(outcomeOf(await answerTo({ source: never, password: itsPassword })), 'wake now');
        const left = await connection({ ended_at: at(-50) });
        assert.equal(outcomeOf(await answerTo({ source: left, password: itsPassword })), 'wake now');
        const live = await connection({ ended_at: null });
        assert.equal(outcomeOf(await answerTo({ source: live, password: itsPassword })), 'wake terminal');
        assert.equal(outcomeOf(await answerTo({ key: shown(keys.hers) })), 'wake now');
        await connection({ fingerprint: keys.hers.fingerprint });
        assert.equal(outcomeOf(await answerTo({ key: shown(keys.hers) })), 'wake terminal');
        await connection({ account: 'admin-of-alice' });
        assert.equal(outcomeOf(await answerTo({ key: shown(keys.colleagues) })), 'wake terminal');
        await set({ stop_asked_at: new Date(Date.now() - 601_000) });
        assert.equal(outcomeOf(await answerTo({ source: live, password: itsPassword })), 'wake now');
      });

      test('since it is deleted: as if it had never been', async () => {
        await set({ status: 'stopped', wake: true, due_at: new Date() });
        await deleteEnvironment(plane.services, { principal: alice.principal, source: null }, other);
        for (const [name, right] of rights) {
          const refused = async () => outcomeOf(await ask({ target: other, ...right() }));
          await eventually(refused, (found) => found === 'refuse unknown_name');
          assert.equal(await refused(), 'refuse unknown_name', name);
        }
      });
    });

    test('take as long whether there is such an environment, it is stopped, or the password is wrong', async () => {
      const services = plane.with({ 'lockout.failures': 1000, 'ban.failures': 10_000 });
      const { id: still } = await make('still');
      await plane.until(still, 'running');
      await stopEnvironment(plane.services, { principal: alice.principal, source: null }, still);
      await plane.until(still, 'stopped');
      await settle();
      const kinds: Record<string, () => Partial<AttemptRequest>> = {
        wrong: () => ({ target: demo }),
        unknown: () => ({ target: 'demo-2222' }),
        stopped: () => ({ target: still }),
        'wrong user': () => ({ target: demo, way: 'own-port', user: 'root' }),
      };
      const times: Record<string, number[]> = {};
      for (let round = 0; round < 200; round += 1) {
        // Each with its own source: what a count costs grows with it.
        for (const [kind, given] of Object.entries(kinds)) {
          const asked = request({ password: 'Wrong-Password-1', ...given() });
          const began = performance.now();
          const answer = await decideAttempt(services, asked, new AbortController().signal);
          (times[kind] ??= []).push(performance.now() - began);
          assert.ok(answer.outcome === 'refuse' && answer.sentence === null);
        }
      }
      const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length / 2] ?? 0;
      const medians = Object.values(times).map(median);
      const [least, most] = [Math.min(...medians), Math.max(...medians)];
      assert.ok(
        most < least * 1.5 + 0.2,
        JSON.stringify(Object.fromEntries(Object.keys(times).map((kind, index) => [kind, medians[index]]))),
      );
    });

    test('by key ask the database nothing', async () => {
      for (let round = 0; round < 3; round += 1) await ask({ key: shown(keys.hers) });
      await plane.services.loginFailures.close();
      const before = plane.services.queriesRun();
      for (let round = 0; round < 20; round += 1)
        assert.equal(outcomeOf(await ask({ source: '10.255.0.1', key: shown(keys.hers) })), 'accept');
      await plane.services.loginFailures.close();
      assert.ok(plane.services.queriesRun() - before <= 3, 'but to forget what failed, once for all');
    });
  });

  // The embedded database has one server.
  if (on.name === 'PGlite') continue;
  describe(`failed logins on two servers on ${on.name}`, { skip: on.skip }, () => {
    let one: ControlPlane;
    let two: ControlPlane;
    before(async () => {
      one = await ControlPlane.open(on);
      two = await ControlPlane.open(on, {}, one);
    });
    afterEach(() => one.clear());
    after(async () => {
      await two.close();
      await one.close();
    });

    test('are counted together, and lock on both', async () => {
      const source = freshSource();
      const attempt = (): AttemptRequest => ({
        ...{
          id: id(),
          connection: id(),
          gateway: id(),
          way: 'shared-port',
          target: 'none-2222',
          jumper: null,
        },
        ...{ user: 'none-2222', source, source_port: 1, client: '', method: 'password', password: 'wrong' },
        ...{ key: null, upstream_key: upstreamKey },
      });
      const reasons: Refusal[] = [];
      await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          const { services } = index % 2 === 0 ? one : two;
          const answer = await decideAttempt(services, attempt(), new AbortController().signal);
          if (answer.outcome === 'refuse') reasons.push(answer.reason);
        }),
      );
      assert.equal(reasons.filter((reason) => reason === 'unknown_name').length, 5);
      assert.equal(reasons.filter((reason) => reason === 'locked').length, 45);
      for (const { services } of [one, two])
        await eventually(
          () => services.directory.lockedUntil('none-2222', source),
          (until) => until !== null,
        );
    });
  });
}

test('an IPv6 address is counted by its network, whatever its spelling', () => {
  for (const [address, counted] of [
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:203.0.113.7', '203.0.113.7'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:0DB8:0:00:1::', '2001:db8:0:0::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:3:4:192.0.2.1', '2001:db8:1:2::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
  ] as const)
    assert.equal(countedSource(address), counted, address);
});
