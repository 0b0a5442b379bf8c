// The server's side of authentication against a client whose every message the test writes.

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { afterEach, before, test } from 'node:test';
import fc from 'fast-check';
import { publicKeyAlgorithmNames } from '../keys/algorithms.ts';
import { signUserCertificate } from '../keys/certificate-authority.ts';
import { type SigningKey, generateSigningKey } from '../keys/signing-key.ts';
import { ScriptedPeer } from '../testing/scripted-peer.ts';
import { makeSecurityKey } from '../testing/security-key.ts';
import { type PairedTransport, transportPair } from '../testing/transport-pair.ts';
import { message } from '../transport/messages.ts';
import { ProtocolError, TransportError, disconnectReason } from '../transport/transport-error.ts';
import { WireError, Writer } from '../wire.ts';
import type {
  Attempt,
  Decision,
  KeyAttempt,
  KeyboardInteractiveAttempt,
  Method,
  PasswordAttempt,
  RefusedAttempt,
} from './attempt.ts';
import {
  formatFailure,
  formatInfoResponse,
  formatService,
  formatSuccess,
  hostboundMethod,
  readBanner,
  readInfoRequest,
  readPasswordChangeRequest,
  readPkOk,
  signedBytes,
  startRequest,
} from './messages.ts';
import { ServerAuthentication, type ServerAuthenticationOptions } from './server.ts';

const allMethods: readonly Method[] = ['publickey', 'password', 'keyboard-interactive'];
const accept: Decision = { outcome: 'accept' };
const refuse: Decision = { outcome: 'refuse' };
const failure = formatFailure(allMethods, false);
const serviceRequest = formatService(message.serviceRequest, 'ssh-userauth');
const serviceAccept = formatService(message.serviceAccept, 'ssh-userauth');
const none = startRequest('anna', 'none').toBuffer();

const open: PairedTransport[] = [];
let ed25519: SigningKey;
let otherEd25519: SigningKey;
let rsa: SigningKey;

before(async () => {
  ed25519 = await generateSigningKey('ssh-ed25519');
  otherEd25519 = await generateSigningKey('ssh-ed25519');
  rsa = await generateSigningKey('ssh-rsa', { rsaBits: 2048 });
});

// A connection that nobody ends has a timer that keeps the process alive.
afterEach(() => {
  for (const transport of open.splice(0)) transport.break();
});

function serve(options: Partial<ServerAuthenticationOptions> = {}) {
  const { client: clientTransport, server: transport } = transportPair();
  open.push(transport);
  const attempts: Attempt[] = [];
  const refused: RefusedAttempt[] = [];
  const authentication = new ServerAuthentication(transport, {
    methods: allMethods,
    ...options,
    decide: (attempt) => {
      attempts.push(attempt);
      return options.decide?.(attempt) ?? refuse;
    },
    refused: (attempt) => {
      refused.push(attempt);
      return options.refused?.(attempt) ?? { outcome: 'refuse' };
    },
  });
  const client = new ScriptedPeer(clientTransport);
  const { sessionId, hostKey } = transport;
  return { authentication, client, transport, attempts, refused, sessionId, hostKey };
}

/** With the service already accepted. */
async function serveStarted(options: Partial<ServerAuthenticationOptions> = {}) {
  const served = serve(options);
  served.client.send(serviceRequest);
  assert.deepEqual(await served.client.receive(), serviceAccept);
  return served;
}

function password(text: string | Buffer, user = 'anna'): Buffer {
  return startRequest(user, 'password').boolean(false).string(text).toBuffer();
}

function keyboardInteractive(): Buffer {
  return startRequest('anna', 'keyboard-interactive').string('').string('otp').toBuffer();
}

interface KeyRequest {
  readonly sessionId: Buffer;
  readonly key: SigningKey;
  readonly user?: string;
  readonly algorithm?: string;
  readonly blob?: Buffer;
  readonly signedWith?: string;
  readonly signer?: SigningKey;
  readonly hostKey?: Buffer;
  /** Changes what is signed. */
  readonly signedUser?: string;
}

