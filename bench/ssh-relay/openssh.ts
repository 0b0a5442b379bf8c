// The stock ssh client as the bench uses it: a configuration of its own, and nothing of the machine's.

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Keys } from './keys.ts';
import { stopper } from './processes.ts';
import type { RunningRelay } from './relays/relay.ts';

export type Direction = 'down' | 'up';

let configurations = 0;

export class OpenSsh {
  readonly #configFile: string;

  /** @param settings further lines of ssh_config, which hold for a jump host too */
  constructor(keys: Keys, relay: RunningRelay, settings: readonly string[]) {
    const destination =
      relay.jumpTo === undefined
        ? `Host destination\n  Port ${relay.port}\n`
        : `Host destination\n  Port ${relay.jumpTo}\n  ProxyJump jump\nHost jump\n  Port ${relay.port}\n`;
    const everywhere = [
      'HostName 127.0.0.1',
      `User ${keys.user}`,
      `IdentityFile ${keys.client}`,
      'IdentitiesOnly yes',
      'IdentityAgent none',
      'BatchMode yes',
      'StrictHostKeyChecking no',
      'UserKnownHostsFile /dev/null',
      'GlobalKnownHostsFile /dev/null',
      'UpdateHostKeys no',
      'LogLevel ERROR',
      ...settings,
    ];
    configurations += 1;
    this.#configFile = join(keys.folder, `ssh_config_${configurations}`);
    writeFileSync(this.#configFile, `${destination}Host *\n  ${everywhere.join('\n  ')}\n`);
  }

  /**
   * Moves `file` (down: out of the server; up: into it) to nowhere.
   *
   * @returns seconds from the command's start on the server to the client's end
   */
  async transfer(direction: Direction, file: string): Promise<number> {
    const down = direction === 'down';
    const handle = down ? await open('/dev/null', 'w') : await open(file);
    const stdio: StdioOptions = down ? ['ignore', handle.fd, 'pipe'] : [handle.fd, 'ignore', 'pipe'];
    const client = this.#spawn(started(down ? `cat ${file}` : 'cat > /dev/null'), stdio);
    try {
      await firstOutput(client.child, 'stderr');
      const began = performance.now();
      const [code] = (await once(client.child, 'close')) as [number | null];
      if (code !== 0) throw new Error(`ssh ended with status ${code} in a transfer`);
      return (performance.now() - began) / 1000;
    } finally {
      await client.stop();
      await handle.close();
    }
  }

  /** Moves zeros down without an end; resolves when they have begun to. */
  async endlessTransfer(): Promise<{ stop: () => Promise<void> }> {
    const handle = await open('/dev/null', 'w');
    const { child, stop } = this.#spawn(started('cat /dev/zero'), ['ignore', handle.fd, 'pipe']);
    await firstOutput(child, 'stderr');
    return {
      stop: async () => {
        await stop();
        await handle.close();
      },
    };
  }

  /** @returns milliseconds from the client's start to the first byte of the subsystem `ready` */
  async firstByte(): Promise<number> {
    const began = performance.now();
    const { child, stop } = this.#spawn('ready', ['ignore', 'pipe', 'pipe'], '-s');
    try {
      await firstOutput(child, 'stdout');
      return performance.now() - began;
    } finally {
      if (child.exitCode === null) await once(child, 'close');
      await stop();
    }
  }

  #spawn(
    command: string,
    stdio: StdioOptions,
    ...options: string[]
  ): { child: ChildProcess; stop: () => Promise<void> } {
    const child = spawn('ssh', ['-F', this.#configFile, ...options, 'destination', command], { stdio });
    return { child, stop: stopper(child) };
  }
}

/** A command that first says on stderr that it has started. */
function started(command: string): string {
  return `echo >&2; exec ${command}`;
}

function firstOutput(child: ChildProcess, name: 'stdout' | 'stderr'): Promise<void> {
  return new Promise((resolve, reject) => {
    child[name]?.once('data', () => resolve());
    child.once('error', reject);
    child.once('close', (code) => reject(new Error(`ssh ended with status ${code} before any output`)));
  });
}
