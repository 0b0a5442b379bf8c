// The client's side of authentication: against a server whose every message the test writes, and against the server's
// side of this folder.

import assert from 'node:assert/strict';
import { afterEach, before, test } from 'node:test';
import fc from 'fast-check';
import { signUserCertificate } from '../keys/certificate-authority.ts';
import { type SigningKey, generateSigningKey } from '../keys/signing-key.ts';
import { ScriptedPeer } from '../testing/scripted-peer.ts';
import { makeSecurityKey } from '../testing/security-key.ts';
import { type PairedTransport, type TransportPairOptions, transportPair } from '../testing/transport-pair.ts';
import { message } from '../transport/messages.ts';
import { ProtocolError, TransportError, disconnectReason } from '../transport/transport-error.ts';
import { Reader, WireError } from '../wire.ts';
import type { Attempt, Decision, Method } from './attempt.ts';
import { AuthenticationError } from './authentication-error.ts';
import { authenticate } from './client.ts';
import type { Credential } from './credentials.ts';
import {
  formatBanner,
  formatFailure,
  formatInfoRequest,
  formatPasswordChangeRequest,
  formatPkOk,
  formatService,
  formatSuccess,
  hostboundMethod,
  isAuthenticationMessage,
  readInfoResponse,
  readRequest,
  readService,
} from './messages.ts';
import { ServerAuthentication } from './server.ts';

const serviceAccept = formatService(message.serviceAccept, 'ssh-userauth');
const hostbound = { 'publickey-hostbound@openssh.com': '0' };
const open: PairedTransport[] = [];
let ed25519: SigningKey;
let rsa: SigningKey;

before(async () => {
  ed25519 = await generateSigningKey('ssh-ed25519');
  rsa = await generateSigningKey('ssh-rsa', { rsaBits: 2048 });
});

afterEach(() => {
  for (const transport of open.splice(0)) transport.break();
});

function pair(options: TransportPairOptions = {}) {
  const transports = transportPair(options);
  open.push(transports.client);
  return transports;
}

/** Logs in at a server that the test writes; the first message, for the service, is read already. */
async function logIn(credentials: readonly Credential[], extensionsOfServer: Record<string, string> = {}) {
  const transports = pair({ extensionsOfServer });
  const server = new ScriptedPeer(transports.server);
  const banners: string[] = [];
  const result = authenticate(transports.client, {
    user: 'anna',
    credentials,
    banner: (text) => banners.push(text),
  });
  // Whoever looks at it later finds the rejection all the same.
  result.catch(() => {});
  assert.equal(readService((await server.receive()) as Buffer), 'ssh-userauth');
  const request = async () => readRequest((await server.receive()) as Buffer);
  return { ...transports, peer: server, result, banners, request };
}

/** Both roles of this folder against each other. */
function both(
  credentials: readonly Credential[],
  decide: (attempt: Attempt) => Decision | Promise<Decision>,
  {
    methods = ['publickey', 'password', 'keyboard-interactive'],
    ...options
  }: TransportPairOptions & { methods?: readonly Method[] } = {},
) {
  const transports = pair(options);
  const banners: string[] = [];
  const server = new ServerAuthentication(transports.server, {
    methods,
    decide,
    refused: () => ({ outcome: 'refuse' }),
  });
  const client = authenticate(transports.client, {
    user: 'anna',
    credentials,
    banner: (text) => banners.push(text),
  });
  return { clientTransport: transports.client, client, server, banners };
}

function certify(key: SigningKey, ca: SigningKey): Buffer {
  const { blob } = signUserCertificate({
    ...{ ca, publicKey: key.publicKey.blob, keyId: 'of a test', principals: ['anna'] },
    ...{ validAfter: new Date(0), validBefore: 'forever' },
  });
  return blob;
}

test('sends the signed request without waiting for the service, and then holds what follows', async () => {
  const { client, peer, result, request } = await logIn([{ method: 'publickey', key: ed25519 }]);
  const { user, service, method, fields } = await request();
  assert.deepEqual([user, service, method], ['anna', 'ssh-connection', 'publickey']);
  assert.equal(fields.boolean('signed'), true);
  assert.equal(fields.text('algorithm'), 'ssh-ed25519');
  peer.send(serviceAccept, formatSuccess(), Buffer.from([message.globalRequest]));
  const description = `publickey ${ed25519.publicKey.fingerprint}`;
  assert.deepEqual(await result, [{ description, outcome: 'passed' }]);
  assert.equal(client.isHeld, true);
  assert.deepEqual(await new ScriptedPeer(client).receive(), Buffer.from([message.globalRequest]));
});