/** A signed request, wrong in whatever the caller says. */
function signedRequest(options: KeyRequest): Buffer {
  const { sessionId, key, user = 'anna', hostKey, signer = key } = options;
  const [best = ''] = key.publicKey.signatureAlgorithms;
  const { signedWith = best, algorithm = best, blob = key.publicKey.blob, signedUser = user } = options;
  const requestFor = (name: string): Buffer => {
    const writer = startRequest(name, hostKey === undefined ? 'publickey' : hostboundMethod);
    writer.boolean(true).string(algorithm).string(blob);
    if (hostKey !== undefined) writer.string(hostKey);
    return writer.toBuffer();
  };
  const signature = signer.sign(signedBytes(sessionId, requestFor(signedUser)), signedWith);
  return new Writer().bytes(requestFor(user)).string(signature).toBuffer();
}

function query(key: SigningKey): Buffer {
  const [algorithm = ''] = key.publicKey.signatureAlgorithms;
  return startRequest('anna', 'publickey')
    .boolean(false)
    .string(algorithm)
    .string(key.publicKey.blob)
    .toBuffer();
}

function certify(key: SigningKey, ca: SigningKey): Buffer {
  const { blob } = signUserCertificate({
    ...{ ca, publicKey: key.publicKey.blob, keyId: 'of a test', principals: ['anna'] },
    ...{ validAfter: new Date(0), validBefore: 'forever' },
  });
  return blob;
}

async function assertDisconnected(client: ScriptedPeer, reason: number, sentence: RegExp): Promise<void> {
  const error = await client.ended;
  assert.ok(error instanceof TransportError);
  assert.equal(error.reason, reason, error.message);
  assert.match(error.message, sentence);
}

test('accepts none, and then holds what follows', async () => {
  const { authentication, client, transport, attempts } = serve({ decide: () => accept });
  client.send(serviceRequest, none);
  assert.deepEqual(await client.receive(), serviceAccept);
  assert.deepEqual(await client.receive(), formatSuccess());
  assert.deepEqual(await authentication.result, { user: 'anna', passed: [{ method: 'none' }] });
  assert.deepEqual(
    attempts.map(({ method, user }) => [method, user]),
    [['none', 'anna']],
  );
  assert.equal(transport.isHeld, true);
  client.send(Buffer.from([message.channelOpen]));
  const next = new ScriptedPeer(transport);
  assert.deepEqual(await next.receive(), Buffer.from([message.channelOpen]));
});

test('refuses with the methods to go on with, which the owner can change, and with a sentence', async () => {
  const decisions: Decision[] = [
    { outcome: 'refuse', sentence: 'This place takes keys only.\nAdd yours.', methods: ['publickey'] },
  ];
  const { client, attempts, refused } = await serveStarted({ decide: () => decisions.shift() ?? accept });
  client.send(none);
  assert.equal(
    readBanner((await client.receive()) as Buffer),
    'This place takes keys only.\r\nAdd yours.\r\n',
  );
  assert.deepEqual(await client.receive(), formatFailure(['publickey'], false));
  client.send(password('right'));
  assert.deepEqual(await client.receive(), formatFailure(['publickey'], false));
  assert.equal(attempts.length, 1);
  assert.deepEqual(
    refused.map((attempt) => attempt.refused),
    ['method'],
  );
});

test('asks about a password, and about a change of it', async () => {
  const decide = (attempt: Attempt): Decision => {
    const { password: old, newPassword } = attempt as PasswordAttempt;
    if (old !== 'Größe 5') return refuse;
    return newPassword === undefined
      ? { outcome: 'change_password', prompt: 'Time for a new one: ' }
      : accept;
  };
  const { authentication, client } = await serveStarted({ decide });
  client.send(password('wrong'));
  assert.deepEqual(await client.receive(), failure);
  client.send(password('Größe 5'));
  assert.equal(readPasswordChangeRequest((await client.receive()) as Buffer), 'Time for a new one: ');
  client.send(startRequest('anna', 'password').boolean(true).string('Größe 5').string('new').toBuffer());
  assert.deepEqual(await client.receive(), formatSuccess());
  assert.deepEqual((await authentication.result).passed, [{ method: 'password' }]);
});

