// A stock ssh that logs in while its upstream, a stock sshd, is not there yet: what it shows, what it gets, and that
// everything works as if the sshd had answered from the beginning.

import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, after, before, describe, test } from 'node:test';
import { knownHostsLine } from '../keys/known-hosts.ts';
import { formatPrivateKey } from '../keys/private-key.ts';
import { type SigningKey, generateSigningKey } from '../keys/signing-key.ts';
import { type Gateway, startGateway } from '../testing/gateway.ts';
import { type Sshd, missingSshd, startSshd } from '../testing/sshd.ts';
import { serverHostKey } from '../transport/host-keys.ts';
import { message } from '../transport/messages.ts';
import { TransportError } from '../transport/transport-error.ts';
import { Writer } from '../wire.ts';
import type { RelayPolicy } from './relay.ts';
import { type RelayChannel, initialWindow } from './relay-channel.ts';
import type { Asked, WaitingRoom } from './waiting-room.ts';

// sshd lets nobody in but its own user without root, and that one only if the account has a password.
const skip = process.getuid?.() === 0 ? missingSshd : 'only root may let others in';
const user = userInfo().username;
const folder = mkdtempSync(join(tmpdir(), 'relay-test-'));

interface Outcome {
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly status: number | null;
}

describe('a stock ssh that waits for a stock sshd', { skip, timeout: 120_000 }, () => {
  let hostKey: SigningKey;
  let userKey: SigningKey;
  let keyFile: string;
  let sshd: Sshd;

  before(async () => {
    hostKey = await generateSigningKey('ssh-ed25519');
    userKey = await generateSigningKey('ssh-ed25519');
    keyFile = write('key', formatPrivateKey(userKey.keyObject));
    sshd = await startSshd(formatPrivateKey(hostKey.keyObject), [
      `AuthorizedKeysFile ${write('authorized_keys', `${publicLine(userKey)}\n`)}`,
      ...['PasswordAuthentication no', 'KbdInteractiveAuthentication no', 'PermitRootLogin yes'],
      ...['StrictModes no', 'UsePAM no', 'AcceptEnv BERTH_CLIENT', 'Subsystem sftp internal-sftp'],
    ]);
  });

  after(async () => {
    await sshd.stop();
    rmSync(folder, { recursive: true });
  });

  function publicLine({ publicKey: { type, blob } }: SigningKey): string {
    return `${type} ${blob.toString('base64')}`;
  }

  function write(name: string, content: string): string {
    const file = join(folder, name);
    writeFileSync(file, content, { mode: 0o600 });
    return file;
  }

  /** In front of the sshd, once `wait` is done. */
  async function start(
    context: TestContext,
    wait: (room: WaitingRoom) => Promise<void>,
    { policy = {}, said = () => {} }: { policy?: RelayPolicy; said?: (payload: Buffer) => void } = {},
  ): Promise<Gateway> {
    const gateway = await startGateway({
      hostKeys: [serverHostKey(hostKey)],
      upstream: {
        ...{ host: sshd.host, port: sshd.port, user },
        credentials: [{ method: 'publickey', key: userKey }],
        hostKey: hostKey.publicKey.blob,
      },
      relay: { policy },
      wait,
      tap: (from, payload) => {
        if (from === 'client') said(payload);
      },
    });
    context.after(() => gateway.stop());
    return gateway;
  }

  function ssh(context: TestContext, { port }: Gateway, parameters: readonly string[]) {
    const known = write(`known_hosts_${port}`, knownHostsLine('127.0.0.1', port, publicLine(hostKey)));
    const settings = [
      'BatchMode=yes',
      `UserKnownHostsFile=${known}`,
      'LogLevel=INFO',
      `IdentityFile=${keyFile}`,
    ];
    const options = [`-p${port}`, '-F/dev/null', ...settings.flatMap((setting) => ['-o', setting])];
    const child = spawn('ssh', [...options, ...parameters], { stdio: 'pipe' });
    context.after(() => child.kill());
    return child;
  }

  async function outcome(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
    const [stdout, stderr, [status]] = await Promise.all([
      buffer(child.stdout),
      buffer(child.stderr),
      once(child, 'close') as Promise<[number | null]>,
    ]);
    return { stdout, stderr: stderr.toString(), status };
  }

  test('sees progress on its terminal, and what was typed meanwhile arrives', async (context) => {
    const asked: Asked[] = [];
    const typedHello = Promise.withResolvers<void>();
    const isReady = Promise.withResolvers<void>();
    let typed = '';
    const wait = async (room: WaitingRoom): Promise<void> => {
      asked.push(await room.asked);
      assert.equal(room.say('Starting.\n'), true);
      await isReady.promise;
    };
    const said = (payload: Buffer): void => {
      if (payload[0] === message.channelData) typed += payload.subarray(9).toString();
      if (typed === 'hello\n') typedHello.resolve();
    };
    const gateway = await start(context, wait, { said });
    const child = ssh(context, gateway, ['-tt', '127.0.0.1', 'read line; echo "got $line"; tty; exit 7']);
    const result = outcome(child);
    const [shown] = (await once(child.stderr, 'data')) as [Buffer];
    assert.equal(shown.toString(), 'Starting.\r\n');
    child.stdin.write('hello\n');
    await typedHello.promise;
    isReady.resolve();
    const { stdout, stderr, status } = await result;
    assert.match(stdout.toString(), /got hello\r\n\/dev\/pts\/\d+\r\n/, stderr);
    assert.equal(status, 7);
    assert.deepEqual(asked, ['terminal']);
  });

  test('gives and gets every byte of a program without a terminal', async (context) => {
    const asked: Asked[] = [];
    const isFull = Promise.withResolvers<void>();
    let window = initialWindow;
    const wait = async (room: WaitingRoom): Promise<void> => {
      asked.push(await room.asked);
      assert.equal(room.say('Starting.\n'), false);
      await isFull.promise;
    };
    const said = (payload: Buffer): void => {
      if (payload[0] === message.channelData) window -= payload.length - 9;
      if (window === 0) isFull.resolve();
    };
    const gateway = await start(context, wait, { said });
    const input = randomBytes(8 * 1024 * 1024);
    const child = ssh(context, gateway, ['127.0.0.1', 'cat; sha256sum </dev/null >/dev/null; exit 3']);
    child.stdin.end(input);
    const { stdout, stderr, status } = await outcome(child);
    assert.equal(stderr, '');
    assert.ok(stdout.equals(input));
    assert.equal(status, 3);
    assert.deepEqual(asked, ['no terminal']);
  });

  test('has its remote forwarding, which it asks for before the session, and keepalives meanwhile', async (context) => {
    const target = createServer((socket) => socket.end('forwarded'));
    target.listen(0, '127.0.0.1');
    await once(target, 'listening');
    context.after(() => target.close());
    const { port } = target.address() as AddressInfo;
    const gateway = await start(context, async (room) => {
      await room.asked;
      // Longer than it waits for an answer to its keepalives.
      await new Promise((resolve) => setTimeout(resolve, 3500));
    });
    const alive = ['-o', 'ServerAliveInterval=1', '-o', 'ServerAliveCountMax=2'];
    const child = ssh(context, gateway, [...alive, '-R', `0:127.0.0.1:${port}`, '127.0.0.1', 'cat']);
    let told = '';
    const allocated = new Promise<number>((resolve) => {
      child.stderr.on('data', (bytes: Buffer) => {
        told += bytes.toString();
        const match = /Allocated port (\d+)/.exec(told);
        if (match !== null) resolve(Number(match[1]));
      });
    });
    const over = outcome(child);
    const where = await Promise.race([allocated, over.then(({ stderr }) => assert.fail(stderr))]);
    const reply = spawn('bash', ['-c', `cat < /dev/tcp/127.0.0.1/${where}`]);
    assert.equal((await buffer(reply.stdout)).toString(), 'forwarded');
    child.stdin.end('through');
    const { stdout, status } = await over;
    assert.deepEqual([stdout.toString(), status], ['through', 0]);
  });

  test('shares its connection with another one that comes while it waits', async (context) => {
    const control = join(folder, 'control');
    const both = Promise.withResolvers<void>();
    let sessions = 0;
    const wait = async (room: WaitingRoom): Promise<void> => {
      assert.equal(await room.asked, 'terminal');
      room.say('Starting.\n');
      await both.promise;
    };
    const said = (payload: Buffer): void => {
      if (payload[0] === message.channelOpen) sessions += 1;
      if (sessions === 2) both.resolve();
    };
    const gateway = await start(context, wait, { said });
    const first = ssh(context, gateway, [
      '-M',
      '-S',
      control,
      '-tt',
      '127.0.0.1',
      'echo first; read x; exit 4',
    ]);
    const firstOver = outcome(first);
    await once(first.stderr, 'data');
    const second = ssh(context, gateway, ['-S', control, '127.0.0.1', 'cat; exit 5']);
    second.stdin.end('second');
    const { stdout, stderr, status } = await outcome(second);
    assert.deepEqual([stdout.toString(), status], ['second', 5], stderr);
    assert.equal(gateway.connections(), 1);
    first.stdin.write('\n');
    const firstOutcome = await firstOver;
    assert.match(firstOutcome.stdout.toString(), /first\r\n/);
    assert.equal(firstOutcome.status, 4);
  });

  test('reads why it is refused, as the error of its program, and ends with 255', async (context) => {
    const gateway = await start(context, async (room) => {
      await room.asked;
      room.refuse('The environment cannot be started.');
      await new Promise(() => {});
    });
    for (const [parameters, lineEnd] of [
      [['-tt', '127.0.0.1'], '\r\n'],
      [['127.0.0.1', 'true'], '\n'],
      [['-s', '127.0.0.1', 'sftp'], '\n'],
    ] as const) {
      const { stdout, stderr, status } = await outcome(ssh(context, gateway, parameters));
      assert.equal(stdout.length, 0);
      assert.ok(stderr.startsWith(`The environment cannot be started.${lineEnd}`), stderr);
      assert.equal(status, 255);
    }
  });

  test('reads why it is refused also where it asked for nothing', async (context) => {
    const gateway = await start(context, async (room) => {
      room.refuse('The environment cannot be started.');
      await new Promise(() => {});
    });
    const { stderr, status } = await outcome(ssh(context, gateway, ['-N', '127.0.0.1']));
    assert.match(stderr, /Received disconnect .*:11: The environment cannot be started\./);
    assert.equal(status, 255);
  });

  test('has a variable that the relay sets, and reads on its terminal what the relay says', async (context) => {
    const channels: RelayChannel[] = [];
    const variable = new Writer().string('BERTH_CLIENT').string('192.0.2.1 50000 22').toBuffer();
    const opened = (channel: RelayChannel): void => {
      channels.push(channel);
      channel.request('env', variable);
    };
    const gateway = await start(context, async () => {}, { policy: { opened } });
    const plain = await outcome(ssh(context, gateway, ['127.0.0.1', 'echo $BERTH_CLIENT']));
    assert.equal(plain.stdout.toString(), '192.0.2.1 50000 22\n', plain.stderr);
    const child = ssh(context, gateway, ['-tt', '127.0.0.1', 'echo $BERTH_CLIENT; read x; echo end']);
    const result = outcome(child);
    await once(child.stdout, 'data');
    assert.equal(channels.at(-1)?.say('The gateway restarts soon.\n'), true);
    await once(child.stderr, 'data');
    child.stdin.write('\n');
    const { stdout, stderr } = await result;
    assert.match(stdout.toString(), /^192\.0\.2\.1 50000 22\r\n/);
    assert.match(stdout.toString(), /end\r\n$/);
    assert.ok(stderr.startsWith('The gateway restarts soon.\r\n'), stderr);
    assert.equal(channels[0]?.say('x'), false, 'no terminal, and over');
  });

  test('leaves while it waits: the gateway knows, and nothing is left', async (context) => {
    const waits = Promise.withResolvers<void>();
    const left = Promise.withResolvers<unknown>();
    const gateway = await start(context, async (room) => {
      room.asked.catch(left.resolve);
      waits.resolve();
      await room.asked;
    });
    const child = ssh(context, gateway, ['-N', '127.0.0.1']);
    await waits.promise;
    assert.equal(gateway.connections(), 1);
    child.kill('SIGKILL');
    assert.ok((await left.promise) instanceof TransportError);
    assert.equal(gateway.connections(), 0);
  });

  test('carries 64 MiB each way without a wrong byte', async (context) => {
    const gateway = await start(context, async (room) => void (await room.asked));
    const bytes = 64 * 1024 * 1024;
    const child = ssh(context, gateway, ['127.0.0.1', `head -c ${bytes} /dev/zero; sha256sum`]);
    const input = randomBytes(1024 * 1024);
    const sent = createHash('sha256');
    const over = outcome(child);
    for (let count = 0; count < 64; count += 1) {
      sent.update(input);
      if (!child.stdin.write(input)) await once(child.stdin, 'drain');
    }
    child.stdin.end();
    const { stdout, status } = await over;
    assert.equal(status, 0);
    assert.equal(stdout.subarray(bytes).toString(), `${sent.digest('hex')}  -\n`);
    assert.ok(stdout.subarray(0, bytes).equals(Buffer.alloc(bytes)));
  });
});