test('logs in by every method at the server of this folder', async () => {
  const securityKey = makeSecurityKey('sk-ssh-ed25519@openssh.com');
  const signer = {
    blob: securityKey.blob,
    algorithms: ['sk-ssh-ed25519@openssh.com'] as const,
    sign: async (data: Buffer) => securityKey.sign(data),
  };
  const certificate = certify(ed25519, rsa);
  const credentials: readonly Credential[] = [
    { method: 'none' },
    { method: 'password', password: 'right' },
    { method: 'password', password: async () => 'right' },
    { method: 'publickey', key: ed25519 },
    { method: 'publickey', key: ed25519, query: true },
    { method: 'publickey', key: ed25519, certificate },
    { method: 'publickey', key: ed25519, certificate, query: true },
    { method: 'publickey', key: rsa },
    { method: 'publickey', key: rsa, certificate: certify(rsa, ed25519) },
    { method: 'publickey', key: signer },
    { method: 'keyboard-interactive', answer: ({ prompts }) => prompts.map(() => 'right') },
  ];
  for (const extensionsOfServer of [{}, hostbound]) {
    for (const credential of credentials) {
      const { client, server } = both(
        [credential],
        async (attempt) => {
          const { method } = attempt;
          if (method === 'publickey') {
            if (!attempt.signed) return { outcome: 'usable' };
            const isExpected = attempt.hostbound === (extensionsOfServer === hostbound);
            return isExpected ? { outcome: 'accept' } : { outcome: 'refuse' };
          }
          const given =
            method === 'keyboard-interactive'
              ? (await attempt.prompt({ prompts: [{ text: 'Code: ', echo: false }] })).join()
              : method === 'password' && attempt.password;
          return { outcome: method === 'none' || given === 'right' ? 'accept' : 'refuse' };
        },
        { extensionsOfServer },
      );
      await client;
      const { user, passed } = await server.result;
      assert.deepEqual([user, passed.map(({ method }) => method)], ['anna', [credential.method]]);
    }
  }
});

test('goes through several methods, each when the server wants it', async () => {
  const { client, server } = both(
    [
      { method: 'password', password: 'right' },
      { method: 'publickey', key: rsa },
      { method: 'publickey', key: ed25519 },
      { method: 'keyboard-interactive', answer: () => [] },
    ],
    async (attempt) => {
      if (attempt.method === 'publickey') {
        if (!attempt.key.blob.equals(ed25519.publicKey.blob)) return { outcome: 'refuse' };
        return { outcome: 'partial', methods: ['keyboard-interactive'] };
      }
      if (attempt.method !== 'keyboard-interactive') return { outcome: 'partial', methods: ['publickey'] };
      await attempt.prompt({ instruction: 'Nothing to ask', prompts: [] });
      return { outcome: 'accept' };
    },
  );
  assert.deepEqual(await client, [
    { description: 'password', outcome: 'passed' },
    { description: `publickey ${rsa.publicKey.fingerprint}`, outcome: 'refused' },
    { description: `publickey ${ed25519.publicKey.fingerprint}`, outcome: 'passed' },
    { description: 'keyboard-interactive', outcome: 'passed' },
  ]);
  const { passed } = await server.result;
  assert.deepEqual(
    passed.map(({ method }) => method),
    ['password', 'publickey', 'keyboard-interactive'],
  );
});

test('changes a password that has expired, and goes on without when there is no new one', async () => {
  const decide = (attempt: Attempt): Decision => {
    if (attempt.method === 'none') return { outcome: 'accept' };
    if (attempt.method !== 'password') return { outcome: 'refuse' };
    if (attempt.newPassword === undefined) return { outcome: 'change_password', prompt: 'New password: ' };
    return { outcome: attempt.password === 'old' && attempt.newPassword === 'new' ? 'accept' : 'refuse' };
  };
  const prompts: string[] = [];
  const newPassword = (prompt: string) => {
    prompts.push(prompt);
    return 'new';
  };
  await both([{ method: 'password', password: 'old', newPassword }], decide).client;
  assert.deepEqual(prompts, ['New password: ']);

  const tried = await both([{ method: 'password', password: 'old' }, { method: 'none' }], decide).client;
  assert.deepEqual(
    tried.map(({ outcome }) => outcome),
    ['given up', 'passed'],
  );
});

test('shows the banners of a server that has not decided yet', async () => {
  const { client, banners } = both([{ method: 'none' }], ({ sendBanner }) => {
    sendBanner('Welcome');
    return { outcome: 'refuse', sentence: 'Not today' };
  });
  await assert.rejects(client, AuthenticationError);
  assert.deepEqual(banners, ['Welcome\r\n', 'Not today\r\n']);
});

