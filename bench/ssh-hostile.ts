/**
 * Strangers at a gateway, one kind after the other: sockets that say nothing, handshakes a byte at a time, clients that
 * log in and do not read what an upstream sends without end, keys of absurd size, and offers of compression. Beside
 * each: how the gateway's event loop and memory fare, and how long a stock ssh takes to log in and run a command.
 *
 * The gateway is a process of its own; the attackers and the upstream are in this one and come from many addresses of
 * 127.0.0.0/8, so that no port runs out.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ServerAuthentication, Transport, Writer } from '@berth/ssh';
import { Connection } from '../packages/ssh/src/connection/connection.ts';
import { HandPeer, testHostKey } from '../packages/ssh/src/testing/hand-peer.ts';
import { decide, gatewayPassword } from '../packages/ssh/src/testing/gateway.ts';
import { message } from '../packages/ssh/src/transport/messages.ts';
import type { Figure } from './main.ts';
import type { Health } from './ssh-hostile-gateway.ts';
import { progress, quantile } from './statistics.ts';

const logins = 15;
/** Who do the same again and again, where it is not one connection that does harm. */
const strangers = 20;

interface Stage {
  readonly port: number;
  readonly gateway: ChildProcess;
  readonly askpass: string;
  readonly sockets: Socket[];
  readonly figures: Figure[];
  /** Set by each kind of attack; stopped when it is over. */
  isOver: boolean;
}

export async function sshHostile(): Promise<Figure[]> {
  const upstream = await startUpstream();
  const folder = mkdtempSync(join(tmpdir(), 'ssh-hostile-'));
  const askpass = join(folder, 'askpass');
  writeFileSync(askpass, `#!/bin/sh\necho '${gatewayPassword}'\n`);
  chmodSync(askpass, 0o700);
  const figures: Figure[] = [];
  try {
    for (const [name, attack] of Object.entries(attacks)) {
      progress(name);
      const gateway = fork(join(import.meta.dirname, 'ssh-hostile-gateway.ts'));
      try {
        gateway.send({ host: '127.0.0.1', port: upstream.port });
        const [port] = (await once(gateway, 'message')) as [number];
        const stage: Stage = { port, gateway, askpass, sockets: [], figures, isOver: false };
        await logIn(stage);
        await health(stage);
        const running = await attack(stage);
        await measure(stage, name);
        stage.isOver = true;
        await running?.();
        for (const socket of stage.sockets) socket.destroy();
      } finally {
        gateway.kill();
        await once(gateway, 'exit');
      }
    }
  } finally {
    await upstream.stop();
    rmSync(folder, { recursive: true });
  }
  return figures;
}

async function measure(stage: Stage, name: string): Promise<void> {
  const times: number[] = [];
  for (let login = 0; login < logins; login += 1) times.push(await logIn(stage));
  const { delayP99Ms, delayMaximumMs, rssMebibytes, connections } = await health(stage);
  stage.figures.push(
    { name: `${name}: at a time`, value: connections, unit: 'connections' },
    { name: `${name}: event loop delay, p99`, value: delayP99Ms, unit: 'ms' },
    { name: `${name}: event loop delay, longest`, value: delayMaximumMs, unit: 'ms' },
    { name: `${name}: memory`, value: rssMebibytes, unit: 'MiB' },
    { name: `${name}: somebody else logs in, median`, value: quantile(times, 0.5), unit: 'ms' },
    { name: `${name}: somebody else logs in, slowest`, value: quantile(times, 1), unit: 'ms' },
  );
}

/** A stock ssh from its start to its end. */
async function logIn({ port, askpass }: Stage): Promise<number> {
  const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'PubkeyAuthentication=no'];
  const words = [
    '-F',
    'none',
    ...options.flatMap((each) => ['-o', each]),
    '-p',
    String(port),
    'a@127.0.0.1',
    'true',
  ];
  const began = performance.now();
  const child = spawn('ssh', words, {
    stdio: 'ignore',
    env: { ...process.env, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' },
  });
  const [code] = (await once(child, 'exit')) as [number];
  if (code !== 0) throw new Error(`ssh ended with ${code}`);
  return performance.now() - began;
}

async function health({ gateway }: Stage): Promise<Health> {
  gateway.send('health');
  const [answer] = (await once(gateway, 'message')) as [Health];
  return answer;
}

type Attack = (stage: Stage) => Promise<(() => Promise<unknown>) | undefined>;

const attacks: Record<string, Attack> = {
  nobody: async () => undefined,

  '10,000 silent sockets': async (stage) => {
    await connectMany(stage, 10_000);
    return undefined;
  },

  '1,000 slow handshakes': async (stage) => {
    const peers = await connectMany(stage, 1000);
    const loop = async (): Promise<void> => {
      const bytes = Buffer.from(`SSH-2.0-Slow_${'x'.repeat(200)}`);
      for (let at = 0; at < bytes.length && !stage.isOver; at += 1) {
        for (const socket of peers) socket.write(bytes.subarray(at, at + 1));
        await pause(50);
      }
    };
    const running = loop();
    return () => running;
  },

  '1,000 clients that do not read': async (stage) => {
    const sockets = await connectMany(stage, 1000);
    // Some at once, as they would come.
    for (let at = 0; at < sockets.length; at += 20) {
      await Promise.all(sockets.slice(at, at + 20).map((socket) => neverRead(socket)));
    }
    return undefined;
  },

  'RSA keys of 16,384 bits and more': async (stage) =>
    repeat(stage, 'RSA keys of 16,384 bits and more', offerHugeKeys),

  'offers of compression': async (stage) => repeat(stage, 'offers of compression', offerCompression),
};

