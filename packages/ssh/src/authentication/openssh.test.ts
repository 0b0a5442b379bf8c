// Authentication with stock peers over real sockets: our server's side with `ssh` and `sshpass`, our client's side with
// `sshd`.

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { signUserCertificate } from '../keys/certificate-authority.ts';
import { dial } from '../dial.ts';
import { knownHostsLine } from '../keys/known-hosts.ts';
import { formatPrivateKey } from '../keys/private-key.ts';
import { type SigningKey, type SigningKeyType, generateSigningKey } from '../keys/signing-key.ts';
import { makeSecurityKey } from '../testing/security-key.ts';
import { type Sshd, missingSshd, startSshd } from '../testing/sshd.ts';
import { userSignatureAlgorithms } from '../transport/algorithms.ts';
import { serverHostKey } from '../transport/host-keys.ts';
import { disconnectReason } from '../transport/transport-error.ts';
import { Transport } from '../transport/transport.ts';
import type { Attempt, Decision, Method, PassedMethod } from './attempt.ts';
import { authenticate } from './client.ts';
import type { Credential } from './credentials.ts';
import { ServerAuthentication } from './server.ts';

const types: readonly SigningKeyType[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
];
const password = 'right horse';
const user = userInfo().username;
const folder = mkdtempSync(join(tmpdir(), 'authentication-test-'));
const keys = new Map<SigningKeyType, SigningKey>();
let hostKey: SigningKey;
let authority: SigningKey;

before(async () => {
  hostKey = await generateSigningKey('ssh-ed25519');
  authority = await generateSigningKey('ecdsa-sha2-nistp384');
  for (const type of types) keys.set(type, await generateSigningKey(type, { rsaBits: 2048 }));
});

after(() => rmSync(folder, { recursive: true }));

function keyOf(type: SigningKeyType): SigningKey {
  const key = keys.get(type);
  assert.ok(key);
  return key;
}

function publicLine(type: string, blob: Buffer): string {
  return `${type} ${blob.toString('base64')}`;
}

function write(name: string, content: string): string {
  const file = join(folder, name);
  writeFileSync(file, content, { mode: 0o600 });
  return file;
}

function certify(publicKey: Buffer): { blob: Buffer; line: string } {
  return signUserCertificate({
    ...{ ca: authority, publicKey, keyId: 'of a test', principals: [user] },
    ...{ validAfter: new Date(0), validBefore: 'forever' },
  });
}

function isThere(program: string): boolean {
  return spawnSync(program, ['-V']).error === undefined;
}

interface Login {
  /** What ssh printed. */
  readonly output: string;
  readonly attempts: readonly Attempt[];
  /** What let the user in; undefined when nothing did. */
  readonly passed: readonly PassedMethod[] | undefined;
}

interface LoginOptions {
  readonly decide: (attempt: Attempt) => Decision | Promise<Decision>;
  readonly methods?: readonly Method[];
  readonly settings?: readonly string[];
  /** Typed by sshpass at the first prompt that asks for a password. */
  readonly typed?: string;
  /** A shell script that answers each prompt, its first parameter. */
  readonly askpass?: string;
}

/** A stock ssh logs in at our server's side, which ends the connection as soon as it is in. */
async function logIn({ decide, methods, settings = [], typed, askpass }: LoginOptions): Promise<Login> {
  const attempts: Attempt[] = [];
  const done = Promise.withResolvers<readonly PassedMethod[] | undefined>();
  const listener = createServer((socket) => {
    serve(socket).then(done.resolve, () => done.resolve(undefined));
  });
  const serve = async (socket: Socket) => {
    const transport = Transport.server(socket, {
      hostKeys: [serverHostKey(hostKey)],
      userSignatureAlgorithms,
    });
    await transport.established;
    const { result } = new ServerAuthentication(transport, {
      methods: methods ?? ['publickey', 'password', 'keyboard-interactive'],
      decide: (attempt) => {
        attempts.push(attempt);
        return decide(attempt);
      },
      refused: () => ({ outcome: 'refuse' }),
    });
    const { passed } = await result;
    transport.disconnect(disconnectReason.byApplication, 'seen');
    return passed;
  };
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  try {
    const knownHosts = knownHostsLine('127.0.0.1', port, publicLine(hostKey.type, hostKey.publicKey.blob));
    const options = [
      `UserKnownHostsFile=${write('known_hosts', `${knownHosts}\n`)}`,
      ...['GlobalKnownHostsFile=none', 'StrictHostKeyChecking=yes', 'IdentityAgent=none'],
      ...['IdentitiesOnly=yes', 'LogLevel=VERBOSE', 'NumberOfPasswordPrompts=1', `Port=${port}`, ...settings],
    ].flatMap((setting) => ['-o', setting]);
    const ssh = ['ssh', '-F', 'none', '-N', ...options, `${user}@127.0.0.1`];
    const [program = '', ...parameters] = typed === undefined ? ssh : ['sshpass', '-p', typed, ...ssh];
    const env = { ...process.env };
    if (askpass !== undefined) {
      const script = write('askpass', `#!/bin/sh\n${askpass}\n`);
      chmodSync(script, 0o700);
      Object.assign(env, { SSH_ASKPASS: script, SSH_ASKPASS_REQUIRE: 'force' });
    }
    const child = spawn(program, parameters, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    }
    await once(child, 'close');
    return { output, attempts, passed: await done.promise };
  } finally {
    listener.close();
  }
}

