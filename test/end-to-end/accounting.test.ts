/**
 * Bytes of a connection as Berth writes them down, beside the client's own count: a proxy in front of the stock client
 * counts what goes through, and the connection's row says the same to the byte, on each way in. Of a jump it is the
 * inner session's stream that counts, since the outer one leads nowhere by itself.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { type AddressInfo, type Server, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { routes } from '@berth/contract';
import type { Connection, CreatedEnvironment } from '@berth/contract';
import { TestBerth, skipWithoutDocker } from '../harness/berth.ts';
import { eventually, execute, makeKey } from '../harness/ssh.ts';
import { Door, type SshWay, sshWays } from '../harness/ways.ts';

const bytes = 64 * 1024 ** 2;

/** Both directions to where a client wants; one socket, or a program's output and input. */
interface Way {
  from: Readable;
  to: Writable;
}

/** Counts what goes through it. */
class CountingProxy {
  /** From the client, and to it. */
  up = 0;
  down = 0;
  readonly #server: Server;

  private constructor(open: () => Way) {
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      const inside = open();
      client.on('data', ({ length }: Buffer) => (this.up += length));
      inside.from.on('data', ({ length }: Buffer) => (this.down += length));
      for (const stream of [client, inside.from, inside.to]) {
        stream.once('error', () => {
          client.destroy();
          inside.to.destroy();
        });
      }
      client.pipe(inside.to);
      inside.from.pipe(client);
    });
  }

  static async start(open: () => Way): Promise<CountingProxy> {
    const proxy = new CountingProxy(open);
    await once(proxy.#server.listen(0, '127.0.0.1'), 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
  }
}

describe('bytes that are written down', { skip: skipWithoutDocker }, () => {
  let berth: TestBerth;
  let environment: CreatedEnvironment;
  let folder: string;
  let key: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-accounting-'));
    key = await makeKey(folder, 'counted');
    berth = await TestBerth.start({ gateway: true });
    environment = await berth.createRunning({ name: 'accounting' });
    const public_key = readFileSync(`${key}.pub`, 'utf8').trim();
    assert.equal((await berth.call('POST', routes.sshKeys, { name: 'counted', public_key })).status, 201);
  });

  after(async () => {
    await berth?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Moves the file, and compares. @param command ends in `< file` or `> file` of this machine */
  async function transfer(way: SshWay, command: string): Promise<Connection> {
    const door = new Door(way, {
      access: await berth.ssh(environment.env_id),
      sharedPort: berth.sharedPort,
      key,
      jumper: { key, account: 'admin' },
    });
    const { env_id, ssh_port: ownPort } = environment;
    const proxy = await CountingProxy.start(() => {
      if (way === 'jump') return throughProgram('ssh', ['-F', door.config, '-W', `${env_id}:22`, 'door']);
      return throughSocket((way === 'own port' ? ownPort : berth.sharedPort) ?? 0);
    });
    const since = new Date().toISOString();
    // Who it is, is tested elsewhere; here it is reached at another address.
    const place = ['HostName=127.0.0.1', `Port=${proxy.port}`, 'ProxyJump=none', 'StrictHostKeyChecking=no'];
    const options = place.flatMap((each) => ['-o', each]).join(' ');
    try {
      const { code, stderr } = await execute('sh', [
        '-c',
        `ssh -F ${door.config} ${options} target ${command}`,
      ]);
      assert.equal(code, 0, stderr);
      const { items } = await eventually(
        async () => {
          const path = `${routes.connections}?env_id=${env_id}&since=${since}`;
          return (await berth.call<{ items: Connection[] }>('GET', path)).body;
        },
        (page) => page.items.length > 0 && page.items.every(({ ended_at }) => ended_at !== null),
      );
      const [row, ...others] = items;
      assert.ok(row);
      assert.deepEqual(others, []);
      assert.deepEqual({ up: row.bytes_in, down: row.bytes_out }, { up: proxy.up, down: proxy.down });
      return row;
    } finally {
      proxy.close();
      door.remove();
    }
  }

  for (const way of sshWays) {
    it(`are the client's own count after an upload: ${way}`, async () => {
      const file = join(folder, 'zeros');
      writeFileSync(file, '');
      truncateSync(file, bytes);
      const row = await transfer(way, `'cat > /dev/null' < ${file}`);
      assert.ok(row.bytes_in > bytes, `${row.bytes_in}`);
    });

    it(`are the client's own count after a download: ${way}`, async () => {
      const row = await transfer(way, `'head -c ${bytes} /dev/zero' > /dev/null`);
      assert.ok(row.bytes_out > bytes, `${row.bytes_out}`);
    });
  }
});

function throughProgram(program: string, commandLine: string[]): Way {
  const { stdin, stdout } = spawn(program, commandLine, { stdio: ['pipe', 'pipe', 'ignore'] });
  return { from: stdout, to: stdin };
}

function throughSocket(port: number): Way {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  return { from: socket, to: socket };
}
