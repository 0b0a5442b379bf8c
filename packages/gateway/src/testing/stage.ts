/**
 * A whole worker for tests: real sockets, a real sshd as the environment, real ssh clients, and a server that is an
 * object of the test. Two environments of two customers lie behind the same sshd.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { everythingForwarded } from '@berth/contract';
import type {
  AttemptAnswer,
  AttemptRecord,
  AttemptRequest,
  ConnectionRecord,
  EnvironmentRoute,
  Forwarding,
  GatewayRecordLine,
  GatewaySettings,
  Grant,
  StateLine,
  Upstream,
  UpstreamLine,
  UpstreamRequest,
} from '@berth/contract';
import {
  SigningKey,
  fingerprint,
  formatPrivateKey,
  generateHostKey,
  generateSigningKey,
  knownHostsLine,
  signUserCertificate,
} from '@berth/ssh';
import { freePort, startSshd } from '../../../ssh/src/testing/sshd.ts';
import type { Sshd } from '../../../ssh/src/testing/sshd.ts';
import { ServerAway } from '../control/server-link.ts';
import type { ServerLink } from '../control/server-link.ts';
import type { GatewayWorker } from '../gateway-worker.ts';
import { PortTaken } from '../listeners/sockets.ts';
import type { Sockets } from '../listeners/sockets.ts';
import { until } from './until.ts';
import { startWorker } from '../worker.ts';
import { settings as usualSettings } from './control-double.ts';

export const password = 'Right-Horse-7-Battery';
export const demo = 'demo-7f3k';
/** Of another customer. */
export const other = 'other-2b2b';
export const account = 'alice';
/** What a client that hangs is given. */
const longestRunMs = 20_000;

type Unnumbered<T> = T extends { number: number } ? Omit<T, 'number'> : never;

/** Ports of this process. */
class LocalSockets implements Sockets {
  readonly #servers = new Map<number, Server>();

  isOpen(port: number): boolean {
    return this.#servers.get(port)?.listening === true;
  }

  async listen(port: number, address: string, onConnection: (socket: Socket) => void): Promise<void> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, onConnection);
    this.#servers.set(port, server);
    try {
      server.listen({ port, host: address, backlog: 4096 });
      await once(server, 'listening');
    } catch (error) {
      this.#servers.delete(port);
      throw new PortTaken(port, `Port ${port} is in use (${(error as NodeJS.ErrnoException).code}).`);
    }
  }

  close(port: number): void {
    this.#servers.get(port)?.close();
    this.#servers.delete(port);
  }

  get ports(): number[] {
    return [...this.#servers.keys()];
  }
}

/** Decides as the real one does, as far as a gateway can see. */
export class ServerDouble implements ServerLink {
  isUp = true;
  readonly attempts: AttemptRequest[] = [];
  readonly upstreams: UpstreamRequest[] = [];
  /** Instead of what would be answered. */
  answer: ((request: AttemptRequest) => AttemptAnswer | Promise<AttemptAnswer>) | undefined;
  /** Of a start; `ready` follows by itself unless `failed` is among them. */
  starting: (signal: AbortSignal) => AsyncIterable<UpstreamLine> = async function* () {};
  grant: Partial<Grant> = {};
  forwarding: Forwarding = everythingForwarded;
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  async attempt(request: AttemptRequest, signal: AbortSignal): Promise<AttemptAnswer> {
    signal.throwIfAborted();
    this.attempts.push(request);
    if (!this.isUp) throw new ServerAway('no answer');
    return this.answer === undefined ? this.decide(request) : this.answer(request);
  }

