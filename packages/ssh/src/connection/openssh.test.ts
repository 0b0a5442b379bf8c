// The connection protocol with stock peers: our server with ssh, scp and sftp, and our client with sshd.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join as joinPath } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { after, afterEach, before, describe, test } from 'node:test';
import { connect as connectClient } from '../client.ts';
import { knownHostsLine } from '../keys/known-hosts.ts';
import { formatPrivateKey } from '../keys/private-key.ts';
import { type SigningKey, generateSigningKey } from '../keys/signing-key.ts';
import { type ShellServer, onlyKey, startShellServer } from '../testing/shell-server.ts';
import { type Sshd, missingSshd, startSshd } from '../testing/sshd.ts';
import { ChannelError, ChannelOpenError } from './channel-error.ts';
import type { Connection, ConnectionHandlers } from './connection.ts';
import { type Forward, join } from './forwarding.ts';

const folder = mkdtempSync(joinPath(tmpdir(), 'connection-test-'));
const user = userInfo().username;
const cleanUps: (() => void | Promise<void>)[] = [];
let hostKey: SigningKey;
let otherHostKey: SigningKey;
let userKey: SigningKey;
let keyFile: string;

before(async () => {
  hostKey = await generateSigningKey('ssh-ed25519');
  otherHostKey = await generateSigningKey('ecdsa-sha2-nistp256');
  userKey = await generateSigningKey('ssh-ed25519');
  keyFile = write('key', formatPrivateKey(userKey.keyObject));
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

after(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | Buffer): string {
  const file = joinPath(folder, name);
  writeFileSync(file, content, { mode: 0o600 });
  return file;
}

function publicLine(key: SigningKey): string {
  return `${key.type} ${key.publicKey.blob.toString('base64')}`;
}

async function listen(server: Server, path?: string): Promise<number> {
  server.listen(path === undefined ? { port: 0, host: '127.0.0.1' } : { path });
  await once(server, 'listening');
  cleanUps.push(() => void server.close());
  return path === undefined ? (server.address() as AddressInfo).port : 0;
}

/** Unlike `text`, leaves the other direction of a socket open. */
async function all(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks).toString();
}

/** Answers, when a client has said all it has to say, with that in capital letters. */
function capitals(): Server {
  return createServer({ allowHalfOpen: true }, (socket) => {
    void all(socket).then((said) => socket.end(said.toUpperCase()));
  });
}

async function say(address: { port: number } | { path: string }, words: string | Buffer): Promise<string> {
  const socket = connect({ ...address, allowHalfOpen: true } as { port: number; allowHalfOpen: boolean });
  await once(socket, 'connect');
  socket.end(words);
  return all(socket);
}

describe('our server', { timeout: 120_000 }, () => {
  let server: ShellServer;

  before(async () => {
    server = await startShellServer({
      hostKeys: [hostKey, otherHostKey],
      authentication: onlyKey(userKey.publicKey.blob),
    });
  });
  after(() => server.stop());

  afterEach(() => {
    assert.deepEqual(server.failures, []);
  });

  function settings(...more: readonly string[]): string[] {
    const knownHosts = knownHostsLine('127.0.0.1', server.port, publicLine(hostKey));
    return [
      `UserKnownHostsFile=${write('known_hosts', `${knownHosts}\n`)}`,
      ...[
        'GlobalKnownHostsFile=none',
        'StrictHostKeyChecking=yes',
        'IdentityAgent=none',
        'IdentitiesOnly=yes',
      ],
      ...[
        `IdentityFile=${keyFile}`,
        'BatchMode=yes',
        `Port=${server.port}`,
        'LogLevel=INFO',
        'ServerAliveInterval=1',
      ],
      ...more,
    ].flatMap((setting) => ['-o', setting]);
  }

  const place = `${user}@127.0.0.1`;

  interface Result {
    readonly stdout: Buffer;
    readonly stderr: string;
    readonly status: number | null;
  }

  async function run(
    program: string,
    parameters: readonly string[],
    { input, env = {} }: { input?: Buffer | string; env?: Record<string, string> } = {},
  ): Promise<Result> {
    const child = spawn(program, ['-F', 'none', ...parameters], {
      env: { ...process.env, ...env },
      timeout: 60_000,
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const closed = once(child, 'close');
    const [stdout, stderr] = await Promise.all([buffer(child.stdout), text(child.stderr)]);
    const [status] = (await closed) as [number | null];
    return { stdout, stderr, status };
  }

  function ssh(command: string, more: readonly string[] = [], input?: Buffer | string): Promise<Result> {
    return run('ssh', [...settings(), ...more, place, command], input === undefined ? {} : { input });
  }

  /** An ssh that only forwards; resolves when it printed `ready`. */
  async function forwarding(parameters: readonly string[], ready: RegExp): Promise<string> {
    const child = spawn(
      'ssh',
      ['-F', 'none', '-v', ...settings('ExitOnForwardFailure=yes'), ...parameters, place, 'echo ready; cat'],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    cleanUps.push(async () => {
      const closed = once(child, 'close');
      child.kill();
      await closed;
    });
    let output = '';
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (ready.test(output)) resolve(output);
      });
    }
    child.on('close', () => reject(new Error(output)));
    return promise;
  }

  async function freePort(): Promise<number> {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as AddressInfo;
    probe.close();
    await once(probe, 'close');
    return port;
  }

  test('runs a command of ssh, with its input, both outputs and its status', async () => {
    const { stdout, stderr, status } = await ssh('cat; echo oh >&2; exit 7', [], 'input');
    assert.deepEqual([stdout.toString(), stderr, status], ['input', 'oh\n', 7]);
  });

  test('carries much data both ways, also while keys are exchanged', async () => {
    const data = randomBytes(24_000_000);
    const { stdout } = await ssh('cat', ['-o', 'RekeyLimit=3M'], data);
    assert.ok(stdout.equals(data));
  });

  test('says that a signal ended the command', async () => {
    const { status } = await ssh('kill -TERM $$');
    assert.equal(status, 255);
  });

  test('takes the environment of ssh', async () => {
    const { stdout } = await ssh('echo "$FAVOURITE"', ['-o', 'SetEnv=FAVOURITE=äb']);
    assert.equal(stdout.toString(), 'äb\n');
  });

  test('gives a terminal, with its size', async () => {
    const { stdout, status } = await ssh('tty; exit 3', ['-tt']);
    assert.match(stdout.toString(), /\/dev\/pts\/\d+/);
    assert.equal(status, 3);
  });

  test('ends what a client leaves behind', async () => {
    const child = spawn('ssh', ['-F', 'none', ...settings(), place, 'echo $$; exec sleep 600'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
    const pid = Number(chunk.toString());
    child.kill();
    await once(child, 'close');
    for (;;) {
      if (spawnSync('kill', ['-0', String(pid)]).status !== 0) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });

  for (const [name, flags] of [
    ['sftp', []],
    ['its own protocol', ['-O']],
  ] as const) {
    test(`scp copies there and back by ${name}`, async () => {
      const data = randomBytes(5_000_000);
      const [from, there, back] = [write('from', data), joinPath(folder, 'there'), joinPath(folder, 'back')];
      const up = await run('scp', [...flags, ...settings(), from, `${place}:${there}`]);
      assert.equal(up.status, 0, up.stderr);
      const down = await run('scp', [...flags, ...settings(), `${place}:${there}`, back]);
      assert.equal(down.status, 0, down.stderr);
      assert.ok(readFileSync(back).equals(data));
    });
  }

  test('sftp lists, puts and gets', async () => {
    const data = randomBytes(3_000_000);
    const [from, there, back] = [write('one', data), joinPath(folder, 'two'), joinPath(folder, 'three')];
    const batch = `put ${from} ${there}\nls -l ${there}\nget ${there} ${back}\n`;
    const { status, stdout, stderr } = await run('sftp', ['-b', '-', ...settings(), place], { input: batch });
    assert.equal(status, 0, stderr);
    assert.match(stdout.toString(), /3000000/);
    assert.ok(readFileSync(back).equals(data));
  });

  test('forwards to a place that the client names (-L), each half by itself', async () => {
    const target = await listen(capitals());
    const path = joinPath(folder, 'target.sock');
    await listen(capitals(), path);
    const [port, second] = [await freePort(), await freePort()];
    const closed = await freePort();
    const third = await freePort();
    await forwarding(
      [
        ...['-L', `${port}:127.0.0.1:${target}`, '-L', `${second}:${path}`],
        ...['-L', `${third}:127.0.0.1:${closed}`],
      ],
      /ready/,
    );
    const data = 'x'.repeat(2_000_000);
    const answers = await Promise.all([
      say({ port }, 'hello'),
      say({ port: second }, data),
      say({ port }, ''),
    ]);
    assert.deepEqual(
      answers.map((answer) => createHash('sha256').update(answer).digest('hex')),
      ['HELLO', data.toUpperCase(), ''].map((answer) => createHash('sha256').update(answer).digest('hex')),
    );
    assert.equal(await say({ port: third }, '').catch(() => ''), '');
  });

  test('listens for the client (-R), also where the system chooses', async () => {
    const target = await listen(capitals());
    const path = joinPath(folder, 'remote.sock');
    const output = await forwarding(
      ['-R', `0:127.0.0.1:${target}`, '-R', `${path}:127.0.0.1:${target}`],
      /Allocated port \d+ [^]*ready/,
    );
    const port = Number(/Allocated port (\d+)/.exec(output)?.[1]);
    assert.equal(await say({ port }, 'over there'), 'OVER THERE');
    assert.equal(await say({ path }, 'by socket'), 'BY SOCKET');
  });

  test('serves a SOCKS proxy of ssh (-D)', async () => {
    const target = await listen(capitals());
    const port = await freePort();
    await forwarding(['-D', `${port}`], /ready/);
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.write(Buffer.from([5, 1, 0]));
    await once(socket, 'data');
    socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, target >> 8, target & 0xff]));
    const [granted] = (await once(socket, 'data')) as [Buffer];
    assert.equal(granted[1], 0);
    socket.end('socks');
    assert.equal(await all(socket), 'SOCKS');
  });

  test("lets commands use the client's agent (-A)", async () => {
    const socket = joinPath(folder, 'agent.sock');
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
    cleanUps.push(async () => {
      const closed = once(agent, 'close');
      agent.kill();
      await closed;
    });
    await once(agent.stdout, 'data');
    const env = { ...process.env, SSH_AUTH_SOCK: socket };
    assert.equal(spawnSync('ssh-add', ['-q', keyFile], { env }).status, 0);
    const parameters = [
      ...settings().map((part) => (part === 'IdentityAgent=none' ? `IdentityAgent=${socket}` : part)),
    ];
    const { stdout } = await run('ssh', ['-A', ...parameters, place, 'ssh-add -l; ssh-add -L'], {
      env: { SSH_AUTH_SOCK: socket },
    });
    assert.ok(stdout.toString().includes(userKey.publicKey.fingerprint), stdout.toString());
    assert.ok(stdout.toString().includes(publicLine(userKey)));
  });

  test('many sessions share a connection (ControlMaster)', async () => {
    const control = joinPath(folder, 'control');
    await forwarding(['-o', 'ControlMaster=yes', '-o', `ControlPath=${control}`], /ready/);
    const connections = server.connections.length;
    const data = randomBytes(300_000);
    const results = await Promise.all(
      Array.from({ length: 20 }, () => ssh('cat', ['-o', `ControlPath=${control}`], data)),
    );
    for (const { stdout } of results) assert.ok(stdout.equals(data));
    assert.equal(server.connections.length, connections);
  });

  test('ssh learns the other host key of the server', async () => {
    const parameters = settings('UpdateHostKeys=yes');
    const { stderr, status } = await run('ssh', [...parameters, place, 'sleep 0.2']);
    assert.equal(status, 0, stderr);
    const known = readFileSync(joinPath(folder, 'known_hosts'), 'utf8');
    assert.ok(known.includes(otherHostKey.publicKey.blob.toString('base64')), known);
  });
});

// sshd lets nobody in but its own user without root, and that one only if the account has a password.
const skip = process.getuid?.() === 0 ? missingSshd : 'only root may let others in';

describe('our client at a stock sshd', { skip, timeout: 120_000 }, () => {
  let sshd: Sshd;

  before(async () => {
    sshd = await startSshd(formatPrivateKey(hostKey.keyObject), [
      `HostKey ${write('other_host_key', formatPrivateKey(otherHostKey.keyObject))}`,
      `AuthorizedKeysFile ${write('authorized_keys', `${publicLine(userKey)}\n`)}`,
      ...['PasswordAuthentication no', 'KbdInteractiveAuthentication no', 'PermitRootLogin yes'],
      ...['StrictModes no', 'UsePAM no', 'MaxSessions 10', 'AllowAgentForwarding yes', 'AcceptEnv LC_*'],
      'Subsystem sftp internal-sftp',
    ]);
  });
  after(() => sshd.stop());

  async function logIn(handlers: ConnectionHandlers = {}): Promise<Connection> {
    const connection = await connectClient({
      ...{ host: sshd.host, port: sshd.port, user, handlers },
      credentials: [{ method: 'publickey', key: userKey }],
      hostKey: () => undefined,
      // Keys are exchanged every few megabytes.
      rekey: { bytes: 4_000_000 },
    });
    cleanUps.push(() => connection.disconnect('The test is over.'));
    return connection;
  }

  async function output(connection: Connection, command: string): Promise<string> {
    const session = await connection.session();
    session.stderr.resume();
    await session.exec(command);
    session.channel.end();
    return text(session.channel);
  }

  test('runs commands, many on one connection, with both outputs and a status', async () => {
    const connection = await logIn();
    const run = async (number: number): Promise<void> => {
      const session = await connection.session();
      await session.exec(`cat; echo e >&2; exit ${number}`, { env: { LC_TEST: 'x' } });
      session.channel.end(`input ${number}`);
      const [out, error] = await Promise.all([text(session.channel), text(session.stderr)]);
      assert.deepEqual([out, error, await session.exited], [`input ${number}`, 'e\n', { status: number }]);
    };
    await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(run));
    assert.equal(connection.channelCount, 0);
    assert.equal(await output(connection, 'echo last'), 'last\n');
  });

  test('is told when there are too many sessions', async () => {
    const connection = await logIn();
    const sessions = await Promise.all(Array.from({ length: 10 }, () => connection.session()));
    await assert.rejects(connection.session(), ChannelOpenError);
    for (const session of sessions) session.close();
  });

  test('has a terminal, resizes it and interrupts what runs', async () => {
    const connection = await logIn();
    const session = await connection.session();
    const size = { columns: 91, rows: 33, widthPixels: 0, heightPixels: 0 };
    const pty = { term: 'xterm', ...size, modes: { ECHO: 0, OPOST: 0 } };
    await session.exec(
      'echo $TERM; stty size; stty -a | grep -o -- "-echo "; trap "stty size" WINCH; echo ready; read x; read y',
      { pty },
    );
    let seen = '';
    session.channel.on('data', (chunk: Buffer) => (seen += chunk.toString()));
    const waitFor = async (pattern: RegExp): Promise<void> => {
      while (!pattern.test(seen)) await once(session.channel, 'data');
    };
    await waitFor(/xterm\s+33 91\s+-echo\s+ready/);
    session.resize({ ...size, columns: 132 });
    session.channel.write('\n');
    await waitFor(/33 132/);
    session.channel.write('\x03');
    await session.exited;
    assert.equal(connection.channelCount, 0);
  });

  test('learns which signal ended the program', async () => {
    const connection = await logIn();
    const session = await connection.session();
    await session.exec('kill -TERM $$');
    session.stderr.resume();
    session.channel.resume();
    assert.deepEqual(await session.exited, { signal: 'TERM', isCoreDumped: false, message: '' });
  });

  test('speaks to a subsystem, and is told that there is no other', async () => {
    const connection = await logIn();
    const session = await connection.session();
    await session.subsystem('sftp');
    session.channel.write(Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3]));
    const [version] = (await once(session.channel, 'data')) as [Buffer];
    assert.equal(version[4], 2);
    const other = await connection.session();
    await assert.rejects(other.subsystem('no-such-thing'), ChannelError);
    session.close();
    other.close();
  });

  test('carries much data both ways, also while keys are exchanged', async () => {
    const connection = await logIn();
    const session = await connection.session();
    await session.exec('cat');
    const data = randomBytes(30_000_000);
    Readable.from([data.subarray(0, 10_000_000), data.subarray(10_000_000)]).pipe(session.channel);
    const received = createHash('sha256');
    session.stderr.resume();
    for await (const chunk of session.channel) received.update(chunk as Buffer);
    assert.equal(received.digest('hex'), createHash('sha256').update(data).digest('hex'));
  });

  test('reaches what sshd reaches, by TCP and by sockets', async () => {
    const connection = await logIn();
    const target = await listen(capitals());
    const path = joinPath(folder, 'far.sock');
    await listen(capitals(), path);
    const origin = { originHost: '127.0.0.1', originPort: 1 };
    const forwards: Forward[] = [
      { type: 'direct-tcpip', host: '127.0.0.1', port: target, ...origin },
      { type: 'direct-streamlocal@openssh.com', path },
    ];
    for (const forward of forwards) {
      const channel = await connection.open(forward);
      channel.end('through');
      assert.equal(await text(channel), 'THROUGH');
    }
    const nowhere: Forward = { type: 'direct-tcpip', host: '127.0.0.1', port: 1, ...origin };
    await assert.rejects(
      connection.open(nowhere),
      (error) => error instanceof ChannelOpenError && error.reason === 2,
    );
  });

  test('has sshd listen, by TCP and by a socket', async () => {
    const target = await listen(capitals());
    const connection = await logIn({
      forward: async (_forward, channel) => {
        const socket = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
        await once(socket, 'connect');
        join(channel, socket);
      },
    });
    const place = await connection.listen({ host: '127.0.0.1', port: 0 });
    assert.ok('port' in place && place.port > 0);
    assert.equal(await say({ port: place.port }, 'from there'), 'FROM THERE');
    await connection.unlisten(place);
    await assert.rejects(once(connect({ port: place.port, host: '127.0.0.1' }), 'connect'));
    const path = joinPath(folder, 'listens.sock');
    await connection.listen({ path });
    assert.equal(await say({ path }, 'and here'), 'AND HERE');
    await connection.unlisten({ path });
  });

  test('lends its agent to what runs there', async () => {
    const connection = await logIn({
      // An agent that has no keys: SSH_AGENT_IDENTITIES_ANSWER with none.
      forward: (forward, channel) => {
        assert.equal(forward.type, 'auth-agent@openssh.com');
        channel.on('data', () => void channel.write(Buffer.from([0, 0, 0, 5, 12, 0, 0, 0, 0])));
      },
    });
    const session = await connection.session();
    await session.exec('ssh-add -l', { agent: true });
    session.stderr.resume();
    session.channel.end();
    assert.match(await text(session.channel), /no identities/);
    assert.deepEqual(session.refused, []);
  });

  test('has the announced host keys proved', async () => {
    const announced = Promise.withResolvers<readonly Buffer[]>();
    const connection = await logIn({ hostKeys: (blobs) => announced.resolve(blobs) });
    const blobs = await announced.promise;
    assert.deepEqual(
      new Set(blobs.map(String)),
      new Set([hostKey, otherHostKey].map((key) => String(key.publicKey.blob))),
    );
    assert.equal(await connection.proveHostKeys(blobs), true);
    await connection.keepalive();
    connection.noMoreSessions();
    await connection.keepalive();
  });

  test('closes a session whose program never ends', async () => {
    const connection = await logIn();
    const session = await connection.session();
    await session.exec('yes');
    await once(session.channel, 'data');
    session.close();
    await session.exited;
    assert.equal(await output(connection, 'echo still here'), 'still here\n');
  });
});