test('refuses a password that is no UTF-8 as a wrong one, and one of unreasonable length altogether', async () => {
  const { client, attempts } = await serveStarted();
  client.send(password(Buffer.from([0xff, 0x61])));
  assert.deepEqual(await client.receive(), failure);
  assert.equal((attempts[0] as PasswordAttempt).password, '\ufffda');
  client.send(password('x'.repeat(1025)));
  await assertDisconnected(client, disconnectReason.protocolError, /password of more than 1024/);
});

test('verifies a signature of each type of key before the owner hears of it', async () => {
  const keys = [
    ed25519,
    rsa,
    await generateSigningKey('ecdsa-sha2-nistp256'),
    await generateSigningKey('ecdsa-sha2-nistp384'),
    await generateSigningKey('ecdsa-sha2-nistp521'),
  ];
  for (const key of keys) {
    for (const algorithm of key.publicKey.signatureAlgorithms) {
      const { authentication, client, sessionId } = await serveStarted({ decide: () => accept });
      client.send(signedRequest({ sessionId, key, algorithm, signedWith: algorithm }));
      assert.deepEqual(await client.receive(), formatSuccess(), algorithm);
      const { passed } = await authentication.result;
      const [first] = passed;
      assert.ok(first?.method === 'publickey');
      assert.equal(first.algorithm, algorithm);
      assert.equal(first.hostbound, false);
      assert.deepEqual(first.key.blob, key.publicKey.blob);
    }
  }
});

test('takes a certificate under its own algorithm name, and gives the owner both certificate and key', async () => {
  for (const [key, algorithm] of [
    [ed25519, 'ssh-ed25519-cert-v01@openssh.com'],
    [rsa, 'rsa-sha2-256-cert-v01@openssh.com'],
  ] as const) {
    const { authentication, client, sessionId } = await serveStarted({ decide: () => accept });
    const signedWith = algorithm.replace('-cert-v01@openssh.com', '');
    const blob = certify(key, otherEd25519);
    client.send(signedRequest({ sessionId, key, algorithm, blob, signedWith }));
    assert.deepEqual(await client.receive(), formatSuccess());
    const [first] = (await authentication.result).passed;
    assert.ok(first?.method === 'publickey');
    assert.deepEqual(first.certificate?.blob, blob);
    assert.deepEqual(first.key.blob, key.publicKey.blob);
  }
});

test('tells the owner of signatures that are not good, and accepts none whatever the owner would say', async () => {
  const otherSession = hash('sha256', 'another session', 'buffer');
  const wrong: Record<string, (request: { sessionId: Buffer; key: SigningKey }) => Buffer> = {
    'of another session': (request) => signedRequest({ ...request, sessionId: otherSession }),
    'for another user': (request) => signedRequest({ ...request, signedUser: 'root' }),
    'by another key': (request) => signedRequest({ ...request, signer: otherEd25519 }),
    changed: (request) => {
      const bytes = signedRequest(request);
      bytes[bytes.length - 1] = 1 ^ (bytes.at(-1) ?? 0);
      return bytes;
    },
    empty: ({ key }) => Buffer.concat([asSigned(query(key)), new Writer().string('').toBuffer()]),
    'by rsa-sha2-256 under rsa-sha2-512': (request) =>
      signedRequest({ ...request, key: rsa, algorithm: 'rsa-sha2-512', signedWith: 'rsa-sha2-256' }),
    'of a request for the certificate, sent for the key': (request) => {
      const algorithm = 'ssh-ed25519-cert-v01@openssh.com';
      const blob = certify(ed25519, otherEd25519);
      const forCertificate = signedRequest({ ...request, algorithm, blob });
      const signature = forCertificate.subarray(forCertificate.length - (4 + 4 + 11 + 4 + 64));
      return Buffer.concat([asSigned(query(ed25519)), signature]);
    },
  };
  for (const [which, make] of Object.entries(wrong)) {
    const { client, attempts, refused, sessionId } = await serveStarted({ decide: () => accept });
    client.send(make({ sessionId, key: ed25519 }));
    assert.deepEqual(await client.receive(), failure, which);
    assert.deepEqual(attempts, [], which);
    assert.deepEqual(
      refused.map((attempt) => attempt.refused),
      ['wrong_signature'],
      which,
    );
  }
});

