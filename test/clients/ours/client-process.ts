// Our client as a program, with the words and the exit status of every driver (../peers/driver.ts).

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type Socket, connect as connectSocket, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import {
  type Channel,
  type ClientSession,
  type Connection,
  type ConnectionHandlers,
  type Credential,
  type Forward,
  type Place,
  type PublicKeyCredential,
  type SessionOptions,
  type SignatureAlgorithm,
  connect,
  join,
  parsePublicKey,
} from '@berth/ssh';
import { everything } from './algorithms.ts';
import { signingKeyOf } from './front.ts';

const words = process.argv.slice(2).map((word): [name: string, value: string] => {
  const equals = word.indexOf('=');
  return [word.slice(0, equals), word.slice(equals + 1)];
});
/** What is carried to where, for listeners on the server's side. */
const remotes: [listen: Place, to: Place][] = [];

const tasks: Readonly<Record<string, () => Promise<number>>> = {
  algorithms: async () => {
    for (const [kind, names] of Object.entries(everything))
      process.stdout.write(`${kind}=${names.join(',')}\n`);
    return 0;
  },
  run: () => withConnection(run),
  connect: () =>
    withConnection(async (connection) => {
      const channel = await open(connection, readPlace(one('to') ?? ''));
      process.stdin.pipe(channel);
      channel.pipe(process.stdout, { end: false });
      await once(channel, 'end');
      return 0;
    }),
  forward: () => withConnection(forward),
  parallel: () =>
    withConnection(async (connection) => {
      const results = await Promise.all(
        all('command').map(async (command) => {
          const session = await connection.session();
          await session.exec(command);
          session.channel.end();
          session.stderr.resume();
          const output = await text(session.channel);
          return `${statusOf(await session.exited)} ${Buffer.from(output).toString('hex')}\n`;
        }),
      );
      process.stdout.write(results.join(''));
      return 0;
    }),
};

async function withConnection(use: (connection: Connection) => Promise<number>): Promise<number> {
  const hostKeys = all('hostKey').map((line) => parsePublicKey(line).blob);
  const [kex, hostKey, cipher, mac] = ['kex', 'hostKeyAlgorithm', 'cipher', 'mac'].map(one);
  const chosen = (name: string | undefined, known: readonly string[]): readonly string[] =>
    name === undefined ? known : [name];
  const rekeyBytes = one('rekeyBytes');
  const connection = await connect({
    host: one('host') ?? '',
    port: Number(one('port')),
    user: one('user') ?? '',
    credentials: readCredentials(),
    hostKey: (offered) => (hostKeys.some((known) => known.equals(offered)) ? undefined : 'Another host key.'),
    algorithms: {
      keyExchange: chosen(kex, everything.kex),
      hostKey: chosen(hostKey, everything.hostKeys),
      cipher: chosen(cipher, everything.ciphers),
      mac: chosen(mac, everything.macs),
    },
    ...(rekeyBytes !== undefined && { rekey: { bytes: Number(rekeyBytes) } }),
    handlers,
  });
  try {
    return await use(connection);
  } finally {
    connection.disconnect('Done.');
  }
}

const handlers: ConnectionHandlers = {
  forward: async (asked, channel) => {
    const socket = connectSocket({ ...destinationOf(asked), allowHalfOpen: true });
    await once(socket, 'connect');
    join(channel, socket);
  },
};

function destinationOf(asked: Forward): { host: string; port: number } | { path: string } {
  if (asked.type === 'auth-agent@openssh.com') return { path: one('agent') ?? '' };
  if (asked.type === 'x11') {
    const [host = '', display = ''] = (one('x11') ?? '').split(':');
    return { host, port: 6000 + Number(display) };
  }
  const found = remotes.find(([listen]) =>
    'path' in listen
      ? 'path' in asked && asked.path === listen.path
      : 'port' in asked && asked.port === listen.port,
  );
  if (found === undefined) throw new Error(`nobody asked for ${asked.type}`);
  return found[1];
}

async function run(connection: Connection): Promise<number> {
  const session = await connection.session();
  const { stdin, stdout, stderr } = process;
  await start(session);
  stdin.pipe(session.channel);
  // A program may end before it has read everything.
  session.channel.on('error', () => stdin.destroy());
  session.channel.pipe(stdout, { end: false });
  session.stderr.pipe(stderr, { end: false });
  const status = statusOf(await session.exited);
  stdin.destroy();
  if (!session.channel.readableEnded) await once(session.channel, 'end');
  return status;
}

