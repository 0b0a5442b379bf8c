/**
 * Walks through an operation: kills the server after each boundary (kill-at.ts) that the operation passes, starts it
 * again, and sees that the environment gets to where it was asked to be and that nothing is lost or left over.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { CreatedEnvironment, Environment, KeptStorage, SshKey } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { TestBerth } from '../harness/berth.ts';
import type { Answer } from '../harness/berth.ts';
import { eventually, makeKey } from '../harness/ssh.ts';
import type { Arm, At } from './kill-at.ts';
import { list, look, settles } from './survey.ts';
import type { Promised } from './survey.ts';

/** How long the environment may take to where it is wanted, from the moment at which the server is up again. */
const withinMs = 10_000;
/** An operation is over when no boundary was passed for this long; the reconciler's timer sleeps for longer. */
const quietMs = 400;

export type OperationName =
  | 'create'
  | 'delete'
  | 'delete-keeping'
  | 'adopt'
  | 'stop'
  | 'start'
  | 'restart'
  | 'change'
  | 'reset-password'
  | 'add-key'
  | 'delete-key';

interface Operation {
  /** The request. What its answer promises is taken down in `walk.promised`. */
  ask(walk: CrashWalk): Promise<void>;
  /** Whether what was asked for is so; a request that was not answered may as well not have been made. */
  isDone(walk: CrashWalk): Promise<boolean>;
}

async function successful<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { status, body } = await answer;
  if (status >= 300) throw new Error(`answered ${status}: ${JSON.stringify(body)}`);
  return body;
}

const hasStatus = (status: Environment['status']) => async (walk: CrashWalk) =>
  (await walk.find())?.status === status;

function action(template: string, isDone: Operation['isDone']): Operation {
  return {
    async ask(walk) {
      await successful(walk.berth.call('POST', pathOf(template, { id: walk.id })));
    },
    isDone,
  };
}

async function create(walk: CrashWalk, more: object = {}): Promise<void> {
  walk.name = `crash-${(walk.rounds += 1)}`;
  walk.id = '';
  const body = { name: walk.name, resources: { cpu: 1, memory: 0.25 }, ...more };
  const created = await successful(walk.berth.call<CreatedEnvironment>('POST', routes.environments, body));
  walk.promised.set(created.env_id, { port: created.ssh_port, password: created.ssh_password });
}

async function remove(walk: CrashWalk, query = ''): Promise<void> {
  // From here on it may be gone, answered or not.
  walk.promised.delete(walk.id);
  await successful(walk.berth.call('DELETE', pathOf(routes.environment, { id: walk.id }) + query));
}

const operations: Record<OperationName, Operation> = {
  create: { ask: create, isDone: hasStatus('running') },
  delete: { ask: remove, isDone: async (walk) => (await walk.find()) === undefined },
  'delete-keeping': {
    async ask(walk) {
      walk.storageId ||= walk.id;
      await remove(walk, '?keep_storage=true');
    },
    isDone: async (walk) => (await walk.find()) === undefined && (await walk.kept()) !== undefined,
  },
  // With the files of the one that was deleted; the survey sees that it has no others.
  adopt: {
    ask: async (walk) => create(walk, { adopt_storage: await walk.kept() }),
    isDone: async (walk) => (await walk.find())?.status === 'running' && (await walk.kept()) === undefined,
  },
  stop: action(routes.environmentStop, hasStatus('stopped')),
  start: action(routes.environmentStart, hasStatus('running')),
  restart: action(
    routes.environmentRestart,
    async (walk) => (await walk.find())?.status === 'running' && (await walk.startedAt()) !== walk.before,
  ),
  change: {
    async ask(walk) {
      walk.memory = walk.memory === 0.25 ? 0.5 : 0.25;
      const body = { resources: { memory: walk.memory } };
      await successful(walk.berth.call('PATCH', pathOf(routes.environment, { id: walk.id }), body));
      await successful(walk.berth.call('POST', pathOf(routes.environmentRestart, { id: walk.id })));
    },
    async isDone(walk) {
      const found = await walk.find();
      if (found?.status !== 'running' || found.running_resources !== null) return false;
      const { HostConfig } = await walk.berth.docker.getContainer(walk.id).inspect();
      return found.resources.memory === walk.memory && HostConfig.Memory === walk.memory * 1024 ** 3;
    },
  },
  'reset-password': {
    async ask(walk) {
      const port = walk.promised.get(walk.id)?.port ?? null;
      walk.promised.set(walk.id, { port, password: null });
      const path = pathOf(routes.environmentResetPassword, { id: walk.id });
      const { ssh_password } = await successful(walk.berth.call<{ ssh_password: string }>('POST', path));
      walk.promised.set(walk.id, { port, password: ssh_password });
    },
    isDone: async (walk) => (await walk.hash()) !== walk.before,
  },
  'add-key': {
    async ask(walk) {
      await successful(
        walk.berth.call('POST', routes.sshKeys, { name: 'laptop', public_key: walk.publicKey }),
      );
    },
    isDone: async (walk) => (await walk.keys()).includes(walk.publicKey),
  },
  'delete-key': {
    async ask(walk) {
      const { items } = (await look<{ items: SshKey[] }>(walk.berth, routes.sshKeys)).body;
      const id = String(items[0]?.id);
      await successful(walk.berth.call('DELETE', pathOf(routes.sshKey, { id })));
    },
    isDone: async (walk) => !(await walk.keys()).includes(walk.publicKey),
  },
};

