/**
 * The cases that every client is tried with on every target: ways to log in, what a session carries, files, forwards
 * both ways, agent and X11, many sessions at once, new keys under way, and each algorithm that both sides know. The
 * target is a stock server where the peers themselves are checked, and our server or relay where those are.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, constants, createReadStream, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { type Server, type Socket, connect as connectSocket, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { freePort } from '../../packages/ssh/src/testing/sshd.ts';
import { Background } from '../harness/background.ts';
import { eventually, execute } from '../harness/ssh.ts';
import { type KeyType, keyTypes } from './keys.ts';
import type {
  Ability,
  Choice,
  ClientPeer,
  Forward,
  LoginStep,
  Place,
  Result,
  Running,
} from './peers/peer.ts';
import { type Target, connectionTo } from './target.ts';

export interface Case {
  /** What is shown to hold. */
  readonly name: string;
  readonly needs: readonly Ability[];
  /** Cases of one kind differ in no more than the type of a key. */
  readonly kind?: 'key' | 'certificate';
  /** Public key algorithms of which both must know one. */
  readonly publicKeys?: readonly string[];
  readonly run: (peer: ClientPeer, target: Target) => Promise<void>;
}

const mebibyte = 1024 * 1024;
/** Larger than any first window, and no multiple of a packet. */
const manyBytes = 3 * mebibyte + 17;