test('says what was tried and what the server would go on with; the connection is there for another try', async () => {
  const { clientTransport, client, server } = both(
    [
      { method: 'publickey', key: ed25519 },
      { method: 'keyboard-interactive', answer: () => [] },
      { method: 'password', password: () => undefined },
    ],
    (attempt) => ({ outcome: attempt.method === 'none' ? 'accept' : 'refuse' }),
    { methods: ['publickey', 'password'] },
  );
  await assert.rejects(client, (error: AuthenticationError) => {
    assert.equal(
      error.message,
      `Logging in failed. The server refused publickey ${ed25519.publicKey.fingerprint}. Given up: password. ` +
        'Not sent: keyboard-interactive. It would go on with publickey, password.',
    );
    assert.deepEqual(error.methods, ['publickey', 'password']);
    return true;
  });
  await authenticate(clientTransport, { user: 'anna', credentials: [{ method: 'none' }] });
  assert.equal((await server.result).user, 'anna');
});

test('gives up keyboard-interactive by going on with the next', async () => {
  const { client } = both(
    [
      { method: 'keyboard-interactive', answer: () => undefined },
      { method: 'password', password: 'right' },
    ],
    async (attempt) => {
      if (attempt.method === 'password') return { outcome: 'accept' };
      if (attempt.method === 'keyboard-interactive') {
        await attempt.prompt({ prompts: [{ text: 'Code: ', echo: true }] });
      }
      return { outcome: 'refuse' };
    },
  );
  assert.deepEqual(await client, [
    { description: 'keyboard-interactive', outcome: 'given up' },
    { description: 'password', outcome: 'passed' },
  ]);
});

test('signs with the RSA algorithm that the server says it knows, and with none that it does not', async () => {
  const cases = [
    { said: undefined, signedWith: 'rsa-sha2-512' },
    { said: 'ssh-ed25519,rsa-sha2-256', signedWith: 'rsa-sha2-256' },
    { said: 'rsa-sha2-256,rsa-sha2-512', signedWith: 'rsa-sha2-512' },
    { said: 'ssh-rsa', signedWith: undefined },
  ];
  for (const { said, signedWith } of cases) {
    const { request, result } = await logIn(
      [{ method: 'publickey', key: rsa }],
      said === undefined ? {} : { 'server-sig-algs': said },
    );
    if (signedWith === undefined) {
      await assert.rejects(result, /Given up: publickey/);
      continue;
    }
    const { fields } = await request();
    fields.boolean('signed');
    assert.equal(fields.text('algorithm'), signedWith);
    const blob = fields.string('key');
    assert.deepEqual(blob, rsa.publicKey.blob);
    assert.equal(new Reader(fields.string('signature')).text('algorithm'), signedWith);
  }
});

test('names the host key where the server knows what that means, and only there', async () => {
  for (const [extensions, expected] of [
    [hostbound, hostboundMethod],
    [{ 'publickey-hostbound@openssh.com': '1' }, 'publickey'],
  ] as const) {
    const { request } = await logIn([{ method: 'publickey', key: ed25519 }], extensions);
    assert.equal((await request()).method, expected);
  }
});

test('asks about a key before it signs, when told to, and believes an answer about that key only', async () => {
  let signatures = 0;
  const signer = {
    blob: ed25519.publicKey.blob,
    algorithms: ['ssh-ed25519'] as const,
    sign: (data: Buffer) => {
      signatures += 1;
      return ed25519.sign(data);
    },
  };
  const { peer, request, result } = await logIn([{ method: 'publickey', key: signer, query: true }]);
  assert.equal((await request()).fields.boolean('signed'), false);
  peer.send(serviceAccept, formatPkOk('ssh-ed25519', rsa.publicKey.blob));
  await assert.rejects(result, { code: 'protocol' });
  assert.equal(signatures, 0);
});

test('ends with a server that answers what it was not asked', async () => {
  const silent: Credential = { method: 'password', password: () => new Promise<string>(() => {}) };
  const cases: Record<string, { credential?: Credential; sent: readonly Buffer[] }> = {
    'success before the service': { sent: [formatSuccess()] },
    'success while the client still thinks': { credential: silent, sent: [serviceAccept, formatSuccess()] },
    'another service': { sent: [formatService(message.serviceAccept, 'ssh-connection')] },
    'the service twice': { sent: [serviceAccept, serviceAccept] },
    'a question where none is to be asked': { sent: [serviceAccept, formatInfoRequest({ prompts: [] })] },
    'a channel': { sent: [serviceAccept, Buffer.from([message.channelOpen])] },
    'a failure that is cut off': { sent: [serviceAccept, formatFailure(['password'], false).subarray(0, 6)] },
    'a change of a password cut off': {
      credential: { method: 'password', password: 'x' },
      sent: [serviceAccept, formatPasswordChangeRequest('New: ').subarray(0, 9)],
    },
  };
  for (const [which, { credential = { method: 'none' } as const, sent }] of Object.entries(cases)) {
    const { client, peer, result } = await logIn([credential]);
    peer.send(...sent);
    await assert.rejects(result, { code: 'protocol' }, which);
    assert.equal(client.isHeld, false);
  }
});