/** A query made to look like the start of a signed request. */
function asSigned(request: Buffer): Buffer {
  const bytes = Buffer.from(request);
  bytes[bytes.indexOf('publickey') + 'publickey'.length] = 1;
  return bytes;
}

test('refuses algorithms and blobs that do not belong together, and says why', async () => {
  const certificate = certify(ed25519, otherEd25519);
  const requests: Record<string, Omit<KeyRequest, 'sessionId'>> = {
    certificate: { key: ed25519, algorithm: 'ssh-ed25519', blob: certificate },
    unknown_type: { key: rsa, algorithm: 'ssh-rsa' },
    type_mismatch: { key: ed25519, algorithm: 'rsa-sha2-512' },
    truncated: { key: ed25519, blob: ed25519.publicKey.blob.subarray(0, 20) },
  };
  for (const [code, request] of Object.entries(requests)) {
    const { client, attempts, refused, sessionId } = await serveStarted({ decide: () => accept });
    client.send(signedRequest({ ...request, sessionId, signer: request.key }));
    assert.deepEqual(await client.receive(), failure, code);
    assert.deepEqual(attempts, [], code);
    assert.ok(refused[0]?.refused === 'unusable_key');
    assert.equal(refused[0].error.code, code);
  }
});

test('takes no algorithm that is not listed, and no RSA key that is shorter than wanted', async () => {
  const listed = publicKeyAlgorithmNames.filter((name) => name !== 'ssh-ed25519');
  const { client, refused, sessionId } = await serveStarted({ algorithms: listed, minimumRsaBits: 3072 });
  const algorithm = 'rsa-sha2-512-cert-v01@openssh.com';
  const requests = [
    { key: ed25519 },
    { key: rsa },
    { key: rsa, algorithm, blob: certify(rsa, ed25519), signedWith: 'rsa-sha2-512' },
  ];
  for (const request of requests) {
    client.send(signedRequest({ sessionId, ...request }));
    assert.deepEqual(await client.receive(), failure);
  }
  assert.deepEqual(
    refused.map((attempt) => (attempt.refused === 'unusable_key' ? attempt.error.code : attempt)),
    ['unknown_type', 'rsa_too_short', 'rsa_too_short'],
  );
});

test('binds a signature to its own host key only', async () => {
  const { authentication, client, sessionId, hostKey } = await serveStarted({ decide: () => accept });
  client.send(signedRequest({ sessionId, key: ed25519, hostKey }));
  assert.deepEqual(await client.receive(), formatSuccess());
  const [first] = (await authentication.result).passed;
  assert.equal(first?.method === 'publickey' && first.hostbound, true);

  const other = await serveStarted({ decide: () => accept });
  const request = { sessionId: other.sessionId, key: ed25519, hostKey: otherEd25519.publicKey.blob };
  other.client.send(signedRequest(request));
  await assertDisconnected(other.client, disconnectReason.protocolError, /another host key/);
  assert.deepEqual(other.attempts, []);
});

test('answers a query without letting anybody in by it', async () => {
  const usable = await serveStarted({ decide: () => ({ outcome: 'usable' }) });
  usable.client.send(query(ed25519));
  const { algorithm, blob } = readPkOk((await usable.client.receive()) as Buffer);
  assert.deepEqual([algorithm, blob], ['ssh-ed25519', ed25519.publicKey.blob]);
  const [attempt] = usable.attempts;
  assert.equal(attempt?.method === 'publickey' && attempt.signed, false);

  for (const outcome of ['accept', 'partial'] as const) {
    const careless = await serveStarted({ decide: () => ({ outcome, methods: ['password'] }) });
    careless.client.send(query(ed25519));
    await assertDisconnected(careless.client, disconnectReason.byApplication, /fails here at the moment/);
    await assert.rejects(careless.authentication.result, /only shown was accepted/);
    assert.equal(careless.transport.isHeld, false);
  }
});

test('keeps nothing of a query for the signature of another key', async () => {
  const { client, sessionId } = await serveStarted({
    decide: (attempt) => {
      const key = attempt as KeyAttempt;
      if (!key.key.blob.equals(ed25519.publicKey.blob)) return refuse;
      return key.signed ? accept : { outcome: 'usable' };
    },
  });
  client.send(query(ed25519));
  await client.receive();
  client.send(signedRequest({ sessionId, key: otherEd25519 }));
  assert.deepEqual(await client.receive(), failure);
});