const cases: readonly Case[] = [
  login('a password', ['password'], ({ identities }) => [
    { method: 'password', password: identities.password },
  ]),
  login('keyboard-interactive', ['keyboard-interactive'], ({ identities }) => [
    { method: 'keyboard-interactive', answer: identities.password },
  ]),
  ...keyTypes.flatMap((type) => signaturesOf(type).map((signature) => keyLogin(type, signature))),
  ...keyTypes.map(certificateLogin),
  {
    name: 'logs in by a key and a password, both asked for',
    needs: ['password', 'sequence'],
    run: async (peer, target) => {
      const { userKeys, password } = target.identities;
      const connection = connectionTo(target, 'sequence', {
        port: target.sequencePort,
        login: [
          { method: 'publickey', key: userKeys['ssh-ed25519'] },
          { method: 'password', password },
        ],
      });
      assertSaid(await peer.run(connection, { command: 'echo in' }), 'in\n');
    },
  },
  {
    name: 'is refused with a wrong password',
    needs: ['password'],
    run: async (peer, target) => {
      const connection = connectionTo(target, 'wrong', {
        login: [{ method: 'password', password: 'wrong' }],
      });
      const result = await peer.run(connection, { command: 'echo in' });
      // No exit status is asked for: Dropbear's is 0 when the server has hung up.
      assert.equal(result.stdout, '', said(result));
    },
  },
  {
    name: 'refuses a server with another host key than it knows',
    needs: [],
    run: async (peer, target) => {
      const hostKeys = [target.identities.authority.publicLine];
      const connection = connectionTo(target, 'stranger', { hostKeys });
      const result = await peer.run(connection, { command: 'echo in' });
      assert.notEqual(result.code, 0, said(result));
      assert.equal(result.stdout, '');
    },
  },
  {
    name: "passes on a command's output, errors and exit status, and its input to the end",
    needs: [],
    run: async (peer, target) => {
      const session = { command: 'cat; echo "on the side" >&2; exit 7' };
      const result = await peer.run(connectionTo(target, 'exec'), session, { stdin: 'first\nlast' });
      assert.deepEqual(
        { code: result.code, stdout: result.stdout },
        { code: 7, stdout: 'first\nlast' },
        said(result),
      );
      assert.match(result.stderr, /on the side/);
    },
  },
  {
    name: 'streams bytes through a command both ways, unchanged',
    needs: [],
    run: async (peer, target) => {
      const connection = connectionTo(target, 'stream');
      const sent = randomFile(connection.folder, manyBytes);
      const received = join(connection.folder, 'received');
      const streams = { stdin: { file: sent }, stdout: { file: received } };
      const result = await peer.run(connection, { command: 'cat' }, streams);
      assert.equal(result.code, 0, said(result));
      assert.equal(await digest(received), await digest(sent));
    },
  },
  {
    name: 'runs a shell',
    needs: [],
    run: async (peer, target) => {
      const result = await peer.run(
        connectionTo(target, 'shell'),
        {},
        { stdin: 'echo $((6 * 7))\nexit 3\n' },
      );
      assert.equal(result.code, 3, said(result));
      assert.match(result.stdout, /^42$/m);
    },
  },
  {
    name: 'gets a terminal',
    needs: ['pty'],
    run: async (peer, target) => {
      const result = await peer.run(connectionTo(target, 'pty'), {
        command: 'tty && echo "TERM is $TERM"',
        pty: 'vt100',
      });
      assert.equal(result.code, 0, said(result));
      assert.match(result.stdout, /\/dev\/pts\/\d+\r+\nTERM is vt100\r+$/m);
    },
  },
  {
    name: 'sets an environment variable',
    needs: ['environment'],
    run: async (peer, target) => {
      const session = { command: 'echo "$PEER_COLOUR"', environment: { PEER_COLOUR: 'blue green' } };
      assertSaid(await peer.run(connectionTo(target, 'environment'), session), 'blue green\n');
    },
  },
  {
    name: 'starts a subsystem',
    needs: ['subsystem'],
    run: async (peer, target) => {
      // The first packet of SFTP, version 3, and the start of its answer.
      const initialize = '\0\0\0\x05\x01\0\0\0\x03';
      const connection = connectionTo(target, 'subsystem');
      const client = peer.start(connection, { subsystem: 'sftp' });
      client.child.stdin?.write(initialize);
      const [answer] = (await Promise.race([
        once(client.child.stdout ?? client.child, 'data'),
        client.ended.then((result) => assert.fail(`the client ended: ${said(result)}`)),
      ])) as [string];
      client.child.stdin?.end();
      await client.ended;
      assert.equal(answer.slice(4, 9), '\x02\0\0\0\x03');
    },
  },
  {
    name: 'puts and gets a file by SFTP',
    needs: ['sftp'],
    run: async (peer, target) => {
      const connection = connectionTo(target, 'sftp');
      const local = randomFile(connection.folder, manyBytes);
      const back = join(connection.folder, 'back');
      const remote = join(target.home, `sftp-${randomBytes(6).toString('hex')}`);
      const result = await peer.transfer(connection, [
        { kind: 'put', local, remote },
        { kind: 'get', local: back, remote },
      ]);
      assert.equal(result.code, 0, said(result));
      assert.equal(await digest(back), await digest(local));
      assert.equal(await digest(remote), await digest(local));
    },
  },
  {
    name: 'runs ten sessions at once on one connection',
    needs: ['parallel'],
    run: (peer, target) => runAtOnce(peer, target, 10),
  },
  {
    name: "reaches a port from the server's side",
    needs: ['connect'],
    run: async (peer, target) => {
      const service = await greet({ host: '127.0.0.1' });
      try {
        const result = await peer.connect(connectionTo(target, 'connect'), service.place, { stdin: 'hello' });
        assert.equal(result.stdout, 'welcome, hello', said(result));
      } finally {
        await service.stop();
      }
    },
  },
  {
    name: "reaches a Unix socket from the server's side",
    needs: ['connect-socket'],
    run: async (peer, target) => {
      const service = await greet({ path: join(target.home, `s-${randomBytes(4).toString('hex')}`) });
      try {
        const result = await peer.connect(connectionTo(target, 'connect'), service.place, { stdin: 'hello' });
        assert.equal(result.stdout, 'welcome, hello', said(result));
      } finally {
        await service.stop();
      }
    },
  },
  forwardCase('forwards a port of its own', ['local-forward'], 'local', 'port', 'port'),
  forwardCase('forwards a socket of its own', ['local-socket-forward'], 'local', 'socket', 'socket'),
  forwardCase('forwards a port of the server', ['remote-forward'], 'remote', 'port', 'port'),
  forwardCase('forwards a socket of the server', ['remote-socket-forward'], 'remote', 'socket', 'port'),
  {
    name: 'is a SOCKS server',
    needs: ['dynamic-forward'],
    run: async (peer, target) => {
      const service = await greet({ host: '127.0.0.1' });
      const listen = { host: '127.0.0.1', port: await freePort() };
      const client = peer.forward(connectionTo(target, 'dynamic'), [{ kind: 'dynamic', listen }]);
      try {
        await answersAt(listen, client, throughSocks(service.place.port));
      } finally {
        await client.stop();
        await service.stop();
      }
    },
  },
  {
    name: 'lets commands use its agent',
    needs: ['agent'],
    run: async (peer, target) => {
      const base = connectionTo(target, 'agent');
      const agent = join(base.folder, 'a');
      const program = new Background('ssh-agent', ['-D', '-a', agent]);
      try {
        const environment = { SSH_AUTH_SOCK: agent };
        const key = target.identities.userKeys['ecdsa-sha2-nistp384'].file;
        await eventually(
          () => execute('ssh-add', ['-q', key], { environment }),
          ({ code }) => code === 0,
        );
        const held = await execute('ssh-add', ['-L'], { environment });
        assertSaid(await peer.run({ ...base, agent }, { command: 'ssh-add -L' }), held.stdout);
      } finally {
        await program.stop();
      }
    },
  },
  {
    name: 'lets commands use its display',
    needs: ['x11'],
    run: async (peer, target) => {
      const display = await greet({ host: '127.0.0.1' });
      try {
        // A display's number counts from port 6000.
        const x11 = `127.0.0.1:${display.place.port - 6000}`;
        const connection = connectionTo(target, 'x11', { x11 });
        const result = await peer.run(connection, { command: `python3 -c '${speakX11}'` });
        assert.equal(result.code, 0, said(result));
        assert.match(result.stdout, /^welcome, l/, said(result));
      } finally {
        await display.stop();
      }
    },
  },
];

