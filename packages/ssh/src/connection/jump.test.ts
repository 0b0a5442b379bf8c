// A session inside a session, as `ssh -J` makes it: a server whose direct-tcpip channels (RFC 4254, section 7.2) lead
// into a Unix socket, at whose other end a transport in the server's role ends the inner session. The client is stock.

import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { formatPrivateKey } from '../keys/private-key.ts';
import { type SigningKey, generateSigningKey } from '../keys/signing-key.ts';
import { acceptConnection } from '../server.ts';
import { type ShellServer, onlyKey, startShellServer } from '../testing/shell-server.ts';
import { serverHostKey } from '../transport/host-keys.ts';
import type { Connection } from './connection.ts';
import { join } from './forwarding.ts';

const folder = mkdtempSync(joinPath(tmpdir(), 'jump-test-'));
const innerSocket = joinPath(folder, 'inner');
const name = 'demo-7f3k';

function write(file: string, content: string): string {
  const path = joinPath(folder, file);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

function publicLine({ type, publicKey }: SigningKey): string {
  return `${type} ${publicKey.blob.toString('base64')}`;
}

/** The server that a client jumps over: nothing but channels to the one name is let through. */
class Jump {
  readonly connections: Connection[] = [];
  readonly sockets = new Set<Socket>();
  readonly #listener: Server;

  constructor(hostKey: SigningKey, userKey: SigningKey) {
    this.#listener = createServer({ noDelay: true }, (socket) => {
      void this.#accept(socket, hostKey, userKey);
    });
  }

  async #accept(socket: Socket, hostKey: SigningKey, userKey: SigningKey): Promise<void> {
    this.#watch(socket);
    const { connection } = await acceptConnection(socket, {
      transport: { hostKeys: [serverHostKey(hostKey)] },
      authentication: { ...onlyKey(userKey.publicKey.blob), refused: () => ({ outcome: 'refuse' }) },
      handlers: () => ({
        forward: async (forward, channel) => {
          assert.ok(forward.type === 'direct-tcpip' && forward.host === name);
          const inner = connect({ path: innerSocket, allowHalfOpen: true });
          this.#watch(inner);
          await once(inner, 'connect');
          join(channel, inner);
        },
      }),
    });
    this.connections.push(connection);
  }

  #watch(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
  }

  async listen(): Promise<number> {
    this.#listener.listen(0, '127.0.0.1');
    await once(this.#listener, 'listening');
    return (this.#listener.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.#listener.close();
    await once(this.#listener, 'close');
  }
}

describe('a session through a channel and a Unix socket', { timeout: 60_000 }, () => {
  let hostKeys: { readonly jump: SigningKey; readonly inner: SigningKey };
  let userKey: SigningKey;
  let inner: ShellServer;
  let jump: Jump;
  let config: string;
  const children: ChildProcessWithoutNullStreams[] = [];

  before(async () => {
    const [jumpKey, innerKey] = [
      await generateSigningKey('ssh-ed25519'),
      await generateSigningKey('ssh-ed25519'),
    ];
    hostKeys = { jump: jumpKey, inner: innerKey };
    userKey = await generateSigningKey('ssh-ed25519');
  });

  beforeEach(async () => {
    inner = await startShellServer({
      hostKeys: [hostKeys.inner],
      authentication: onlyKey(userKey.publicKey.blob),
      // Keys are exchanged in the middle, too.
      transport: { rekey: { bytes: 3_000_000 } },
      path: innerSocket,
    });
    jump = new Jump(hostKeys.jump, userKey);
    const port = await jump.listen();
    const known = `[127.0.0.1]:${port} ${publicLine(hostKeys.jump)}\n${name} ${publicLine(hostKeys.inner)}\n`;
    config = write(
      'config',
      [
        ...['Host jump', 'HostName 127.0.0.1', `Port ${port}`],
        ...[`Host ${name}`, 'ProxyJump jump'],
        ...['Host *', 'BatchMode yes', `UserKnownHostsFile ${write('known_hosts', known)}`],
        ...[`IdentityFile ${write('key', formatPrivateKey(userKey.keyObject))}`, 'LogLevel ERROR', ''],
      ].join('\n'),
    );
  });

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await jump.stop();
    await inner.stop();
  });

  after(() => rmSync(folder, { recursive: true }));

  function ssh(command: string): ChildProcessWithoutNullStreams {
    const child = spawn('ssh', ['-F', config, name, command], { stdio: 'pipe' });
    child.stdin.on('error', () => {});
    children.push(child);
    return child;
  }

  /** Resolves when no socket and no channel is left on either server. */
  async function nothingIsLeft(): Promise<void> {
    const deadline = performance.now() + 10_000;
    const left = (): unknown[] => [
      ...[jump.sockets.size, inner.socketCount()],
      ...[...jump.connections, ...inner.connections].map(({ channelCount }) => channelCount),
    ];
    while (left().some((count) => count !== 0)) {
      assert.ok(performance.now() < deadline, `left: ${left().join(', ')}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  test('carries 8 MiB both ways at once, goes on behind the end of one of them, and leaves nothing', async () => {
    const input = randomBytes(8 * 1024 * 1024);
    const child = ssh(`cat; head -c ${input.length} /dev/zero; echo done >&2; exit 6`);
    child.stdin.end(input);
    const [stdout, stderr, [status]] = await Promise.all([
      buffer(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ]);
    assert.equal(stderr, 'done\n');
    assert.equal(status, 6);
    assert.ok(stdout.subarray(0, input.length).equals(input));
    assert.ok(stdout.subarray(input.length).equals(Buffer.alloc(input.length)));
    await nothingIsLeft();
    assert.deepEqual(inner.failures, []);
  });

  for (const [what, end] of [
    ['the client', (child) => child.kill('SIGKILL')],
    ['the inner server', () => inner.connections[0]?.disconnect('Enough.')],
    ['the outer server', () => jump.connections[0]?.disconnect('Enough.')],
    ['every socket of the outer server', () => [...jump.sockets].map((socket) => socket.destroy())],
  ] as [string, (child: ChildProcessWithoutNullStreams) => unknown][]) {
    test(`ends on all sides when ${what} ends in the middle of a transfer`, async () => {
      const child = ssh('exec cat /dev/zero');
      await once(child.stdout, 'data');
      // As one that has fallen behind: everything between is full.
      child.stdout.pause();
      const closed = once(child, 'exit');
      end(child);
      child.stdout.resume();
      await closed;
      await nothingIsLeft();
    });
  }
});