test('demands the touch of a security key unless the owner does not', async () => {
  for (const type of ['sk-ssh-ed25519@openssh.com', 'sk-ecdsa-sha2-nistp256@openssh.com'] as const) {
    for (const { flags, decision, isIn } of [
      { flags: 1, decision: accept, isIn: true },
      { flags: 0, decision: accept, isIn: false },
      { flags: 0, decision: { outcome: 'accept', policy: { touchRequired: false } }, isIn: true },
      { flags: 1, decision: { outcome: 'accept', policy: { userVerificationRequired: true } }, isIn: false },
      { flags: 5, decision: { outcome: 'accept', policy: { userVerificationRequired: true } }, isIn: true },
    ] as const) {
      const { client, attempts, sessionId } = await serveStarted({ decide: () => decision });
      const key = makeSecurityKey(type);
      const request = startRequest('anna', 'publickey')
        .boolean(true)
        .string(type)
        .string(key.blob)
        .toBuffer();
      const signature = key.sign(signedBytes(sessionId, request), flags, 41);
      client.send(new Writer().bytes(request).string(signature).toBuffer());
      const answer = (await client.receive()) as Buffer;
      if (isIn) assert.deepEqual(answer, formatSuccess());
      else assert.match(readBanner(answer), /security key must be/);
      assert.equal((attempts[0] as KeyAttempt).verified.securityKey?.counter, 41);
    }
  }
});

test('asks in rounds, and refuses another number of answers', async () => {
  const decide = async (attempt: Attempt): Promise<Decision> => {
    const { prompt, submethods } = attempt as KeyboardInteractiveAttempt;
    assert.equal(submethods, 'otp');
    const [code] = await prompt({ name: 'Log in', prompts: [{ text: 'Code: ', echo: true }] });
    if (code !== '123') return refuse;
    await prompt({ instruction: 'Welcome back', prompts: [] });
    const answers = await prompt({
      prompts: [
        { text: 'One: ', echo: false },
        { text: 'Two: ', echo: false },
      ],
    });
    return answers.join() === 'a,b' ? accept : refuse;
  };
  const { authentication, client } = await serveStarted({ decide });
  const ask = async () => readInfoRequest((await client.receive()) as Buffer);

  client.send(keyboardInteractive());
  const asked = { name: 'Log in', instruction: '', prompts: [{ text: 'Code: ', echo: true }] };
  assert.deepEqual(await ask(), asked);
  client.send(formatInfoResponse(['124']));
  assert.deepEqual(await client.receive(), failure);

  client.send(keyboardInteractive());
  await ask();
  client.send(formatInfoResponse(['123', 'more']));
  assert.deepEqual(await client.receive(), failure);

  client.send(keyboardInteractive());
  await ask();
  client.send(formatInfoResponse(['123']));
  assert.deepEqual(await ask(), { name: '', instruction: 'Welcome back', prompts: [] });
  client.send(formatInfoResponse([]));
  assert.equal((await ask()).prompts.length, 2);
  client.send(formatInfoResponse(['a', 'b']));
  assert.deepEqual(await client.receive(), formatSuccess());
  assert.deepEqual((await authentication.result).passed, [{ method: 'keyboard-interactive' }]);
});

test('ends with an answer to what nobody asked', async () => {
  const { client } = await serveStarted();
  client.send(formatInfoResponse(['123']));
  await assertDisconnected(client, disconnectReason.protocolError, /what nobody asked/);
});

test('abandons keyboard-interactive at another request, without a failure but not without counting it', async () => {
  const abandoned: unknown[] = [];
  const { client } = await serveStarted({
    maximumAttempts: 3,
    decide: async (attempt) => {
      if (attempt.method !== 'keyboard-interactive') return refuse;
      await attempt.prompt({ prompts: [{ text: 'Code: ', echo: true }] }).catch((error: unknown) => {
        abandoned.push(error);
        assert.equal(attempt.signal.aborted, true);
      });
      return accept;
    },
  });
  client.send(keyboardInteractive());
  readInfoRequest((await client.receive()) as Buffer);
  client.send(password('wrong'));
  assert.deepEqual(await client.receive(), failure);
  assert.deepEqual(
    abandoned.map((error) => (error as Error).name),
    ['AbortError'],
  );
  client.send(keyboardInteractive());
  readInfoRequest((await client.receive()) as Buffer);
  client.send(none);
  await assertDisconnected(client, disconnectReason.noMoreMethods, /Too many failed/);
});