function identity(type: SigningKeyType, certificate?: string): string[] {
  const file = write('key', formatPrivateKey(keyOf(type).keyObject));
  const settings = [`IdentityFile=${file}`, 'PreferredAuthentications=publickey', 'BatchMode=yes'];
  return certificate === undefined
    ? settings
    : [...settings, `CertificateFile=${write('key-cert.pub', certificate)}`];
}

const acceptKeys = (attempt: Attempt): Decision => {
  if (attempt.method !== 'publickey') return { outcome: 'refuse' };
  return { outcome: attempt.signed ? 'accept' : 'usable' };
};

describe('a stock ssh', { skip: isThere('ssh') ? false : 'there is no ssh' }, () => {
  for (const type of types) {
    test(`gets in with a key of type ${type}, bound to our host key`, async () => {
      const { output, attempts, passed } = await logIn({ decide: acceptKeys, settings: identity(type) });
      assert.match(output, /Authenticated to .* using "publickey"/);
      const [first] = passed ?? [];
      assert.ok(first?.method === 'publickey', output);
      assert.deepEqual(first.key.blob, keyOf(type).publicKey.blob);
      assert.equal(first.hostbound, true);
      assert.deepEqual(
        attempts.map((attempt) => (attempt.method === 'publickey' ? attempt.signed : attempt.method)),
        ['none', false, true],
      );
    });

    test(`gets in with a certificate for a key of type ${type}`, async () => {
      const { line, blob } = certify(keyOf(type).publicKey.blob);
      const decide = (attempt: Attempt): Decision =>
        'certificate' in attempt && attempt.certificate !== undefined
          ? acceptKeys(attempt)
          : { outcome: 'refuse' };
      const { output, passed } = await logIn({ decide, settings: identity(type, line) });
      const [first] = passed ?? [];
      assert.ok(first?.method === 'publickey', output);
      assert.deepEqual(first.certificate?.blob, blob);
    });
  }

  test('changes a password that has expired', async () => {
    const decide = (attempt: Attempt): Decision => {
      if (attempt.method !== 'password' || attempt.password !== 'old') return { outcome: 'refuse' };
      if (attempt.newPassword === undefined) return { outcome: 'change_password', prompt: 'It has expired.' };
      return { outcome: attempt.newPassword === 'new' ? 'accept' : 'refuse' };
    };
    const settings = ['PreferredAuthentications=password', 'PubkeyAuthentication=no'];
    const askpass = 'case "$1" in *new*) echo new;; *) echo old;; esac';
    const { output, passed } = await logIn({ decide, settings, askpass });
    assert.deepEqual(passed, [{ method: 'password' }], output);
    assert.match(output, /It has expired\./);
  });

  test('is told why it is refused, and which methods there are', async () => {
    const decide = (): Decision => ({
      outcome: 'refuse',
      sentence: 'This environment takes other keys.',
      methods: ['publickey'],
    });
    const { output, passed } = await logIn({ decide, settings: identity('ssh-ed25519') });
    assert.equal(passed, undefined);
    assert.match(output, /This environment takes other keys\./);
    assert.match(output, /Permission denied \(publickey\)/);
  });

  test('is told why the connection ends', async () => {
    const decide = (): Decision => ({
      outcome: 'end',
      reason: disconnectReason.hostNotAllowed,
      sentence: 'Locked for 30 minutes.',
    });
    const { output } = await logIn({ decide, settings: identity('ssh-ed25519') });
    assert.match(output, /Received disconnect from .*:1: Locked for 30 minutes\./);
  });
});

