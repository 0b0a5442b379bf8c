/** The server as a child of `berth up`: started, heard when it listens, started again when it asks, told when to end. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { restartExitCode } from '@berth/contract/vocabulary';
import { CommandFailure, exitCodes } from '../failure.ts';

const entryPoint = fileURLToPath(new URL('../../../server/src/main.ts', import.meta.url));

/** What the server says over IPC once it listens. */
export interface ServerReady {
  type: 'ready';
  publicUrl: string;
  httpAddress: string;
  socketPath: string;
  dataDir: string;
  firstPassword: boolean;
  /** `addon` or `node:crypto`, and what it stands on or why it is the slower one. */
  sshCiphers: { name: string; reason: string };
}

function isReady(message: unknown): message is ServerReady {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'ready';
}

export class ServerProcess {
  readonly #variables: Record<string, string>;
  #child: ChildProcess;
  #ending = false;
  /** The exit code; 128 and the number where a signal ended it. A server that wants to start again has not ended. */
  readonly ended: Promise<number>;

  /** It ends by itself, in good order, when this process is gone: the IPC channel closes. */
  constructor(variables: Record<string, string>) {
    this.#variables = variables;
    this.#child = this.#start();
    this.ended = this.#keepUp();
  }

  #start(): ChildProcess {
    return spawn(process.execPath, [entryPoint], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, ...this.#variables },
    });
  }

  async #keepUp(): Promise<number> {
    for (;;) {
      const code = await exitOf(this.#child);
      if (code !== restartExitCode || this.#ending) return code;
      this.#child = this.#start();
    }
  }

  /** @returns undefined when the server ended first */
  async ready(): Promise<ServerReady | undefined> {
    const messages = new AbortController();
    const listening = (async () => {
      while (true) {
        const [message]: unknown[] = await once(this.#child, 'message', { signal: messages.signal });
        if (isReady(message)) return message;
      }
    })();
    try {
      return await Promise.race([listening, this.ended.then(() => undefined)]);
    } finally {
      listening.catch(() => {});
      messages.abort();
    }
  }

  end(signal: NodeJS.Signals): void {
    this.#ending = true;
    this.#child.kill(signal);
  }
}

function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(exitCodes.failed));
    child.once('exit', (code, signal) =>
      resolve(signal === null ? (code ?? exitCodes.failed) : 128 + constants.signals[signal]),
    );
  });
}

/** For a server that ended although nobody asked it to. */
export function serverEnded(code: number): CommandFailure {
  return new CommandFailure(
    exitCodes.failed,
    'server_ended',
    `The server ended unexpectedly (exit code ${code}); the environments keep running`,
    'What it wrote last stands above; start it again with: npx berth up',
  );
}