test('wants each of several methods, and no key twice', async () => {
  const { authentication, client, sessionId, refused, attempts } = await serveStarted({
    methods: ['publickey'],
    decide: ({ method, passed }) => {
      if (method === 'publickey' && passed.length < 2) {
        return { outcome: 'partial', methods: passed.length === 0 ? ['publickey'] : ['password'] };
      }
      return method === 'password' ? accept : refuse;
    },
  });
  client.send(password('right'));
  assert.deepEqual(await client.receive(), formatFailure(['publickey'], false));
  client.send(signedRequest({ sessionId, key: ed25519 }));
  assert.deepEqual(await client.receive(), formatFailure(['publickey'], true));
  for (const request of [query(ed25519), signedRequest({ sessionId, key: ed25519 })]) {
    client.send(request);
    assert.deepEqual(await client.receive(), formatFailure(['publickey'], false));
  }
  client.send(signedRequest({ sessionId, key: otherEd25519 }));
  assert.deepEqual(await client.receive(), formatFailure(['password'], true));
  client.send(password('right'));
  assert.deepEqual(await client.receive(), formatSuccess());
  assert.deepEqual(
    refused.map((attempt) => attempt.refused),
    ['method', 'used_key', 'used_key'],
  );
  assert.deepEqual(
    attempts.map(({ passed }) => passed.length),
    [0, 1, 2],
  );
  const { passed } = await authentication.result;
  assert.deepEqual(
    passed.map((method) => (method.method === 'publickey' ? method.key.fingerprint : method.method)),
    [ed25519.publicKey.fingerprint, otherEd25519.publicKey.fingerprint, 'password'],
  );
});

test('ends when the user or the service changes, so that nothing that one has passed is the other’s', async () => {
  const first = await serveStarted({ decide: () => ({ outcome: 'partial', methods: ['password'] }) });
  first.client.send(signedRequest({ sessionId: first.sessionId, key: ed25519 }));
  await first.client.receive();
  first.client.send(password('right', 'root'));
  await assertDisconnected(first.client, disconnectReason.protocolError, /user name changed/);
  assert.equal(first.attempts.length, 1);

  const second = await serveStarted({ decide: () => accept });
  second.client.send(new Writer().byte(50).string('anna').string('ssh-shell').string('none').toBuffer());
  await assertDisconnected(second.client, disconnectReason.serviceNotAvailable, /another service/);
  assert.deepEqual(second.attempts, []);
});

test('ends with user names that are too long or hold a zero', async () => {
  for (const user of ['x'.repeat(256), 'ä'.repeat(128), 'root\0anna']) {
    const { client, attempts } = await serveStarted({ decide: () => accept });
    client.send(startRequest(user, 'none').toBuffer());
    await assertDisconnected(client, disconnectReason.illegalUserName, /user name/);
    assert.deepEqual(attempts, []);
  }
  const longest = await serveStarted({ decide: () => accept });
  longest.client.send(startRequest('x'.repeat(255), 'none').toBuffer());
  assert.deepEqual(await longest.client.receive(), formatSuccess());
});

test('ends with a request without the service, and with another service', async () => {
  const first = serve({ decide: () => accept });
  first.client.send(none);
  await assertDisconnected(first.client, disconnectReason.protocolError, /without the service/);
  const second = serve();
  second.client.send(formatService(message.serviceRequest, 'ssh-connection'));
  await assertDisconnected(second.client, disconnectReason.serviceNotAvailable, /Another service/);
});

test('ends with messages that are a server’s or for those who are in, and says which others it does not know', async () => {
  for (const number of [6, 51, 52, 53, 60, 80, 90, 98, 127]) {
    const { client, transport } = await serveStarted();
    client.send(Buffer.from([number]));
    await assertDisconnected(client, disconnectReason.protocolError, new RegExp(`number ${number} `));
    assert.equal(transport.isHeld, false);
  }
  const { client, transport } = await serveStarted();
  client.send(Buffer.from([63]), Buffer.from([200]), none);
  assert.deepEqual(await client.receive(), failure);
  assert.deepEqual(transport.unimplemented, [1, 2]);
});