  decide(request: AttemptRequest): AttemptAnswer {
    const { key, target, way } = request;
    const shown = key === null ? null : fingerprint(Buffer.from(key.blob, 'base64'));
    if (way === 'jump-login') {
      const { accountKey } = this.#stage;
      if (target !== account || shown !== accountKey.fingerprint) return refused('wrong_key');
      return {
        outcome: 'jump',
        account,
        customer: 1,
        fingerprint: accountKey.fingerprint,
        keyName: 'laptop',
      };
    }
    if (target !== demo && target !== other) return refused('unknown_name');
    if (key === null && request.password !== password) return refused('wrong_password');
    if (key !== null && shown !== this.#stage.personKey.fingerprint) return refused('wrong_key');
    return {
      outcome: 'accept',
      grant: this.grantFor(request),
      upstream: this.upstreamFor(request.upstream_key, request.id),
    };
  }

  grantFor({ target, key }: Pick<AttemptRequest, 'target' | 'key'>): Grant {
    return {
      environment: target,
      customer: target === demo ? 1 : 2,
      account: key === null ? null : account,
      keyName: key === null ? null : 'laptop',
      fingerprint: key === null ? null : fingerprint(Buffer.from(key.blob, 'base64')),
      forwarding: this.forwarding,
      forceCommand: null,
      terminal: true,
      touchRequired: true,
      verificationRequired: false,
      ...this.grant,
    };
  }

  upstreamFor(key: string, keyId: string): Upstream {
    const { sshd, authority, upstreamHostKey } = this.#stage;
    const certificate = signUserCertificate({
      ca: authority,
      publicKey: Buffer.from(key, 'base64'),
      keyId,
      principals: [userInfo().username],
      validAfter: new Date(Date.now() - 60_000),
      validBefore: new Date(Date.now() + 300_000),
      extensions: [
        'permit-pty',
        'permit-port-forwarding',
        'permit-agent-forwarding',
        'permit-X11-forwarding',
      ],
    });
    return {
      host: sshd.host,
      port: sshd.port,
      user: userInfo().username,
      hostKey: upstreamHostKey.publicKey.toString('base64'),
      certificate: certificate.blob.toString('base64'),
    };
  }

  async *upstream(request: UpstreamRequest, signal: AbortSignal): AsyncIterable<UpstreamLine> {
    this.upstreams.push(request);
    for await (const line of this.starting(signal)) {
      yield line;
      if (line.type === 'failed') return;
    }
    signal.throwIfAborted();
    yield { type: 'ready', upstream: this.upstreamFor(request.upstream_key, request.attempt) };
  }
}

function refused(reason: 'wrong_key' | 'unknown_name' | 'wrong_password'): AttemptAnswer {
  return { outcome: 'refuse', reason, sentence: null };
}

export interface Run {
  status: number | null;
  stdout: string;
  stderr: string;
  ms: number;
}

export type WayOfTest = 'own-port' | 'shared-port' | 'jump';
export const waysOfTest: readonly WayOfTest[] = ['own-port', 'shared-port', 'jump'];

export interface SshOptions {
  way: WayOfTest;
  /** Instead of the right one. */
  user?: string;
  /** What a person types; without it no prompt is answered. */
  password?: string;
  /** Key files, in the order in which they are offered. */
  identities?: readonly string[];
  /** Options of ssh(1), such as `-tt`. */
  flags?: readonly string[];
  /** Lines of ssh_config(5) for the environment. */
  config?: readonly string[];
  command?: string;
}

interface KeyOnDisk {
  key: SigningKey;
  file: string;
  fingerprint: string;
}

export class Stage implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'berth-gateway-test-'));
  readonly server: ServerDouble;
  readonly records: GatewayRecordLine[] = [];
  readonly sockets = new LocalSockets();
  readonly log: string[] = [];
  readonly environmentHostKey = generateHostKey();
  readonly gatewayHostKey = generateHostKey();
  readonly upstreamHostKey = generateHostKey();
  sshd!: Sshd;
  authority!: SigningKey;
  personKey!: KeyOnDisk;
  accountKey!: KeyOnDisk;
  strangerKey!: KeyOnDisk;
  worker!: GatewayWorker;
  ownPort = 0;
  sharedPort = 0;
  settings: GatewaySettings = usualSettings;
  #number = 0;
  #runs = 0;
  readonly #children = new Set<ChildProcess>();

  private constructor() {
    this.server = new ServerDouble(this);
  }

  static async start(settings: Partial<GatewaySettings> = {}): Promise<Stage> {
    const stage = new Stage();
    stage.authority = await generateSigningKey('ssh-ed25519');
    stage.personKey = await stage.#newKey('person');
    stage.accountKey = await stage.#newKey('account');
    stage.strangerKey = await stage.#newKey('stranger');
    const authorityFile = stage.write(
      'authority.pub',
      `ssh-ed25519 ${stage.authority.publicKey.blob.toString('base64')}\n`,
    );
    stage.sshd = await startSshd(stage.upstreamHostKey.privateKeyOpenSsh, [
      `TrustedUserCAKeys ${authorityFile}`,
      'AuthorizedKeysFile none',
      'PermitRootLogin yes',
      'AcceptEnv BERTH_CLIENT LANG LC_* COLOR',
      'X11Forwarding yes',
      'MaxSessions 256',
      'Subsystem sftp internal-sftp',
    ]);
    stage.ownPort = await freePort();
    stage.sharedPort = await freePort();
    stage.settings = { ...usualSettings, sharedPort: stage.sharedPort, ...settings };
    stage.#makeWorker();
    // Somebody else may have had one for a moment: the worker tries again.
    const ports = [stage.ownPort, stage.settings.sharedPort].filter((port) => port !== 0);
    await until('the ports are open', () => ports.every((port) => stage.sockets.isOpen(port)));
    return stage;
  }

  #makeWorker(): void {
    this.worker = startWorker({
      gateway: 'f'.repeat(16),
      sockets: this.sockets,
      server: this.server,
      recorder: { record: (line) => void this.records.push(line), flush: async () => {} },
      log: (line) => void this.log.push(line),
    });
    this.tell({ type: 'begin', server: 'test' });
    this.tell({ type: 'settings', settings: this.settings });
    this.tell({ type: 'host-keys', keys: [this.gatewayHostKey.privateKeyOpenSsh] });
    for (const id of [1, 2]) this.setCustomer(id, []);
    this.tell({
      type: 'account',
      name: account,
      route: { name: account, customer: 1, keys: [this.accountKey.fingerprint] },
    });
    this.setEnvironment({});
    this.setEnvironment({ id: other, customer: 2, port: null });
    this.tell({ type: 'complete' });
  }

  setEnvironment(changes: Partial<EnvironmentRoute>): void {
    const route: EnvironmentRoute = {
      id: demo,
      customer: 1,
      port: this.ownPort,
      username: 'developer',
      hostKey: this.environmentHostKey.privateKeyOpenSsh,
      passwordLogin: true,
      allowlist: [],
      ...changes,
    };
    this.tell({ type: 'environment', id: route.id, route });
  }

  setCustomer(id: number, allowlist: string[]): void {
    this.tell({
      type: 'customer',
      id,
      route: { id, allowlist, keys: [this.personKey.fingerprint], authorities: [] },
    });
  }

  setSettings(changes: Partial<GatewaySettings>): void {
    this.settings = { ...this.settings, ...changes };
    this.tell({ type: 'settings', settings: this.settings });
  }

  tell(line: Unnumbered<StateLine>): void {
    this.#number += 1;
    this.worker.apply({ ...line, number: this.#number } as StateLine);
  }

  write(name: string, content: string): string {
    const file = join(this.folder, name);
    writeFileSync(file, content, { mode: 0o600 });
    return file;
  }

  async #newKey(name: string): Promise<KeyOnDisk> {
    const key = await generateSigningKey('ssh-ed25519');
    const file = this.write(name, formatPrivateKey(key.keyObject));
    return { key, file, fingerprint: fingerprint(key.publicKey.blob) };
  }

  /** A stock ssh, whose host keys must be the right ones. */
  ssh(options: SshOptions): Promise<Run> {
    return this.finished(this.start(options));
  }

  start({
    way,
    user,
    password: typed,
    identities = [],
    flags = [],
    config = [],
    command,
  }: SshOptions): ChildProcess {
    this.#runs += 1;
    const environmentKey = this.environmentHostKey.publicLine;
    const knownHosts = [
      knownHostsLine('127.0.0.1', this.ownPort, environmentKey),
      knownHostsLine('127.0.0.1', this.sharedPort, this.gatewayHostKey.publicLine),
      knownHostsLine(demo, 22, environmentKey),
      knownHostsLine(other, 22, environmentKey),
    ];
    const hosts = {
      'own-port': ['HostName 127.0.0.1', `Port ${this.ownPort}`, `User ${user ?? 'developer'}`],
      'shared-port': ['HostName 127.0.0.1', `Port ${this.sharedPort}`, `User ${user ?? demo}`],
      jump: [`HostName ${demo}`, 'ProxyJump door', `User ${user ?? 'developer'}`],
    };
    const common = [
      `UserKnownHostsFile ${this.write(`known_hosts-${this.#runs}`, `${knownHosts.join('\n')}\n`)}`,
      'GlobalKnownHostsFile none',
      'StrictHostKeyChecking yes',
      'UpdateHostKeys no',
      'IdentityAgent none',
      'IdentitiesOnly yes',
      'NumberOfPasswordPrompts 1',
      'ConnectTimeout 20',
    ];
    const lines = [
      'Host door',
      'HostName 127.0.0.1',
      `Port ${this.sharedPort}`,
      `User ${account}`,
      `IdentityFile ${this.accountKey.file}`,
      ...common,
      'Host environment',
      ...hosts[way],
      ...config,
      ...(identities.length === 0 ? ['IdentityFile none'] : identities.map((file) => `IdentityFile ${file}`)),
      ...common,
    ];
    const file = this.write(`config-${this.#runs}`, `${lines.join('\n')}\n`);
    const askpass = this.write('askpass', '#!/bin/sh\nprintf "%s\\n" "$TYPED"\n');
    chmodSync(askpass, 0o700);
    const environment = {
      ...process.env,
      SSH_ASKPASS: askpass,
      SSH_ASKPASS_REQUIRE: 'force',
      TYPED: typed ?? '',
    };
    const batch = typed === undefined ? ['-o', 'BatchMode=yes'] : [];
    const parameters = [
      '-F',
      file,
      ...batch,
      ...flags,
      'environment',
      ...(command === undefined ? [] : [command]),
    ];
    const child = spawn('ssh', parameters, {
      env: environment,
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: longestRunMs,
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    child.stdin.on('error', () => {});
    return child;
  }

  async finished(child: ChildProcess): Promise<Run> {
    const began = performance.now();
    const closed = once(child, 'close') as Promise<[number | null]>;
    child.stdin?.end();
    const { stdout, stderr } = child;
    const texts = await Promise.all([
      stdout === null ? '' : text(stdout),
      stderr === null ? '' : text(stderr),
    ]);
    const [status] = await closed;
    return { status, stdout: texts[0], stderr: texts[1], ms: performance.now() - began };
  }

  attempts(): AttemptRecord[] {
    return this.records.filter((record) => record.type === 'attempt');
  }

  connections(): ConnectionRecord[] {
    return this.records.filter((record) => record.type === 'connection');
  }

  get upstreamUser(): string {
    return userInfo().username;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await this.worker.close();
    await this.sshd.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