describe(
  'a stock ssh with somebody who types',
  { skip: isThere('sshpass') ? false : 'there is no sshpass' },
  () => {
    const checkPassword = async (attempt: Attempt): Promise<Decision> => {
      if (attempt.method === 'password' && attempt.password === password) return { outcome: 'accept' };
      if (attempt.method !== 'keyboard-interactive') return { outcome: 'refuse' };
      const [answer] = await attempt.prompt({
        name: 'Environment',
        prompts: [{ text: 'Its password: ', echo: false }],
      });
      return { outcome: answer === password ? 'accept' : 'refuse' };
    };

    for (const method of ['password', 'keyboard-interactive'] as const) {
      test(`gets in by ${method}, and not with another one`, async () => {
        const settings = [`PreferredAuthentications=${method}`, 'PubkeyAuthentication=no'];
        const { output, passed } = await logIn({ decide: checkPassword, settings, typed: password });
        assert.deepEqual(passed, [{ method }], output);
        const refused = await logIn({ decide: checkPassword, settings, typed: 'wrong horse' });
        assert.equal(refused.passed, undefined);
        assert.match(refused.output, /Permission denied/);
        assert.deepEqual(
          refused.attempts.map((attempt) => attempt.method),
          ['none', method],
        );
      });
    }

    test('gets in by a key and then a password', async () => {
      const decide = (attempt: Attempt): Decision | Promise<Decision> => {
        if (attempt.method === 'password' && attempt.passed.length === 1) return checkPassword(attempt);
        if (attempt.method !== 'publickey') return { outcome: 'refuse', methods: ['publickey'] };
        return attempt.signed ? { outcome: 'partial', methods: ['password'] } : { outcome: 'usable' };
      };
      const settings = identity('ssh-ed25519').slice(0, 1);
      const { output, passed } = await logIn({ decide, settings, typed: password });
      assert.deepEqual(
        passed?.map(({ method }) => method),
        ['publickey', 'password'],
        output,
      );
      assert.match(output, /using "publickey" with partial success/);
    });
  },
);