test('shows banners while a decision is pending', async () => {
  const decision = Promise.withResolvers<Decision>();
  const { client, attempts } = await serveStarted({ decide: () => decision.promise });
  client.send(none);
  while (attempts.length === 0) await new Promise(setImmediate);
  attempts[0]?.sendBanner('Your environment is starting.');
  assert.equal(readBanner((await client.receive()) as Buffer), 'Your environment is starting.\r\n');
  decision.resolve(accept);
  assert.deepEqual(await client.receive(), formatSuccess());
  attempts[0]?.sendBanner('Too late.');
  client.transport.disconnect(disconnectReason.byApplication, 'done');
  assert.ok(!((await client.receive()) instanceof Buffer));
});

test('answers pipelined requests one after the other, reading no more meanwhile', async () => {
  const decision = Promise.withResolvers<Decision>();
  const order: string[] = [];
  const { client, transport } = await serveStarted({
    decide: (attempt) => {
      order.push(attempt.method === 'password' ? attempt.password : attempt.method);
      return attempt.method === 'none' ? decision.promise : refuse;
    },
  });
  client.send(none, password('one'), password('two'));
  while (!transport.isPaused) await new Promise(setImmediate);
  assert.deepEqual(order, ['none']);
  decision.resolve(refuse);
  for (let count = 0; count < 3; count += 1) assert.deepEqual(await client.receive(), failure);
  assert.deepEqual(order, ['none', 'one', 'two']);
  assert.equal(transport.isPaused, false);
});

test('drops what was pipelined behind the request that got in', async () => {
  const { authentication, client, attempts, transport } = await serveStarted({
    decide: async () => {
      while (!transport.isPaused) await new Promise(setImmediate);
      return accept;
    },
  });
  client.send(none, password('one'));
  assert.deepEqual(await client.receive(), formatSuccess());
  await authentication.result;
  assert.equal(attempts.length, 1);
  assert.equal(transport.isPaused, false);
});

test('ends when more is pipelined than waits', async () => {
  let isAborted = false;
  const { client, authentication } = await serveStarted({
    decide: ({ signal }) => {
      // A transport hands over what it has read already, whether it is paused or not.
      assert.throws(() => {
        for (let count = 0; count < 9; count += 1) authentication.packet(password('more'), count);
      }, ProtocolError);
      signal.addEventListener('abort', () => (isAborted = true));
      client.transport.disconnect(disconnectReason.byApplication, 'seen');
      return new Promise(() => {});
    },
  });
  client.send(none);
  await assert.rejects(authentication.result, TransportError);
  assert.equal(isAborted, true);
});

test('tells the owner that the client is gone, and believes no decision after it', async () => {
  const decision = Promise.withResolvers<Decision>();
  const { authentication, client, transport, attempts } = await serveStarted({
    decide: () => decision.promise,
  });
  client.send(none);
  while (attempts.length === 0) await new Promise(setImmediate);
  transport.break();
  await assert.rejects(authentication.result, { code: 'lost' });
  assert.equal(attempts[0]?.signal.aborted, true);
  decision.resolve(accept);
  await new Promise(setImmediate);
  assert.equal(transport.isHeld, false);
});

test('ends with a sentence when the time is over, also while a decision is pending', async () => {
  const { authentication, client, attempts } = await serveStarted({
    graceMs: 40,
    decide: () => new Promise(() => {}),
  });
  client.send(none);
  await assertDisconnected(client, disconnectReason.byApplication, /within 0\.04 seconds/);
  await assert.rejects(authentication.result, { code: 'limit' });
  assert.equal(attempts[0]?.signal.aborted, true);
});

