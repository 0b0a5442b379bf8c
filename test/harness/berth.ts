/**
 * A Berth of a test's own: the real server process with a data folder, a database and a range of ports of its own,
 * on the machine's real Docker. What it made is removed at the end, whatever happened to it.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Supervisor } from '@berth/gateway/supervisor';
import { ensureEnvironmentImage } from '@berth/image';
import type { CreatedEnvironment, Environment, EnvironmentEvent, SshAccess } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import Docker from 'dockerode';
import { copyEmbedded } from './embedded.ts';

export const docker = new Docker();
const serverMain = fileURLToPath(new URL('../../packages/server/src/main.ts', import.meta.url));
const commandMain = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));

export interface Answer<T = unknown> {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: T;
}

/** Why tests with containers cannot run here; false when they can. */
export const skipWithoutDocker: string | false = await docker
  .ping()
  .then(() => false as const)
  .catch(() => 'needs Docker (package docker.io)');

/** The environment image, built when it is not there. */
export async function environmentImage(): Promise<string> {
  const cacheDir = join(tmpdir(), 'berth-image-cache');
  const { reference } = await ensureEnvironmentImage({ docker, cacheDir, onProgress: () => undefined });
  return reference;
}

/** `count` ports in a row that nobody has just now, outside of the range from which the system gives ports. */
export async function freePortRange(count: number): Promise<{ first: number; last: number }> {
  for (;;) {
    const first = 10_000 + Math.floor(Math.random() * (22_000 - count));
    const ports = Array.from({ length: count }, (_, index) => first + index);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return { first, last: first + count - 1 };
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ port, host: '0.0.0.0', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

export class TestBerth {
  readonly dataDir: string;
  readonly environment: Record<string, string>;
  readonly ports: { first: number; last: number };
  log = '';
  readonly docker: Docker;
  readonly #launcher: string[];
  #process: ChildProcess | null = null;
  #installationId: string | null = null;
  #httpAddress = '';
  /** Of the gateway beside the server; 0: there is none, unless `berth up` starts one. */
  readonly sharedPort: number;
  gateway: Supervisor | null = null;

  private constructor(
    dataDir: string,
    environment: Record<string, string>,
    ports: { first: number; last: number },
    place: { docker?: Docker; launcher?: string[]; sharedPort: number },
  ) {
    this.sharedPort = place.sharedPort;
    this.docker = place.docker ?? docker;
    this.#launcher = place.launcher ?? [];
    this.dataDir = dataDir;
    this.environment = environment;
    this.ports = ports;
  }

  /** @param options.databaseUrl null: the embedded database */
  static async make(
    options: {
      databaseUrl?: string | null;
      settings?: Record<string, string>;
      portCount?: number;
      image?: string | null;
      /** The engine that the server works with, where that is not the machine's; the settings must say so too. */
      docker?: Docker;
      /** A program in front of the server's, which must become it, such as `nsenter`. */
      launcher?: string[];
      /** Whether a gateway runs beside the server, which then serves all ways in. */
      gateway?: boolean;
    } = {},
  ): Promise<TestBerth> {
    const ports = await freePortRange((options.portCount ?? 20) + 1);
    const sharedPort = options.gateway === true ? ports.last-- : 0;
    const dataDir = mkdtempSync(join(tmpdir(), 'berth-test-'));
    if (!options.databaseUrl) await copyEmbedded(join(dataDir, 'database'));
    const image = options.image === undefined ? await environmentImage() : options.image;
    return new TestBerth(
      dataDir,
      {
        BERTH_DATA_DIR: dataDir,
        BERTH_HTTP: '127.0.0.1:0',
        BERTH_SSH_HOST: '127.0.0.1',
        BERTH_PORT_ADDRESS: '127.0.0.1',
        BERTH_PORT_RANGE: `${ports.first}-${ports.last}`,
        BERTH_STOP_GRACE_SECONDS: '3',
        BERTH_EXPOSURE: sharedPort === 0 ? 'direct' : 'gateway',
        BERTH_SHARED_PORT: String(sharedPort),
        ...(image === null ? {} : { BERTH_ENVIRONMENT_IMAGE: image }),
        ...(options.databaseUrl ? { BERTH_DATABASE_URL: options.databaseUrl } : {}),
        ...options.settings,
      },
      ports,
      { ...options, sharedPort },
    );
  }

  static async start(options: Parameters<typeof TestBerth.make>[0] = {}): Promise<TestBerth> {
    const berth = await TestBerth.make(options);
    await berth.up();
    return berth;
  }

  get socketPath(): string {
    return join(this.dataDir, 'berth.sock');
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /**
   * Starts the server process.
   *
   * @param options.nodeOptions in front of the program, such as `--import FILE`
   * @param options.command `berth up` in its place, which starts the gateway itself
   * @returns whether it came up; false when it ended first
   */
  async up(
    options: { nodeOptions?: string[]; environment?: Record<string, string>; command?: true } = {},
  ): Promise<boolean> {
    const [program = '', ...commandLine] = [
      ...this.#launcher,
      process.execPath,
      ...(options.nodeOptions ?? []),
      ...(options.command === undefined ? [serverMain] : [commandMain, 'up', '--json']),
    ];
    const child = spawn(program, commandLine, {
      env: { ...withoutBerth(process.env), ...this.environment, ...options.environment },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#process = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.log += text));
    const address = options.command
      ? documentOf(child).then((document) => (document as { http_address: string }).http_address)
      : once(child, 'message').then(([message]) => (message as { httpAddress: string }).httpAddress);
    child.stdout?.resume();
    const ready = await Promise.race([
      address.then((given) => {
        this.#httpAddress = given;
        return true;
      }),
      once(child, 'exit').then(() => false),
    ]);
    if (ready && this.#installationId === null) {
      const { body } = await this.call<{ installation_id: string }>('GET', routes.platform);
      this.#installationId = body.installation_id;
    }
    if (ready && this.sharedPort !== 0 && options.command === undefined && this.gateway === null) {
      this.gateway = new Supervisor({
        workers: 1,
        folder: join(this.dataDir, 'gateway'),
        user: 'nobody',
        server: { kind: 'unix', path: 'control.sock' },
        certificates: null,
        log: (line) => (this.log += `${line}\n`),
      });
      const opened = await this.gateway.opened(this.sharedPort);
      if (opened !== true) throw new Error(`${opened}\n${this.log.slice(-2000)}`);
    }
    return ready;
  }

  /** Where the API listens for everybody. */
  get httpAddress(): { host: string; port: number } {
    const { hostname, port } = new URL(`http://${this.#httpAddress}`);
    return { host: hostname, port: Number(port) };
  }

  get installationId(): string {
    if (this.#installationId === null) throw new Error('the server was never up');
    return this.#installationId;
  }

  /** Whether the server process lives. */
  get isUp(): boolean {
    return this.#process !== null && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Sends a message to what `nodeOptions` loaded into the server process, and waits for its answer. */
  async ask<T>(message: object): Promise<T> {
    const child = this.#process;
    if (!child) throw new Error('the server was never up');
    const answer = once(child, 'message');
    child.send(message);
    return ((await answer) as [T])[0];
  }

  /** Ends when the server process has ended, by whatever cause. */
  async ended(): Promise<void> {
    const child = this.#process;
    if (child && child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#process?.kill(signal);
    await this.ended();
  }

  /** A request as the machine's own administrator, through the Unix socket. */
  call<T = unknown>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    return call<T>({ socketPath: this.socketPath }, method, path, body, headers);
  }

  async create(input: Record<string, unknown> & { name: string }): Promise<CreatedEnvironment> {
    const answer = await this.call<CreatedEnvironment>('POST', routes.environments, {
      resources: { cpu: 1, memory: 0.5 },
      ...input,
    });
    if (answer.status !== 202)
      throw new Error(`create answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async show(id: string): Promise<Environment | null> {
    const answer = await this.call<Environment>('GET', pathOf(routes.environment, { id }));
    return answer.status === 404 ? null : answer.body;
  }

  async ssh(id: string): Promise<SshAccess> {
    return (await this.call<SshAccess>('GET', pathOf(routes.environmentSsh, { id }))).body;
  }

  async events(id: string): Promise<EnvironmentEvent[]> {
    return (
      await this.call<{ items: EnvironmentEvent[] }>(
        'GET',
        `${pathOf(routes.environmentEvents, { id })}?limit=1000`,
      )
    ).body.items;
  }

  /** Clears what is locked for this address, so that a test's own failures are nobody else's. */
  async unlock(source: string): Promise<void> {
    const { body } = await this.call<{ items: { id: number }[] }>(
      'GET',
      `${routes.lockouts}?source=${source}`,
    );
    for (const { id } of body.items) await this.call('DELETE', pathOf(routes.lockout, { id: String(id) }));
  }

  /** Waits until the environment is as the test wants it; `failed` ends the wait unless it is waited for. */
  async until(
    id: string,
    status: Environment['status'] | 'gone',
    withinMs = 60_000,
  ): Promise<Environment | null> {
    const deadline = Date.now() + withinMs;
    for (;;) {
      const environment = await this.show(id);
      if (environment === null ? status === 'gone' : environment.status === status) return environment;
      if (Date.now() > deadline || (environment?.status === 'failed' && status !== 'gone')) {
        const lines = (await this.events(id).catch(() => [])).map(({ message }) => message).join('\n  ');
        throw new Error(
          `${id} is ${environment?.status ?? 'gone'}, not ${status}, after ${withinMs} ms\n  ${lines}\n${this.log.slice(-2000)}`,
        );
      }
      await pause(25);
    }
  }

  async createRunning(input: Record<string, unknown> & { name: string }): Promise<CreatedEnvironment> {
    const created = await this.create(input);
    await this.until(created.env_id, 'running');
    return created;
  }

  /** Names of the containers and volumes in Docker that carry this installation's id, the guard left out. */
  async things(): Promise<string[]> {
    const label = [`berth.installation=${this.installationId}`, 'berth.environment'];
    const [containers, volumes] = await Promise.all([
      this.docker.listContainers({ all: true, filters: { label } }),
      this.docker.listVolumes({ filters: { label } }),
    ]);
    return [
      ...containers.map(({ Names }) => `container ${Names[0]?.slice(1)}`),
      ...volumes.Volumes.map(({ Name }) => `volume ${Name}`),
    ].sort();
  }

  /** Ends the server and removes everything that it made. */
  async remove(): Promise<void> {
    await this.gateway?.kill();
    await this.kill('SIGKILL');
    try {
      if (this.#installationId !== null) await removeInstallation(this.#installationId, this.docker);
    } finally {
      rmSync(this.dataDir, { recursive: true, force: true });
    }
  }
}

/** Everything in Docker that carries its id, and its table in the host's firewall. */
/** The JSON document that the command writes once it runs. */
async function documentOf(child: ChildProcess): Promise<unknown> {
  const { stdout } = child;
  if (stdout === null) throw new TypeError('its standard output is not read');
  let text = '';
  for (;;) {
    const [chunk] = (await once(stdout, 'data')) as [Buffer];
    text += chunk.toString('utf8');
    try {
      return JSON.parse(text);
    } catch {
      // There is more to come.
    }
  }
}

export async function removeInstallation(installationId: string, engine: Docker = docker): Promise<void> {
  const filters = { label: [`berth.installation=${installationId}`] };
  const networks = await engine.listNetworks({ filters });
  // Again and again: the engine may just be finishing what the killed server had asked it for.
  const removeAll = async () => {
    const containers = await engine.listContainers({ all: true, filters });
    await Promise.all(containers.map(({ Id }) => engine.getContainer(Id).remove({ force: true, v: true })));
    const { Volumes } = await engine.listVolumes({ filters });
    await Promise.all(Volumes.map(({ Name }) => engine.getVolume(Name).remove()));
    const left = await engine.listNetworks({ filters });
    await Promise.all(left.map(({ Id }) => engine.getNetwork(Id).remove()));
    return containers.length + Volumes.length + left.length === 0;
  };
  for (const deadline = Date.now() + 10_000; ; await pause(100)) {
    try {
      if (await removeAll()) break;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
  // The guard leaves its table in force when it is killed.
  if (engine === docker && networks.length > 0)
    for (const table of ['', '_ports', '_traffic'])
      spawnSync('nft', ['delete', 'table', 'inet', `berth_${installationId.slice(0, 8)}${table}`]);
}

/** An HTTP request; the body is sent as JSON unless it is a string or a buffer already. */
export function call<T = unknown>(
  to: { socketPath: string } | { host: string; port: number },
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer<T>> {
  const raw =
    body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        ...to,
        method,
        path,
        headers: {
          ...(raw === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(raw) }),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const json = /json/.test(response.headers['content-type'] ?? '');
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: (json && text !== '' ? JSON.parse(text) : text) as T,
          });
        });
      },
    );
    outgoing.once('error', reject);
    outgoing.end(raw);
  });
}

function withoutBerth(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(
      ([name]) => !name.startsWith('BERTH_') || name.startsWith('BERTH_TEST_'),
    ),
  );
}
