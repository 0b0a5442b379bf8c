// node berth-process.ts UPSTREAM-PORT USER HOST-KEY CLIENT-KEY.pub UPSTREAM-KEY UPSTREAM-HOST-KEY.pub: prints the port
// that it listens on. Packets passed on by packages/ssh, as its owner would put it together.

import { readFileSync } from 'node:fs';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import {
  Relay,
  ServerAuthentication,
  SigningKey,
  Transport,
  defaultAlgorithms,
  dial,
  parsePrivateKey,
  parsePublicKey,
  serverHostKey,
} from '../../../packages/ssh/src/index.ts';

const [port, user = '', ...files] = process.argv.slice(2);
const [hostKeyFile, clientKeyFile, upstreamKeyFile, upstreamHostKeyFile] = files.map((file) =>
  readFileSync(file, 'utf8'),
);
const hostKeys = [serverHostKey(new SigningKey(parsePrivateKey(hostKeyFile ?? '')))];
const clientKey = parsePublicKey(clientKeyFile ?? '').blob;
const upstreamKey = new SigningKey(parsePrivateKey(upstreamKeyFile ?? ''));
const upstreamHostKey = parsePublicKey(upstreamHostKeyFile ?? '').blob;

async function serve(socket: Socket): Promise<void> {
  const client = Transport.server(socket, { hostKeys });
  let upstream: Transport | undefined;
  const authentication = new ServerAuthentication(client, {
    methods: ['publickey'],
    refused: () => ({ outcome: 'refuse' }),
    decide: async (attempt) => {
      if (attempt.method !== 'publickey' || !attempt.key.blob.equals(clientKey)) return { outcome: 'refuse' };
      if (!attempt.signed) return { outcome: 'usable' };
      // The other leg takes the same cipher, so that packets are sealed where they were opened.
      const cipher = client.negotiated?.encryptionServerToClient ?? '';
      upstream = await dial({
        host: '127.0.0.1',
        port: Number(port),
        user,
        credentials: [{ method: 'publickey', key: upstreamKey }],
        hostKey: upstreamHostKey,
        algorithms: { cipher: [cipher, ...defaultAlgorithms.cipher], hostKey: ['ssh-ed25519'] },
        signal: attempt.signal,
      });
      return { outcome: 'accept' };
    },
  });
  await authentication.result;
  if (upstream !== undefined) await new Relay(client, upstream).ended;
}

const server = createServer((socket) => {
  // Who does not get in, or leaves, is nothing to report here.
  serve(socket).catch(() => {});
});
server.listen(0, '127.0.0.1', 1024, () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