// Only root may let others in, and give a test's sshd a password file of its own.
describe(
  'a stock sshd',
  { skip: process.getuid?.() === 0 ? missingSshd : 'only root may let others in' },
  () => {
    const securityKey = makeSecurityKey('sk-ssh-ed25519@openssh.com');
    // Of two lines for one thing the first holds.
    const settings = [
      ...['PermitRootLogin yes', 'StrictModes no', 'PasswordAuthentication yes'],
      'KbdInteractiveAuthentication no',
    ];
    let sshd: Sshd;
    let withPam: Sshd;
    let wantsBoth: Sshd;

    before(async () => {
      const lines = [
        ...[...keys.values()].map(({ type, publicKey }) => publicLine(type, publicKey.blob)),
        publicLine(securityKey.type, securityKey.blob),
      ];
      const trust = [
        `AuthorizedKeysFile ${write('authorized_keys', `${lines.join('\n')}\n`)}`,
        `TrustedUserCAKeys ${write('authority.pub', publicLine(authority.type, authority.publicKey.blob))}`,
        `Banner ${write('banner', 'Be nice\n')}`,
      ];
      const hash = execFileSync('openssl', ['passwd', '-6', '-stdin'], { input: `${password}\n` });
      const options = { shadow: `${user}:${hash.toString().trim()}:20000:0:99999:7:::\n` };
      const privateKey = formatPrivateKey(hostKey.keyObject);
      sshd = await startSshd(privateKey, [...settings, ...trust, 'UsePAM no'], options);
      withPam = await startSshd(
        privateKey,
        ['KbdInteractiveAuthentication yes', ...settings, ...trust, 'UsePAM yes'],
        options,
      );
      wantsBoth = await startSshd(
        privateKey,
        [...settings, ...trust, 'UsePAM no', 'AuthenticationMethods publickey,password'],
        options,
      );
    });

    after(async () => {
      for (const server of [sshd, withPam, wantsBoth]) await server.stop();
    });

    async function logInAt(server: Sshd, credentials: readonly Credential[], banner = (_text: string) => {}) {
      const socket = connect({ host: server.host, port: server.port, noDelay: true });
      await once(socket, 'connect');
      const transport = Transport.client(socket, {
        whyNotHostKey: (blob) =>
          blob.equals(hostKey.publicKey.blob) ? undefined : 'not the key of the test',
      });
      const closed = once(socket, 'close');
      await transport.established;
      try {
        return await authenticate(transport, { user, credentials, banner });
      } finally {
        transport.disconnect(disconnectReason.byApplication, 'seen');
        await closed;
      }
    }

    for (const type of types) {
      test(`lets us in with a key of type ${type}, at once, after a query and with a certificate`, async () => {
        const key = keyOf(type);
        const certificate = certify(key.publicKey.blob).blob;
        for (const credential of [
          { method: 'publickey', key },
          { method: 'publickey', key, query: true },
          { method: 'publickey', key, certificate },
        ] as const) {
          await logInAt(sshd, [credential]);
        }
        const fingerprint = key.publicKey.fingerprint.replaceAll('+', String.raw`\+`);
        await sshd.logged(new RegExp(`Accepted publickey for ${user} .* ${fingerprint}`, 'g'), 2);
        const kind = type === 'ssh-ed25519' ? 'ED25519' : type === 'ssh-rsa' ? 'RSA' : 'ECDSA';
        await sshd.logged(new RegExp(`Accepted publickey for ${user} .* ${kind}-CERT .*of a test`, 'g'), 1);
      });
    }

    test('lets us in many times at once with one key, each time by a certificate of its own that names one user for minutes', async () => {
      // As a gateway does: the key stays, and the authority signs who it stands for now.
      const key = await generateSigningKey('ssh-ed25519');
      const now = Math.floor(Date.now() / 1000) * 1000;
      const logInAs = (name: string, principal: string, from = now - 60_000): Promise<Transport> => {
        const { blob: certificate } = signUserCertificate({
          ...{ ca: authority, publicKey: key.publicKey.blob, keyId: name, principals: [principal] },
          ...{ validAfter: new Date(from), validBefore: new Date(from + 300_000) },
          extensions: ['permit-pty'],
        });
        return dial({
          ...{ host: sshd.host, port: sshd.port, user },
          credentials: [{ method: 'publickey', key, certificate }],
          hostKey: hostKey.publicKey.blob,
        });
      };
      const names = Array.from({ length: 20 }, (_, index) => `attempt-${index}`);
      const transports = await Promise.all(names.map((name) => logInAs(name, user)));
      await Promise.all(
        names.map((name) =>
          sshd.logged(new RegExp(String.raw`ED25519-CERT .*ID ${name} \(serial 0\)`, 'g'), 1),
        ),
      );
      for (const transport of transports) {
        transport.disconnect(disconnectReason.byApplication, 'seen');
        await transport.finished;
      }
      // And for nobody else, nor later.
      await assert.rejects(logInAs('other', 'somebody'), { name: 'AuthenticationError' });
      await assert.rejects(logInAs('late', user, now - 3_600_000), { name: 'AuthenticationError' });
    });

    test('lets us in with the signature of a security key, which is made elsewhere', async () => {
      const key = {
        blob: securityKey.blob,
        algorithms: ['sk-ssh-ed25519@openssh.com'] as const,
        sign: async (data: Buffer) => securityKey.sign(data),
      };
      await logInAt(sshd, [{ method: 'publickey', key, query: true }]);
    });

    test('lets us in by password, and shows its banner', async () => {
      const banners: string[] = [];
      await logInAt(sshd, [{ method: 'password', password }], (text) => banners.push(text));
      assert.deepEqual(banners, ['Be nice\n']);
    });

    test('lets us in by keyboard-interactive', async () => {
      const asked: string[] = [];
      const answer = ({ prompts }: { prompts: readonly { text: string; echo: boolean }[] }) =>
        prompts.map(({ text, echo }) => {
          asked.push(`${text}${echo}`);
          return password;
        });
      await logInAt(withPam, [{ method: 'keyboard-interactive', answer }]);
      assert.equal(asked.length, 1);
      assert.match(asked[0] ?? '', /assword: false$/);
    });

    test('lets us in by a key and a password, and says what it would go on with', async () => {
      const stranger = await generateSigningKey('ssh-ed25519');
      const credentials = [
        { method: 'publickey', key: stranger },
        { method: 'password', password },
        { method: 'publickey', key: keyOf('ssh-ed25519') },
      ] as const;
      const tried = await logInAt(wantsBoth, credentials);
      assert.deepEqual(
        tried.map(({ outcome }) => outcome),
        ['refused', 'passed', 'passed'],
      );
      await assert.rejects(logInAt(wantsBoth, credentials.slice(2)), {
        name: 'AuthenticationError',
        methods: ['password'],
      });
      await assert.rejects(logInAt(sshd, credentials.slice(0, 1)), {
        name: 'AuthenticationError',
        methods: ['publickey', 'password'],
      });
    });
  },
);
