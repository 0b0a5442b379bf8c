/** The server as a child of `berth up`: started, heard when it listens, started again when it asks or crashes, told to end. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { restartExitCode } from '@berth/contract/vocabulary';
import { exitCodes } from '../failure.ts';
import { say } from '../session.ts';

const entryPoint = fileURLToPath(new URL('../../../server/src/main.ts', import.meta.url));

/** What the server says over IPC once it listens. */
export interface ServerReady {
  type: 'ready';
  publicUrl: string;
  httpAddress: string;
  socketPath: string;
  dataDir: string;
  firstPassword: boolean;
  sshHost: string;
  /** 0: there is none. */
  sharedPort: number;
  /** `addon` or `node:crypto`, and what it stands on or why it is the slower one. */
  sshCiphers: { name: string; reason: string };
}

function isReady(message: unknown): message is ServerReady {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'ready';
}

export class ServerProcess {
  readonly #variables: Record<string, string>;
  readonly #ending = new AbortController();
  #child: ChildProcess;
  #exit: Promise<number>;
  #wasReady = false;
  /**
   * The exit code; 128 and the number where a signal ended it. A server that wants to start again has not ended, nor has
   * one that was ready once and crashes.
   */
  readonly ended: Promise<number>;

  /** It ends by itself, in good order, when this process is gone: the IPC channel closes. */
  constructor(variables: Record<string, string>) {
    this.#variables = variables;
    this.#child = this.#start();
    this.#exit = exitOf(this.#child);
    this.ended = this.#keepUp();
  }

  /** In a session of its own: the Ctrl-C of a terminal is for this process, which says when the server is to end. */
  #start(): ChildProcess {
    return spawn(process.execPath, [entryPoint], {
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, ...this.#variables },
    });
  }

  async #keepUp(): Promise<number> {
    const { GrowingPause } = await import('@berth/gateway/supervisor');
    const pauses = new GrowingPause();
    for (let startedMs = Date.now(); ; startedMs = Date.now()) {
      const code = await this.#exit;
      if (this.#ending.signal.aborted) return code;
      if (code !== restartExitCode) {
        if (!this.#wasReady) return code;
        await this.#pauseAfterCrash(code, pauses.next(Date.now() - startedMs));
        if (this.#ending.signal.aborted) return code;
      }
      this.#child = this.#start();
      this.#exit = exitOf(this.#child);
    }
  }

  async #pauseAfterCrash(code: number, pauseMs: number): Promise<void> {
    const when = pauseMs === 0 ? 'at once' : `in ${pauseMs / 1000} s`;
    say(
      `berth: the server ended unexpectedly (exit code ${code}). Environments and SSH connections go on; it is started again ${when}.`,
    );
    await pause(pauseMs, undefined, { signal: this.#ending.signal }).catch(() => {});
  }

  /** @returns undefined when the server ended first */
  async ready(): Promise<ServerReady | undefined> {
    const messages = new AbortController();
    const listening = (async () => {
      while (true) {
        const [message]: unknown[] = await once(this.#child, 'message', { signal: messages.signal });
        if (!isReady(message)) continue;
        this.#wasReady = true;
        return message;
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
    this.#ending.abort();
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
