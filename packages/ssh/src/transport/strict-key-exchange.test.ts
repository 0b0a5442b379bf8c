// The Terrapin attack (CVE-2023-48795) by a man in the middle between real peers: our server with OpenSSH's client, our
// client with OpenSSH's server, and both ours. A packet that he slips into the first key exchange shifts the sequence
// numbers, so that he can cut off the first protected packets unseen; a strict key exchange (OpenSSH's PROTOCOL,
// section 1.9) leaves him neither.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { generateHostKey } from '../keys/private-key.ts';
import { Client } from '../testing/client.ts';
import { testHostKey } from '../testing/hand-peer.ts';
import { type Direction, type Plan, startManInTheMiddle } from '../testing/man-in-the-middle.ts';
import { missingSshd, startSshd } from '../testing/sshd.ts';
import { Writer } from '../wire.ts';
import { message } from './messages.ts';
import { nodeProtection } from './packet-protection-node.ts';
import { Transport } from './transport.ts';
import type { TransportError } from './transport-error.ts';

const missingSsh =
  spawnSync('ssh', ['-V']).status === 0
    ? false
    : 'ssh is not there; install it with: apt-get install openssh-client';

const injected: Record<string, Buffer> = {
  IGNORE: new Writer().byte(message.ignore).string('x').toBuffer(),
  DEBUG: new Writer().byte(message.debug).boolean(false).string('x').string('').toBuffer(),
  UNIMPLEMENTED: new Writer().byte(message.unimplemented).uint32(0).toBuffer(),
  EXT_INFO: new Writer().byte(message.extInfo).uint32(1).string('server-sig-algs').string('').toBuffer(),
  'an unknown message': Buffer.from([19]),
};

/** In which packet's place, and there before it. */
const places: Record<string, Record<Direction, number>> = {
  KEXINIT: { toServer: message.kexInit, toClient: message.kexInit },
  'the share': { toServer: message.kexEcdhInit, toClient: message.kexEcdhReply },
  NEWKEYS: { toServer: message.newKeys, toClient: message.newKeys },
};

function inject(direction: Direction, place: string, payload: Buffer): Plan {
  return {
    packet: (where, original) =>
      where === direction && original[0] === places[place]?.[direction] ? [payload, original] : [original],
  };
}

function isProtocolError(error: TransportError | undefined): void {
  assert.equal(error?.code, 'protocol', String(error));
}

interface Server {
  readonly host: string;
  readonly port: number;
  /** How the first connection ended, and whether it had keys by then. */
  readonly end: Promise<{ error: TransportError | undefined; isEstablished: boolean; packets: number }>;
}