test('ends the connection when a callback fails, and tells why', async () => {
  const fail = (): never => {
    throw new Error('no terminal');
  };
  const answers: Credential[] = [
    { method: 'password', password: fail },
    { method: 'password', password: async () => fail() },
    { method: 'publickey', key: { blob: ed25519.publicKey.blob, algorithms: ['ssh-ed25519'], sign: fail } },
    { method: 'keyboard-interactive', answer: fail },
    { method: 'keyboard-interactive', answer: async () => ['one', 'too many'] },
  ];
  for (const credential of answers) {
    const { peer, result } = await logIn([credential]);
    peer.send(serviceAccept);
    if (credential.method === 'keyboard-interactive') {
      peer.send(formatInfoRequest({ prompts: [{ text: 'Code: ', echo: true }] }));
    }
    await assert.rejects(result, /no terminal|1 prompts, 2 answers/);
    const error = await peer.ended;
    assert.equal(error?.reason, disconnectReason.authenticationCancelled);
  }
});

test('rejects with the reason of the server that ends the connection', async () => {
  const { peer, result } = await logIn([{ method: 'none' }]);
  peer.transport.disconnect(disconnectReason.tooManyConnections, 'Come back later.');
  await assert.rejects(result, { code: 'disconnected', message: 'Come back later.' });
});

test('reads answers and messages back as they were written', async () => {
  const { peer, request, result } = await logIn([
    {
      method: 'keyboard-interactive',
      answer: ({ prompts }) => prompts.map(({ text }) => text.toUpperCase()),
    },
  ]);
  assert.equal((await request()).method, 'keyboard-interactive');
  const prompts = [
    { text: 'ä', echo: true },
    { text: 'b', echo: false },
  ];
  peer.send(serviceAccept, formatInfoRequest({ prompts }));
  const answers = readInfoResponse((await peer.receive()) as Buffer);
  assert.deepEqual(
    answers.map((answer) => answer.toString()),
    ['Ä', 'B'],
  );
  peer.send(formatSuccess());
  await result;
  for (const number of [50, 61, 79]) assert.equal(isAuthenticationMessage(number), true);
  for (const number of [49, 80]) assert.equal(isAuthenticationMessage(number), false);
});

test('takes any bytes of a server without failing, and is in by a success only', async () => {
  const known = fc.constantFrom(
    serviceAccept,
    formatFailure(['password', 'keyboard-interactive'], false),
    formatFailure(['keyboard-interactive'], true),
    formatBanner('hello'),
    formatInfoRequest({ prompts: [{ text: '?', echo: true }] }),
    formatPasswordChangeRequest('New: '),
  );
  const anything = fc
    .tuple(fc.constantFrom(6, 51, 53, 60, 61, 90, 200), fc.uint8Array({ maxLength: 60 }))
    .map(([number, bytes]) => Buffer.concat([Buffer.from([number]), bytes]));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(known, anything), { maxLength: 10 }), async (sent) => {
      const { client, peer, result } = await logIn([
        { method: 'publickey', key: ed25519, query: true },
        { method: 'password', password: 'x', newPassword: async () => 'y' },
        { method: 'keyboard-interactive', answer: ({ prompts }) => prompts.map(() => 'z') },
      ]);
      peer.send(...sent);
      await new Promise(setImmediate);
      // Held is who is in, and who has nothing left to try: then that is the error, and not the break.
      const { isHeld } = client;
      client.break();
      await assert.rejects(
        result,
        (error) =>
          error instanceof AuthenticationError ||
          (!isHeld &&
            (error instanceof TransportError ||
              error instanceof ProtocolError ||
              error instanceof WireError)),
      );
    }),
    {
      numRuns: 300,
      // Nothing is left to try, which random messages seldom bring about.
      examples: [
        [
          [
            serviceAccept,
            formatFailure(['keyboard-interactive'], true),
            formatFailure(['keyboard-interactive'], true),
          ],
        ],
      ],
    },
  );
});