export interface Walked {
  operation: OperationName;
  boundaries: At[];
  /** Those that the server was killed at. */
  chosen: At[];
  /** Boundaries that were not met again, such as a timer's statement that came only in the first run. */
  missed: At[];
  slowestMs: number;
  /** How many kills came after the answer, and how many of the others had the request carried out all the same. */
  answered: number;
  carriedOutUnanswered: number;
}

export class CrashWalk {
  readonly berth: TestBerth;
  readonly promised = new Map<string, Promised>();
  readonly #folder = mkdtempSync(join(tmpdir(), 'berth-crash-'));
  readonly #boundaries = join(this.#folder, 'boundaries');
  /** The environment that operations are asked for. */
  id = '';
  name = '';
  rounds = 0;
  publicKey = '';
  /** Whose volumes are handed on from environment to environment; '': each has its own. */
  storageId = '';
  /** What `change` asked for last, in GiB. */
  memory = 0.25;
  /** What `isDone` compares with: the state before the operation. */
  before = '';

  private constructor(berth: TestBerth) {
    this.berth = berth;
  }

  static async begin(databaseUrl: string | null): Promise<CrashWalk> {
    const walk = new CrashWalk(await TestBerth.make({ databaseUrl, portCount: 30 }));
    try {
      const key = await makeKey(walk.#folder);
      walk.publicKey = readFileSync(`${key}.pub`, 'utf8').trim();
      await walk.up();
    } catch (error) {
      await walk.end();
      throw error;
    }
    return walk;
  }

  async end(): Promise<void> {
    await this.berth.remove();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async up(): Promise<void> {
    const came = await this.berth.up({
      nodeOptions: ['--import', fileURLToPath(new URL('kill-at.ts', import.meta.url))],
      environment: {
        BERTH_TEST_BOUNDARIES: this.#boundaries,
        NODE_COMPILE_CACHE: join(this.#folder, 'cache'),
      },
    });
    if (!came) throw new Error(`the server did not come up\n${this.berth.log.slice(-2000)}`);
  }

  async find(): Promise<Environment | undefined> {
    const found = (await list(this.berth)).find((each) => each.name === this.name);
    if (found) this.id = found.env_id;
    return found;
  }

  /** The environment whose files are kept just now. */
  async kept(): Promise<string | undefined> {
    return (await look<{ items: KeptStorage[] }>(this.berth, routes.keptStorage)).body.items[0]?.env_id;
  }

  async startedAt(): Promise<string> {
    return (await this.berth.docker.getContainer(this.id).inspect()).State.StartedAt;
  }

  async hash(): Promise<string> {
    return readFileSync(join(this.berth.dataDir, 'environments', this.id, 'password_hash'), 'utf8');
  }

  async keys(): Promise<string> {
    return readFileSync(join(this.berth.dataDir, 'environments', this.id, 'authorized_keys'), 'utf8');
  }

  /** Carries an operation out without a kill, and learns its boundaries. */
  async learn(name: OperationName): Promise<At[]> {
    await this.#prepare(name);
    await this.berth.ask<unknown>({ at: null } satisfies Arm);
    await operations[name].ask(this);
    await this.#until(name);
    await this.#settles(withinMs);
    await this.#quiet();
    const passed = this.#passed();
    return passed;
  }

  /** Carries an operation out, with the server killed at a boundary of it, and checks what has become of it. */
  async round(name: OperationName, at: At, walked: Walked): Promise<void> {
    await this.#prepare(name);
    await this.berth.ask<unknown>({ at } satisfies Arm);
    const answered = await operations[name].ask(this).then(
      () => true,
      (error: Error) => {
        if (this.berth.isUp && !/hang up|ECONNRESET|EPIPE/.test(error.message)) throw error;
        return false;
      },
    );
    const over = this.#until(name).then(
      () => this.#quiet(),
      () => this.berth.ended(),
    );
    await Promise.race([this.berth.ended(), over]);
    if (this.berth.isUp) {
      walked.missed.push(at);
      await this.berth.kill();
    }
    await this.up();
    const where = `killed after ${at.name} (${at.occurrence}), ${answered ? 'answered' : 'not answered'}`;
    try {
      walked.slowestMs = Math.max(walked.slowestMs, await this.#cameTo(name, answered));
    } catch (error) {
      throw new Error(`${name}, ${where}: ${(error as Error).message}\n${this.berth.log.slice(-3000)}`, {
        cause: error,
      });
    }
    const done = await operations[name].isDone(this);
    if (answered) walked.answered += 1;
    else if (done) walked.carriedOutUnanswered += 1;
    else await this.simply(name);
  }

  /** All is settled, and what was answered is so. */
  async #cameTo(name: OperationName, answered: boolean): Promise<number> {
    const began = Date.now();
    for (;;) {
      const leftMs = withinMs - (Date.now() - began);
      await this.#settles(leftMs);
      if (!answered || (await operations[name].isDone(this))) return Date.now() - began;
      if (leftMs < 0) throw new Error(`it was answered and is not so after ${withinMs} ms`);
      await pause(25);
    }
  }

  /** Without a kill: so that the next round finds what it begins with. */
  async simply(name: OperationName): Promise<void> {
    await this.#prepare(name);
    await operations[name].ask(this);
    await this.#until(name);
    await this.#settles(withinMs);
  }

  #settles(longestMs: number): Promise<number> {
    return settles(this.berth, this.promised, longestMs, undefined, this.storageId);
  }

  /** What a server does when it has just started is no boundary of an operation. */
  async #prepare(name: OperationName): Promise<void> {
    await eventually(
      () => look(this.berth, routes.ready),
      ({ status }) => status === 200,
      withinMs,
      10,
    );
    if (name === 'restart') this.before = await this.startedAt();
    if (name === 'reset-password') this.before = await this.hash();
  }