/** A case that cannot be asked of a peer on a target, and what for. */
export interface Unable {
  readonly name: string;
  readonly lacks: string;
}

/** The cases that can be asked of this peer on a target that can do so much, and the others. */
export async function sortCases(
  peer: ClientPeer,
  target: Pick<Target, 'abilities' | 'algorithms'>,
): Promise<{ able: Case[]; unable: Unable[] }> {
  const { publicKeys: known } = await peer.algorithms();
  const able: Case[] = [];
  const unable: Unable[] = [];
  for (const each of cases) {
    const { name, needs, publicKeys } = each;
    const need = needs.find((ability) => !peer.abilities.has(ability) || !target.abilities.has(ability));
    const isKnown =
      publicKeys?.some((key) => known.includes(key) && target.algorithms.publicKeys.includes(key)) ?? true;
    const lacks = need ?? (isKnown ? undefined : publicKeys?.join(' or '));
    if (lacks === undefined) able.push(each);
    else unable.push({ name, lacks });
  }
  return { able, unable };
}

/**
 * Choices which together have each algorithm that both sides know at least once, in as few connections as that
 * takes. A cipher that authenticates by itself stands beside no MAC.
 */
export async function choices(peer: ClientPeer, target: Target): Promise<Choice[]> {
  const known = await peer.algorithms();
  const may = (ability: Ability): boolean => peer.abilities.has(ability);
  const both = (kind: 'kex' | 'hostKeys' | 'ciphers' | 'macs', ability: Ability): string[] =>
    may(ability) ? known[kind].filter((name) => target.algorithms[kind].includes(name)) : [];
  // Some names are signs and no methods (RFC 8308, section 2.1), and host certificates are another matter.
  const kex = both('kex', 'choose-key-exchange').filter(
    (name) => !/^(ext-info-|kex-strict-|kexguess)/.test(name),
  );
  const hostKeys = both('hostKeys', 'choose-host-key').filter(
    (name) => !/-cert-v01@|^(webauthn-)?sk-/.test(name),
  );
  const ciphers = both('ciphers', 'choose-cipher');
  const macs = both('macs', 'choose-cipher');
  const [withMac, alone] = [ciphers.filter(needsMac), ciphers.filter((name) => !needsMac(name))];
  const protections: Choice[] = [
    ...alone.map((cipher) => ({ cipher })),
    ...Array.from({ length: withMac.length > 0 ? Math.max(withMac.length, macs.length) : 0 }, (_, index) => ({
      ...pick('cipher', withMac, index),
      ...pick('mac', macs, index),
    })),
  ];
  const count = Math.max(kex.length, hostKeys.length, protections.length);
  return Array.from({ length: count }, (_, index) => ({
    ...pick('kex', kex, index),
    ...pick('hostKey', hostKeys, index),
    ...protections[index % Math.max(protections.length, 1)],
  }));
}

/** Runs so many sessions on one connection, each of which stays until all are there. */
export async function runAtOnce(peer: ClientPeer, target: Target, count: number): Promise<void> {
  const meeting = join(target.home, `meeting-${randomBytes(6).toString('hex')}`);
  mkdirSync(meeting);
  chmodSync(meeting, 0o777);
  const gate = join(meeting, 'gate');
  execFileSync('mkfifo', ['-m', '666', gate]);
  const numbers = Array.from({ length: count }, (_, index) => index);
  // Reading waits until somebody writes, and then for its end.
  const commands = numbers.map((number) => `: > ${meeting}/${number}; cat ${gate}; echo ${number}`);
  const ended = peer.parallel(connectionTo(target, 'parallel'), commands);
  let isOver = false;
  void ended.finally(() => (isOver = true)).catch(() => undefined);
  await eventually(
    () => readdirSync(meeting).length > count,
    (areThere) => areThere || isOver,
    60_000,
  );
  // One that comes to the gate a little later is let through the next time.
  await eventually(
    async () => {
      const writer = await open(gate, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined);
      await writer?.close();
    },
    () => isOver,
    60_000,
  );
  const results = await ended;
  assert.deepEqual(
    results.map(({ code, stdout }) => [code, stdout.trim()]),
    numbers.map((number) => [0, String(number)]),
    JSON.stringify(results),
  );
}