test('ends at the last failure, of which the first none and shown keys are none', async () => {
  const { client, attempts } = await serveStarted({ maximumAttempts: 3 });
  client.send(none);
  assert.deepEqual(await client.receive(), failure);
  for (let count = 0; count < 5; count += 1) {
    client.send(query(ed25519));
    assert.deepEqual(await client.receive(), failure);
  }
  for (const request of [password('one'), none]) {
    client.send(request);
    assert.deepEqual(await client.receive(), failure);
  }
  client.send(password('three'));
  await assertDisconnected(client, disconnectReason.noMoreMethods, /Too many failed/);
  assert.equal(attempts.length, 9);
});

test('ends when too many keys are shown, whatever the owner says of them', async () => {
  const { client, attempts } = await serveStarted({
    maximumOfferedKeys: 2,
    decide: () => ({ outcome: 'usable' }),
  });
  for (let count = 0; count < 2; count += 1) {
    client.send(query(ed25519));
    readPkOk((await client.receive()) as Buffer);
  }
  client.send(query(ed25519));
  await assertDisconnected(client, disconnectReason.noMoreMethods, /More than 2 keys/);
  assert.equal(attempts.length, 2);
});

test('ends as the owner says, and when the owner fails', async () => {
  const end = {
    outcome: 'end',
    reason: disconnectReason.hostNotAllowed,
    sentence: 'Locked for 30 minutes.',
  } as const;
  const locked = await serveStarted({ decide: () => end });
  locked.client.send(none);
  await assertDisconnected(locked.client, disconnectReason.hostNotAllowed, /^Locked for 30 minutes\.$/);

  const counted = await serveStarted({ refused: () => end });
  counted.client.send(signedRequest({ sessionId: counted.sessionId, key: ed25519, signer: otherEd25519 }));
  await assertDisconnected(counted.client, disconnectReason.hostNotAllowed, /^Locked for 30 minutes\.$/);

  const failing = await serveStarted({ decide: () => Promise.reject(new Error('the database is away')) });
  failing.client.send(none);
  await assertDisconnected(
    failing.client,
    disconnectReason.byApplication,
    /^Logging in fails here at the moment\.$/,
  );
  await assert.rejects(failing.authentication.result, /the database is away/);
});

test('takes any bytes without failing and without letting anybody in', async () => {
  const request = fc
    .tuple(
      fc.constantFrom('anna', 'root', ''),
      fc.constantFrom(
        'none',
        'password',
        'publickey',
        hostboundMethod,
        'keyboard-interactive',
        'gssapi-with-mic',
      ),
      fc.array(
        fc.oneof(
          fc.boolean().map((value) => Buffer.from([value ? 1 : 0])),
          fc.constantFrom(...publicKeyAlgorithmNames).map((name) => new Writer().string(name).toBuffer()),
          fc.uint8Array({ maxLength: 80 }).map((bytes) => new Writer().string(bytes).toBuffer()),
          fc.constant(0).map(() => new Writer().string(ed25519.publicKey.blob).toBuffer()),
          fc.uint8Array({ maxLength: 8 }),
        ),
        { maxLength: 6 },
      ),
    )
    .map(([user, method, fields]) => Buffer.concat([startRequest(user, method).toBuffer(), ...fields]));
  const anything = fc
    .tuple(fc.constantFrom(5, 50, 50, 50, 61, 63, 90, 200), fc.uint8Array({ maxLength: 120 }))
    .map(([number, bytes]) => Buffer.concat([Buffer.from([number]), bytes]));
  const payloads = fc.array(fc.oneof(request, anything), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(payloads, async (sent) => {
      const { authentication, transport } = serve({
        // Lets everybody in who proves a key, of which none of these has one.
        decide: async (attempt) => {
          if (attempt.method === 'publickey' && attempt.signed) return accept;
          if (attempt.method === 'keyboard-interactive') {
            await attempt.prompt({ prompts: [{ text: '?', echo: false }] });
          }
          return refuse;
        },
      });
      authentication.packet(serviceRequest, 0);
      try {
        for (const [index, payload] of sent.entries()) {
          authentication.packet(payload, index + 1);
          await Promise.resolve();
        }
      } catch (error) {
        assert.ok(error instanceof ProtocolError || error instanceof WireError, String(error));
      }
      await new Promise(setImmediate);
      assert.equal(transport.isHeld, false);
      authentication.closed(undefined);
      await assert.rejects(authentication.result, TransportError);
    }),
    { numRuns: 400 },
  );
});
