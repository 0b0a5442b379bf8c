/**
 * A piece of world beyond the host, for tests of what an environment may reach: a network namespace behind a pair of
 * interfaces, with addresses of the test's choice and one listener on all of them. Needs root and iproute2.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { Background } from './background.ts';

const listen = `require('node:net').createServer((socket) => socket.on('error', () => {}).end('beyond\\n'))
  .listen(0, '0.0.0.0', function () { console.log('port ' + this.address().port); })`;

export class Beyond {
  /** An address that is nobody's in particular (RFC 2544's range for benchmarks). */
  readonly address: string;
  /** The host's own, as seen from there. */
  readonly hostAddress: string;
  port = 0;
  readonly #name = `berth-${randomBytes(4).toString('hex')}`;
  readonly #moreAddresses: string[];
  #listener: Background | null = null;

  private constructor(network: string, moreAddresses: string[]) {
    this.address = `${network}.2`;
    this.hostAddress = `${network}.1`;
    this.#moreAddresses = moreAddresses;
  }

  /** @param moreAddresses routed to the same place, while it exists */
  static async open(moreAddresses: string[]): Promise<Beyond> {
    const network = `198.${18 + randomInt(2)}.${randomInt(256)}`;
    const beyond = new Beyond(network, moreAddresses);
    const name = beyond.#name;
    // An interface's name has at most 15 characters.
    const [near, far] = [`${name}h`, `${name}n`];
    try {
      ip('netns', 'add', name);
      ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name);
      ip('address', 'add', `${network}.1/24`, 'dev', near);
      ip('link', 'set', near, 'up');
      for (const address of [`${network}.2/24`, ...moreAddresses.map((each) => `${each}/32`)])
        ip('-netns', name, 'address', 'add', address, 'dev', far);
      ip('-netns', name, 'link', 'set', far, 'up');
      ip('-netns', name, 'route', 'add', 'default', 'via', `${network}.1`);
      for (const address of moreAddresses)
        ip('route', 'add', `${address}/32`, 'via', beyond.address, 'dev', near);
      beyond.#listener = new Background('ip', ['netns', 'exec', name, process.execPath, '-e', listen]);
      beyond.port = Number((await beyond.#listener.says(/port (\d+)/))[1]);
      return beyond;
    } catch (error) {
      await beyond.close();
      throw error;
    }
  }

  /** The host, as seen from there. */
  get host(): string {
    return this.address.replace(/\d+$/, '1');
  }

  /** In front of a command line that shall run there. */
  get prefix(): string[] {
    return ['ip', 'netns', 'exec', this.#name];
  }

  get addresses(): string[] {
    return [this.address, ...this.#moreAddresses];
  }

  /** Whether a connection from there, which comes through the host as from any other machine, is made. */
  reaches(host: string, port: number): boolean {
    const dial = `require('node:net').connect({ host: '${host}', port: ${port}, timeout: 1500 })
      .on('connect', () => process.exit(0)).on('timeout', () => process.exit(1)).on('error', () => process.exit(1))`;
    const { status } = spawnSync('ip', ['netns', 'exec', this.#name, process.execPath, '-e', dial]);
    return status === 0;
  }

  /** The interfaces and their routes go with the namespace. */
  async close(): Promise<void> {
    await this.#listener?.stop();
    spawnSync('ip', ['link', 'delete', `${this.#name}h`]);
    spawnSync('ip', ['netns', 'delete', this.#name]);
  }
}

/** Why the network of this host cannot be changed by a test; false when it can. */
export const skipWithoutHostNetwork: string | false =
  process.getuid?.() === 0 && spawnSync('ip', ['netns', 'list']).status === 0
    ? false
    : 'needs root and the command ip (package iproute2)';

function ip(...commandLine: string[]): void {
  const { status, stderr } = spawnSync('ip', commandLine, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${commandLine.join(' ')}: ${stderr}`);
}