/** Sends bytes through a connection with the given algorithms. */
export async function exchangeWith(peer: ClientPeer, target: Target, algorithms: Choice): Promise<void> {
  const connection = connectionTo(target, 'algorithms', { algorithms });
  const words = randomBytes(20_000).toString('hex');
  const result = await peer.run(connection, { command: 'cat' }, { stdin: words });
  assert.ok(result.code === 0 && result.stdout === words, `${JSON.stringify(algorithms)}: ${said(result)}`);
}

/** Moves `bytes` one way; the client asks for new keys every `rekeyBytes`. */
export async function moveBytes(
  peer: ClientPeer,
  target: Target,
  direction: 'up' | 'down',
  { bytes, rekeyBytes }: { bytes: number; rekeyBytes?: number },
): Promise<void> {
  const connection = connectionTo(
    target,
    `rekey ${direction}`,
    rekeyBytes === undefined ? {} : { rekeyBytes },
  );
  const source = randomFile(direction === 'up' ? connection.folder : target.home, bytes);
  const expected = await digest(source);
  if (direction === 'up') {
    const streams = { stdin: { file: source } };
    const result = await peer.run(connection, { command: 'sha256sum' }, streams);
    assert.equal(result.stdout.split(' ')[0], expected, said(result));
  } else {
    const received = join(connection.folder, 'received');
    const result = await peer.run(connection, { command: `cat ${source}` }, { stdout: { file: received } });
    assert.equal(result.code, 0, said(result));
    assert.equal(await digest(received), expected);
  }
}

function login(how: string, needs: Ability[], steps: (target: Target) => LoginStep[]): Case {
  return {
    name: `logs in by ${how}`,
    needs,
    run: async (peer, target) => {
      const connection = connectionTo(target, 'login', { login: steps(target) });
      assertSaid(await peer.run(connection, { command: 'echo in' }), 'in\n');
    },
  };
}

function keyLogin(type: KeyType, signature: string): Case {
  return {
    ...login(`a key that signs with ${signature}`, [], ({ identities }) => [
      { method: 'publickey', key: identities.userKeys[type], ...(type === 'ssh-rsa' ? { signature } : {}) },
    ]),
    kind: 'key',
    publicKeys: [signature],
  };
}

function certificateLogin(type: KeyType): Case {
  return {
    ...login(`a certificate for a key of type ${type}`, ['certificate'], ({ identities }) => {
      const key = identities.certified[type];
      return [{ method: 'publickey', key, certificate: `${key.file}-cert.pub` }];
    }),
    kind: 'certificate',
    publicKeys: signaturesOf(type).map((signature) => `${signature}-cert-v01@openssh.com`),
  };
}

function signaturesOf(type: KeyType): string[] {
  return type === 'ssh-rsa' ? ['rsa-sha2-256', 'rsa-sha2-512'] : [type];
}

function forwardCase(
  name: string,
  needs: Ability[],
  kind: 'local' | 'remote',
  from: 'port' | 'socket',
  into: 'port' | 'socket',
): Case {
  return {
    name,
    needs,
    run: async (peer, target) => {
      const socket = (): { path: string } => ({
        path: join(target.home, `f-${randomBytes(4).toString('hex')}`),
      });
      const service = await greet(into === 'port' ? { host: '127.0.0.1' } : socket());
      const listen = from === 'port' ? { host: '127.0.0.1', port: await freePort() } : socket();
      const forward: Forward = { kind, listen, to: service.place };
      const client = peer.forward(connectionTo(target, 'forward'), [forward]);
      try {
        await answersAt(listen, client);
        // The listener stays for a second connection.
        assert.equal(await hello(listen, 'hello\n'), 'welcome, hello\n');
        if (peer.abilities.has('half-close') && target.abilities.has('half-close')) {
          assert.equal(await hello(listen, 'all of it'), 'welcome, all of it');
        }
      } finally {
        await client.stop();
        await service.stop();
      }
    },
  };
}