  async #until(name: OperationName): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (!(await operations[name].isDone(this))) {
      if (Date.now() > deadline) throw new Error(`${name} did not end\n${this.berth.log.slice(-2000)}`);
      await pause(25);
    }
  }

  /** What comes after the last visible change, such as a lease given back, is part of the operation. */
  async #quiet(): Promise<void> {
    let before = -1;
    for (let count = this.#passed().length; count !== before && this.berth.isUp;) {
      before = count;
      await pause(quietMs);
      count = this.#passed().length;
    }
  }

  #passed(): At[] {
    const text = existsSync(this.#boundaries) ? readFileSync(this.#boundaries, 'utf8') : '';
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as At);
  }
}

/** What only reads leaves nothing behind, so a kill after it is the same as one after what came before. */
export function writes({ name }: At): boolean {
  return !/^sql (select (?!pg_notify)|begin)|^docker GET/.test(name);
}

/**
 * Walks through operations that lead back to where the first one began, such as stop and start: so no round needs a
 * preparation, and each kill is one of an operation.
 */
export async function walkCycle(
  walk: CrashWalk,
  cycle: OperationName[],
  choose: (boundaries: At[]) => At[],
): Promise<Walked[]> {
  const walks: Walked[] = [];
  for (const operation of cycle) {
    const boundaries = await walk.learn(operation);
    walks.push({
      operation,
      boundaries,
      chosen: choose(boundaries),
      missed: [],
      slowestMs: 0,
      answered: 0,
      carriedOutUnanswered: 0,
    });
  }
  const longest = Math.max(...walks.map(({ chosen }) => chosen.length));
  for (let index = 0; index < longest; index += 1) {
    for (const walked of walks) {
      const at = walked.chosen[index];
      if (!at) {
        if (walks.length > 1) await walk.simply(walked.operation);
        continue;
      }
      await walk.round(walked.operation, at, walked);
    }
  }
  return walks;
}