/** Our server, which ends a connection in good order when the first request arrived. */
async function ourServer(context: TestContext): Promise<Server> {
  const end = Promise.withResolvers<{
    error: TransportError | undefined;
    isEstablished: boolean;
    packets: number;
  }>();
  const server = createServer((socket) => {
    let isEstablished = false;
    let packets = 0;
    const transport = Transport.server(socket, {
      hostKeys: [testHostKey],
      userSignatureAlgorithms: ['ssh-ed25519'],
      // The one cipher that the attack is possible with.
      algorithms: { cipher: ['chacha20-poly1305@openssh.com'] },
      closed: (error) => end.resolve({ error, isEstablished, packets }),
    });
    transport.established.then(
      () => (isEstablished = true),
      () => {},
    );
    transport.handle({
      packet: () => {
        packets += 1;
        transport.disconnect(11, 'enough');
      },
      closed: () => {},
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { host: '127.0.0.1', port, end: end.promise };
}

/** Our client, which asks for a service; resolves with how it ended, or with undefined once there is an answer. */
async function ourClient(
  context: TestContext,
  to: { host: string; port: number },
): Promise<{
  error: TransportError | undefined;
  isEstablished: boolean;
  extensions: ReadonlyMap<string, Buffer>;
}> {
  const socket = connect(to.port, to.host);
  context.after(() => socket.destroy());
  await once(socket, 'connect');
  const end = Promise.withResolvers<TransportError | undefined>();
  const transport = Transport.client(socket, {
    whyNotHostKey: () => undefined,
    algorithms: { cipher: ['chacha20-poly1305@openssh.com'] },
    closed: end.resolve,
  });
  let isEstablished = false;
  transport.established.then(
    () => (isEstablished = true),
    () => {},
  );
  transport.handle({ packet: () => end.resolve(undefined), closed: () => {} });
  transport.send(new Writer().byte(message.serviceRequest).string('ssh-userauth').toBuffer());
  return { error: await end.promise, isEstablished, extensions: transport.extensions };
}

function stockClient(context: TestContext, port: number): void {
  const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes'];
  const child = spawn(
    'ssh',
    [
      '-F',
      'none',
      ...options.flatMap((each) => ['-o', each]),
      '-p',
      String(port),
      'nobody@127.0.0.1',
      'true',
    ],
    { stdio: 'ignore' },
  );
  const exited = once(child, 'exit');
  context.after(async () => {
    child.kill();
    await exited;
  });
}

async function between(
  context: TestContext,
  to: { host: string; port: number },
  plan: Plan,
): Promise<{ host: string; port: number }> {
  const middle = await startManInTheMiddle(to, plan);
  context.after(middle.stop);
  return middle;
}

/** What our EXT_INFO takes on the wire: five bytes, the payload, padding and tag. */
function sealedExtInfoBytes(extensions: ReadonlyMap<string, Buffer>): number {
  let payload = 5;
  for (const [name, value] of extensions) payload += 8 + name.length + value.length;
  const unpadded = 1 + payload;
  const padding = 8 - (unpadded % 8);
  return 4 + unpadded + (padding < 4 ? padding + 8 : padding) + 16;
}

describe("our server and OpenSSH's client", { skip: missingSsh }, () => {
  test('meet when nobody is between them', async (context) => {
    const server = await ourServer(context);
    stockClient(context, (await between(context, server, {})).port);
    assert.equal((await server.end).packets, 1);
  });

  for (const place of Object.keys(places)) {
    for (const [name, payload] of Object.entries(injected)) {
      test(`part when ${name} is slipped in before ${place}`, async (context) => {
        const server = await ourServer(context);
        const { port } = await between(context, server, inject('toServer', place, payload));
        stockClient(context, port);
        const { error, packets } = await server.end;
        isProtocolError(error);
        assert.equal(packets, 0);
      });
    }
  }
});

describe("our client and OpenSSH's server", { skip: missingSshd }, () => {
  test('meet when nobody is between them, and part at anything slipped in', async (context) => {
    const sshd = await startSshd(generateHostKey().privateKeyOpenSsh);
    context.after(sshd.stop);
    const good = await ourClient(context, await between(context, sshd, {}));
    assert.equal(good.error, undefined);
    assert.ok(good.extensions.has('server-sig-algs'));
    for (const place of Object.keys(places)) {
      for (const [name, payload] of Object.entries(injected)) {
        const middle = await between(context, sshd, inject('toClient', place, payload));
        const { error, isEstablished } = await ourClient(context, middle);
        assert.equal(error?.code, 'protocol', `${name} before ${place}: ${error?.message}`);
        assert.equal(isEstablished, false);
      }
    }
    const cut = { dropAfterNewKeys: { toClient: sealedExtInfoBytes(good.extensions) } };
    const { error } = await ourClient(context, await between(context, sshd, cut));
    assert.match(error?.message ?? '', /changed on its way|a length that none may have/);
  });
});

describe('our server and our client', () => {
  for (const direction of ['toServer', 'toClient'] as const) {
    for (const place of Object.keys(places)) {
      for (const [name, payload] of Object.entries(injected)) {
        test(`part when ${name} is slipped in before ${place}, ${direction}`, async (context) => {
          const server = await ourServer(context);
          const middle = await between(context, server, inject(direction, place, payload));
          const [client, { error }] = await Promise.all([ourClient(context, middle), server.end]);
          const [victim, other] = direction === 'toServer' ? [error, client.error] : [client.error, error];
          isProtocolError(victim);
          assert.notEqual(other, undefined);
        });
      }
    }
  }

  test('part when EXT_INFO is cut off, whether something was slipped in for it or not', async (context) => {
    const clean = await ourServer(context);
    const { extensions, error } = await ourClient(context, clean);
    assert.equal(error, undefined);
    const dropAfterNewKeys = { toClient: sealedExtInfoBytes(extensions) };
    for (const plan of [{}, inject('toClient', 'NEWKEYS', injected['IGNORE'] ?? Buffer.alloc(0))]) {
      const server = await ourServer(context);
      const client = await ourClient(context, await between(context, server, { ...plan, dropAfterNewKeys }));
      isProtocolError(client.error);
      assert.equal(client.extensions.size, 0);
    }
  });
});

test('our server still speaks with a client that knows no strict key exchange', async (context) => {
  const server = await ourServer(context);
  const [cipher, mac] = ['chacha20-poly1305@openssh.com', 'hmac-sha2-256'];
  const client = await Client.connect({
    ...server,
    cipher,
    mac,
    isStrict: false,
    protection: nodeProtection,
  });
  client.send(new Writer().byte(message.serviceRequest).string('ssh-userauth').toBuffer());
  assert.equal((await server.end).packets, 1);
  await client.close();
});