/** A service that answers a line at once, and other words when its caller has said everything. */
async function greet<T extends { host: string } | { path: string }>(
  where: T,
): Promise<{
  place: T extends { host: string } ? { host: string; port: number } : T;
  stop: () => Promise<void>;
}> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    let heard = '';
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
      // Nor does one who speaks X11 end.
      if (heard.endsWith('\n') || heard.startsWith('l')) socket.end(`welcome, ${heard}`);
    });
    socket.on('end', () => {
      if (!socket.writableEnded) socket.end(`welcome, ${heard}`);
    });
  });
  await new Promise<void>((resolve) =>
    server.listen('path' in where ? where : { ...where, port: 0 }, resolve),
  );
  if ('path' in where) chmodSync(where.path, 0o777);
  const place = 'path' in where ? where : { ...where, port: (server.address() as AddressInfo).port };
  return {
    place: place as never,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * Says hello at a listener that may not be there yet, until it answers; fails when the client ends first. A client
 * may refuse a first connection that comes before it has heard of its own listener.
 */
async function answersAt(listen: Place, client: Running, prelude?: Prelude): Promise<void> {
  const ended = client.ended.then((result) => assert.fail(`the client ended: ${said(result)}`));
  const asked = eventually(
    () =>
      hello(listen, 'hello\n', prelude).catch((error: NodeJS.ErrnoException) => error.code ?? error.message),
    (answer) => !['ECONNREFUSED', 'ECONNRESET', 'ENOENT', ''].includes(answer),
    15_000,
  );
  assert.equal(await Promise.race([ended, asked]), 'welcome, hello\n');
}

/** What a caller does before it says hello. */
type Prelude = (socket: Socket) => Promise<void>;

async function hello(place: Place, words: string, prelude: Prelude = async () => undefined): Promise<string> {
  const socket = connectSocket({ ...place, allowHalfOpen: true });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  await prelude(socket);
  if (words.endsWith('\n')) socket.write(words);
  else socket.end(words);
  return text(socket);
}

/** SOCKS 5 without authentication (RFC 1928), to 127.0.0.1. */
function throughSocks(port: number): Prelude {
  return async (socket) => {
    const read = async (bytes: number): Promise<Buffer> => {
      await eventually(
        () => socket.readableLength,
        (length) => length >= bytes,
      );
      return socket.read(bytes) as Buffer;
    };
    socket.pause();
    socket.write(Buffer.from([5, 1, 0]));
    await read(2);
    socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255]));
    assert.equal((await read(10))[1], 0);
  };
}

/** Asks xauth for the cookie of DISPLAY and opens a connection with it (X11 protocol, connection setup). */
const speakX11 = [
  'import os, socket, struct, subprocess',
  'display = os.environ["DISPLAY"]',
  'cookie = bytes.fromhex(subprocess.check_output(["xauth", "list", display], text=True).split()[2])',
  'number = int(display.rsplit(":", 1)[1].split(".")[0])',
  'server = socket.create_connection(("127.0.0.1", 6000 + number))',
  'name = b"MIT-MAGIC-COOKIE-1"',
  'server.sendall(struct.pack("<cxHHHHxx", b"l", 11, 0, len(name), 16) + name + bytes(2) + cookie)',
  'print(server.recv(100).decode())',
].join('\n');

function assertSaid(result: Result, expected: string): void {
  assert.equal(result.stdout, expected, said(result));
  assert.equal(result.code, 0, said(result));
}

function said({ code, stdout, stderr }: Result): string {
  return `exit status ${code}\n${stdout.slice(-2000)}\n${stderr.slice(-4000)}`;
}

function needsMac(cipher: string): boolean {
  return !/gcm|poly1305/i.test(cipher);
}

/** `{ [key]: names[index] }`, going round, or nothing without names. */
function pick<K extends keyof Choice>(
  key: K,
  names: readonly string[],
  index: number,
): Partial<Record<K, string>> {
  const name = names[index % Math.max(names.length, 1)];
  return name === undefined ? {} : ({ [key]: name } as Record<K, string>);
}

function randomFile(folder: string, bytes: number): string {
  const file = join(folder, `random-${randomBytes(6).toString('hex')}`);
  const block = randomBytes(Math.min(bytes, mebibyte));
  writeFileSync(file, '', { mode: 0o644 });
  for (let written = 0; written < bytes; written += block.length) {
    writeFileSync(file, block.subarray(0, bytes - written), { flag: 'a' });
  }
  return file;
}

async function digest(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
