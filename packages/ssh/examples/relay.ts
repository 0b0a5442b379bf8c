// A relay that lets one key in, logs in upstream with a key of its own, and permits sessions but no forwarding.
//
//   node relay.ts HOST_KEY_FILE PUBLIC_KEY_FILE UPSTREAM_PORT UPSTREAM_KEY_FILE UPSTREAM_HOST_KEY_FILE
//
// HOST_KEY_FILE and UPSTREAM_KEY_FILE are private keys, the two others public ones. The upstream is on this machine.

import { readFileSync } from 'node:fs';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import {
  Relay,
  type RelayPolicy,
  ServerAuthentication,
  SigningKey,
  Transport,
  dial,
  disconnectReason,
  parsePrivateKeyFile,
  parsePublicKey,
  serverHostKey,
} from '@berth/ssh';

const [hostKeyFile = '', publicKeyFile = '', port = '', upstreamKeyFile = '', upstreamHostKeyFile = ''] =
  process.argv.slice(2);
const hostKey = privateKey(hostKeyFile);
const upstreamKey = privateKey(upstreamKeyFile);
const person = publicKey(publicKeyFile);
const upstreamHostKey = publicKey(upstreamHostKeyFile);

function privateKey(file: string): SigningKey {
  const { key } = parsePrivateKeyFile(readFileSync(file, 'utf8'));
  if (!(key instanceof SigningKey)) throw new Error(`${file} does not hold the key itself.`);
  return key;
}

function publicKey(file: string): Buffer {
  return parsePublicKey(readFileSync(file, 'utf8')).blob;
}

const policy: RelayPolicy = {
  refuseChannel: ({ from, type }) =>
    from === 'client' && type === 'session' ? undefined : 'Only sessions are permitted here.',
  refuseRequest: ({ type }) => type === 'auth-agent-req@openssh.com' || type === 'x11-req',
  answerGlobalRequest: ({ name }) => (name === 'keepalive@openssh.com' ? 'pass' : 'refuse'),
};

async function serve(socket: Socket): Promise<void> {
  const gone = new AbortController();
  const client = Transport.server(socket, {
    hostKeys: [serverHostKey(hostKey)],
    closed: () => gone.abort(),
  });
  await client.established;
  const { user } = await new ServerAuthentication(client, {
    methods: ['publickey'],
    decide: (attempt) => {
      if (attempt.method !== 'publickey' || !attempt.key.blob.equals(person)) return { outcome: 'refuse' };
      return { outcome: attempt.signed ? 'accept' : 'usable' };
    },
    refused: () => ({ outcome: 'refuse' }),
  }).result;
  try {
    const upstream = await dial({
      host: '127.0.0.1',
      port: Number(port),
      user,
      credentials: [{ method: 'publickey', key: upstreamKey }],
      hostKey: upstreamHostKey,
      signal: gone.signal,
    });
    // The client is told of the relay's host key; the upstream's stays between the relay and the upstream.
    await new Relay(client, upstream, { policy, hostKeys: [hostKey] }).ended;
  } catch (error) {
    client.disconnect(disconnectReason.byApplication, 'The server behind does not answer.');
    throw error;
  }
}

const server = createServer((socket) => {
  serve(socket).catch((error: Error) => console.error(`${socket.remoteAddress}: ${error.message}`));
});
server.listen(0, '127.0.0.1', () => {
  console.log(`Listening on port ${(server.address() as AddressInfo).port}.`);
});
