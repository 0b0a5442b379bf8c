// A server that lets one key in and sends back what it is sent.
//
//   node echo-server.ts HOST_KEY_FILE PUBLIC_KEY_FILE [PORT]

import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { SigningKey, acceptConnection, parsePrivateKeyFile, parsePublicKey, serverHostKey } from '@berth/ssh';

const [hostKeyFile = '', publicKeyFile = '', port = '0'] = process.argv.slice(2);
const { key: hostKey } = parsePrivateKeyFile(readFileSync(hostKeyFile, 'utf8'));
if (!(hostKey instanceof SigningKey)) throw new Error('A host key cannot be in a security key.');
const user = parsePublicKey(readFileSync(publicKeyFile, 'utf8'));

const server = createServer((socket) => {
  acceptConnection(socket, {
    transport: { hostKeys: [serverHostKey(hostKey)] },
    authentication: {
      methods: ['publickey'],
      decide: (attempt) => {
        if (attempt.method !== 'publickey' || !attempt.key.blob.equals(user.blob)) {
          return { outcome: 'refuse' };
        }
        // First a client may ask whether the key would do; then it signs.
        return { outcome: attempt.signed ? 'accept' : 'usable' };
      },
      refused: () => ({ outcome: 'refuse' }),
    },
    handlers: () => ({
      session: (session) => ({
        exec: (command) => {
          session.channel.write(command);
          session.exit(0);
          return true;
        },
        shell: () => {
          session.channel.on('end', () => session.exit(0)).pipe(session.channel, { end: false });
          return true;
        },
      }),
    }),
  }).catch((error: Error) => console.error(`${socket.remoteAddress}: ${error.message}`));
});

server.listen(Number(port), '127.0.0.1', () => {
  console.log(`Listening on port ${(server.address() as AddressInfo).port}.`);
});