async function start(session: ClientSession): Promise<void> {
  const [command, subsystem, term, agent, x11] = ['command', 'subsystem', 'pty', 'agent', 'x11'].map(one);
  const env = Object.fromEntries(
    all('environment').map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]),
  );
  const size = { columns: 80, rows: 24, widthPixels: 0, heightPixels: 0 };
  const options: SessionOptions = {
    env,
    agent: agent !== undefined,
    ...(term !== undefined && { pty: { term, ...size, modes: {} } }),
    ...(x11 !== undefined && {
      x11: {
        isSingleConnection: false,
        protocol: 'MIT-MAGIC-COOKIE-1',
        cookie: randomBytes(16).toString('hex'),
        screen: 0,
      },
    }),
  };
  if (command !== undefined) await session.exec(command, options);
  else if (subsystem !== undefined) await session.subsystem(subsystem, options);
  else await session.shell(options);
  if (session.refused.length > 0) throw new Error(`the server refused ${session.refused.join(', ')}`);
}

async function forward(connection: Connection): Promise<number> {
  for (const word of all('local')) {
    const [listen, to] = word.split(' ').map(readPlace);
    if (listen === undefined || to === undefined) throw new TypeError(`not two places: ${word}`);
    const listener = createServer({ allowHalfOpen: true }, (socket: Socket) => {
      open(connection, to).then(
        (channel) => join(channel, socket),
        () => socket.destroy(),
      );
    });
    listener.listen(listen);
    await once(listener, 'listening');
  }
  for (const word of all('remote')) {
    const [listen, to] = word.split(' ').map(readPlace);
    if (listen === undefined || to === undefined) throw new TypeError(`not two places: ${word}`);
    remotes.push([listen, to]);
    await connection.listen(listen);
  }
  // Until the test stops it.
  return new Promise(() => {});
}

function open(connection: Connection, to: Place): Promise<Channel> {
  return connection.open(
    'path' in to
      ? { type: 'direct-streamlocal@openssh.com', path: to.path }
      : { type: 'direct-tcpip', ...to, originHost: '127.0.0.1', originPort: 0 },
  );
}

/** The steps of the login, in order. */
function readCredentials(): Credential[] {
  return words.flatMap(([name, value], index): Credential[] => {
    if (name === 'password') return [{ method: 'password', password: value }];
    if (name === 'answer') {
      return [{ method: 'keyboard-interactive', answer: ({ prompts }) => prompts.map(() => value) }];
    }
    return name === 'key' ? [readKey(value, words.slice(index + 1))] : [];
  });
}

function readKey(file: string, following: typeof words): PublicKeyCredential {
  const end = following.findIndex(([name]) => name !== 'certificate' && name !== 'signature');
  const more = Object.fromEntries(end < 0 ? following : following.slice(0, end));
  const { certificate, signature } = more as { certificate?: string; signature?: SignatureAlgorithm };
  const signing = signingKeyOf({ file });
  const key: PublicKeyCredential['key'] =
    signature === undefined
      ? signing
      : {
          blob: signing.publicKey.blob,
          algorithms: [signature],
          sign: (data: Buffer, algorithm: SignatureAlgorithm) => signing.sign(data, algorithm),
        };
  const blob = certificate === undefined ? undefined : readFileSync(certificate, 'utf8').split(' ')[1];
  return {
    method: 'publickey',
    key,
    ...(blob !== undefined && { certificate: Buffer.from(blob, 'base64') }),
  };
}

function statusOf(exit: Awaited<ClientSession['exited']>): number {
  return exit !== undefined && 'status' in exit ? exit.status : 255;
}

function readPlace(word: string): Place {
  if (word.startsWith('/')) return { path: word };
  const colon = word.lastIndexOf(':');
  return { host: word.slice(0, colon), port: Number(word.slice(colon + 1)) };
}

function all(name: string): string[] {
  return words.flatMap(([each, value]) => (each === name ? [value] : []));
}

function one(name: string): string | undefined {
  return all(name)[0];
}

try {
  const task = tasks[one('task') ?? ''];
  if (task === undefined) throw new TypeError('no such task');
  process.exitCode = await task();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 255;
}
process.stdin.destroy();