/** Logs in, wants everything, and stops reading. */
async function neverRead(socket: Socket): Promise<void> {
  const peer = new HandPeer(socket, 'client');
  await peer.exchangeKeys();
  peer.send(...loginPayloads());
  if ((await peer.receiveNumber(message.userauthSuccess)) === undefined) throw new Error('no login');
  const open = new Writer().byte(message.channelOpen).string('session').uint32(0);
  peer.send(
    open
      .uint32(2 ** 31)
      .uint32(32_768)
      .toBuffer(),
  );
  if ((await peer.receiveNumber(message.channelOpenConfirmation)) === undefined)
    throw new Error('no channel');
  peer.send(
    new Writer()
      .byte(message.channelRequest)
      .uint32(0)
      .string('exec')
      .boolean(false)
      .string('endless')
      .toBuffer(),
  );
  socket.pause();
}

function loginPayloads(): Buffer[] {
  return [
    new Writer().byte(message.serviceRequest).string('ssh-userauth').toBuffer(),
    userauthRequest('password').boolean(false).string(gatewayPassword).toBuffer(),
  ];
}

function userauthRequest(method: string): Writer {
  return new Writer().byte(message.userauthRequest).string('a').string('ssh-connection').string(method);
}

async function offerHugeKeys(socket: Socket): Promise<void> {
  const peer = new HandPeer(socket, 'client');
  await peer.exchangeKeys();
  peer.send(new Writer().byte(message.serviceRequest).string('ssh-userauth').toBuffer());
  for (const bits of [16_384, 16_392, 65_536, 200_000]) {
    const modulus = Buffer.alloc(bits / 8, 0xff);
    const blob = new Writer()
      .string('ssh-rsa')
      .unsignedMpint(Buffer.from([1, 0, 1]))
      .unsignedMpint(modulus);
    // A signature as long as the modulus would be worth verifying.
    const signature = new Writer()
      .string('rsa-sha2-512')
      .string(Buffer.alloc(Math.min(bits / 8, 8000), 0x7f));
    peer.send(
      userauthRequest('publickey')
        .boolean(true)
        .string('rsa-sha2-512')
        .string(blob.toBuffer())
        .string(signature.toBuffer())
        .toBuffer(),
    );
    if ((await peer.receiveNumber(message.userauthFailure)) === undefined) throw new Error('no answer');
  }
}

async function offerCompression(socket: Socket): Promise<void> {
  const peer = new HandPeer(socket, 'client');
  peer.identify();
  peer.sendKexInit({
    change: { compressionClientToServer: ['zlib', 'zlib@openssh.com'], compressionServerToClient: ['zlib'] },
  });
  if ((await peer.disconnected())?.reason !== 3) throw new Error('compression was not refused');
}

/** Some strangers who do the same again and again. */
function repeat(stage: Stage, what: string, act: (socket: Socket) => Promise<void>): () => Promise<unknown> {
  let done = 0;
  const began = performance.now();
  const loops = Array.from({ length: strangers }, async () => {
    while (!stage.isOver) {
      const [socket] = await connectMany(stage, 1);
      if (socket === undefined) break;
      await act(socket);
      socket.destroy();
      done += 1;
    }
  });
  return async () => {
    await Promise.all(loops);
    const rate = (1000 * done) / (performance.now() - began);
    stage.figures.push({ name: `${what}: connections that were refused`, value: rate, unit: 'a second' });
  };
}

async function connectMany({ port, sockets }: Stage, count: number): Promise<Socket[]> {
  const made: Socket[] = [];
  while (made.length < count) {
    const some = Math.min(200, count - made.length);
    const batch = await Promise.all(
      Array.from({ length: some }, async (_, index) => {
        const host = `127.0.${1 + ((made.length + index) % 200)}.${1 + (index % 200)}`;
        const socket = connect({ port, host: '127.0.0.1', localAddress: host });
        socket.on('error', () => {});
        await once(socket, 'connect');
        return socket;
      }),
    );
    made.push(...batch);
  }
  sockets.push(...made);
  return made;
}

/** A server whose programs are two: `endless` sends until nobody takes it, any other ends at once. */
async function startUpstream() {
  const piece = Buffer.alloc(32 * 1024, 'x');
  const transports = new Set<Transport>();
  const server = createServer((socket) => {
    const transport: Transport = Transport.server(socket, {
      hostKeys: [testHostKey],
      closed: () => transports.delete(transport),
    });
    transports.add(transport);
    const serve = async (): Promise<void> => {
      await transport.established;
      const methods = ['password'] as const;
      const refused = () => ({ outcome: 'refuse' }) as const;
      await new ServerAuthentication(transport, { methods, decide, refused }).result;
      transport.handle(
        new Connection(transport, {
          session: (session) => ({
            exec: (command) => {
              const { channel } = session;
              const more = (): void => {
                while (!channel.destroyed && channel.write(piece));
              };
              if (command.toString() !== 'endless') {
                session.exit(0);
              } else {
                channel.on('drain', more);
                more();
              }
              return true;
            },
          }),
        }),
      );
    };
    serve().catch(() => {});
  });
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const transport of transports) transport.disconnect(11, 'The end.');
      await closed;
    },
  };
}
