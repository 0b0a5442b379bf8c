/**
 * A runtime in this process's memory, for tests of the rules: what is asked of a runtime, in which order, and what
 * follows when it fails. It runs no containers; that Docker does what is asked is tested with Docker, end to end.
 *
 * A running workload listens on a port of its own and proves its host key in a real SSH handshake, from the files that
 * Berth wrote for it. Calls can be made to fail, to wait, or to answer as an engine that is away.
 */
import { EventEmitter, on, once } from 'node:events';
import type { ImageFinding } from '@berth/contract';
import { parsePrivateKey } from '@berth/ssh';
import { startPeer } from '../../../ssh/src/testing/peer.ts';
import type { Peer } from '../../../ssh/src/testing/peer.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import type {
  DatasetMount,
  DirectPort,
  DirectTraffic,
  ObservedWorkload,
  OwnedThing,
  Runtime,
  RuntimeReport,
  SecretFiles,
  WorkloadSpec,
} from '../runtime/runtime.ts';

type Call =
  | 'prepare'
  | 'ensureImage'
  | 'checkImage'
  | 'findDataset'
  | 'ensureStorage'
  | 'writeSecrets'
  | 'run'
  | 'moveAddress'
  | 'stop'
  | 'removeWorkload'
  | 'removeStorage'
  | 'guardPorts'
  | 'directTraffic'
  | 'observe';

interface Workload {
  spec: WorkloadSpec;
  peer: Peer | null;
  exitCode: number | null;
  runId: string | null;
  restarts: number;
}

interface Gate {
  /** Resolves when the call has been made. */
  entered: Promise<void>;
  open(): void;
}

type Handlers = Parameters<Runtime['watch']>[0];

export class MemoryRuntime implements Runtime {
  readonly name = 'memory';
  readonly workloads = new Map<string, Workload>();
  readonly storage = new Set<string>();
  readonly secrets = new Map<string, SecretFiles>();
  /** Ports that another program holds. */
  readonly heldPorts = new Set<number>();
  /** Each call that was made, such as `run demo-7f3k`. */
  readonly calls: string[] = [];
  /** Two calls for one environment at the same time, other than looking: two servers at work on it. */
  readonly overlaps: string[] = [];
  /** What a look into an image finds, by reference; in others nothing is missing. */
  readonly findings = new Map<string, ImageFinding[]>();
  /** Folders and volumes of data sets that are not there; those that are links, and to where. */
  readonly missingSources = new Set<string>();
  readonly links = new Map<string, string>();
  /** As it was asked for last. */
  guardedPorts: DirectPort[] = [];
  /** What connections moved, as the test says. */
  traffic: DirectTraffic[] = [];
  storageEnforced = true;
  /** The size that storage has, where that is not the one asked for. */
  otherSize: number | null = null;
  /** sshd of a workload that runs answers nobody. */
  silent = false;
  /** Environments at whose address somebody else answers, until they are given another. */
  readonly misled = new Set<string>();
  readonly #faults = new Map<Call, { error: () => Error; left: number }>();
  readonly #gates = new Map<Call, { enter(): void; opened: Promise<void> }>();
  readonly #busy = new Map<string, Call>();
  readonly #printed = new EventEmitter();
  readonly #followers = new Map<string, number>();
  readonly #watchers = new Set<Handlers>();
  #away = false;
  #runs = 0;

  /** Makes the call throw, as often as said. */
  failOn(call: Call, error: () => Error, times = Infinity): void {
    this.#faults.set(call, { error, left: times });
  }

  heal(): void {
    this.#faults.clear();
  }

  /** Makes the next call of the kind wait until the gate is opened. */
  holdOn(call: Call): Gate {
    const entered = Promise.withResolvers<void>();
    const opened = Promise.withResolvers<void>();
    this.#gates.set(call, { enter: entered.resolve, opened: opened.promise });
    return { entered: entered.promise, open: opened.resolve };
  }

  /** The engine stops answering. */
  leave(): void {
    this.#away = true;
    for (const { onLost } of this.#watchers) onLost();
  }

  comeBack(): void {
    this.#away = false;
    for (const { onReconnect } of this.#watchers) onReconnect();
  }

  /** The workload ends outside of Berth; `removed`: it is gone altogether. */
  async vanish(id: string, removed: boolean): Promise<void> {
    const workload = this.workloads.get(id);
    await workload?.peer?.stop();
    if (workload) Object.assign(workload, { peer: null, exitCode: 137 });
    if (removed) this.workloads.delete(id);
    for (const { onChange } of this.#watchers) onChange(id, 'down');
  }

  async close(): Promise<void> {
    for (const { peer } of this.workloads.values()) await peer?.stop();
    this.workloads.clear();
  }

  prepare(): Promise<RuntimeReport> {
    return this.#call('prepare', null, () => ({
      notes: [],
      storageEnforced: this.storageEnforced,
      cpuCores: 64,
    }));
  }

  ensureImage(_reference: string, onProgress: (message: string) => void, signal: AbortSignal): Promise<void> {
    return this.#call('ensureImage', null, () => onProgress('It is there.'), signal);
  }

  findDataset({ name, source }: Pick<DatasetMount, 'name' | 'source'>): Promise<string> {
    return this.#call('findDataset', null, () => {
      if (!this.missingSources.has(source)) return this.links.get(source) ?? source;
      throw new RuntimeError('dataset_missing', `The data set ${name} is not at ${source}.`, 'Make it.');
    });
  }

  checkImage(reference: string, signal: AbortSignal): Promise<ImageFinding[]> {
    return this.#call('checkImage', null, () => this.findings.get(reference) ?? [], signal);
  }

  ensureStorage({ storageId }: WorkloadSpec): Promise<number | null> {
    return this.#call('ensureStorage', null, () => {
      this.storage.add(storageId);
      return this.otherSize;
    });
  }

  writeSecrets(id: string, files: SecretFiles): Promise<void> {
    return this.#call('writeSecrets', null, () => void this.secrets.set(id, files));
  }

  run(spec: WorkloadSpec): Promise<ObservedWorkload> {
    return this.#call('run', spec.id, async () => {
      if (spec.exposure === 'direct' && spec.publicPort !== null && this.heldPorts.has(spec.publicPort)) {
        throw new RuntimeError('port_taken', `Port ${spec.publicPort} is in use.`, 'Free it.');
      }
      const found = this.workloads.get(spec.id);
      if (found?.peer) return this.#show(found);
      const peer = await startPeer(async (connection) => {
        if (this.silent) return;
        const key = parsePrivateKey(this.secrets.get(spec.id)?.ssh_host_ed25519_key ?? '');
        await connection.identify();
        await connection.exchangeKexInit();
        await connection.reply({ key });
        connection.newKeys();
      });
      const workload = { spec, peer, exitCode: null, runId: `run-${(this.#runs += 1)}`, restarts: 0 };
      this.workloads.set(spec.id, workload);
      return this.#show(workload);
    });
  }

  moveAddress(id: string): Promise<ObservedWorkload | null> {
    return this.#call('moveAddress', id, () => {
      this.misled.delete(id);
      const workload = this.workloads.get(id);
      return workload ? this.#show(workload) : null;
    });
  }

  stop(id: string): Promise<void> {
    return this.#call('stop', id, async () => {
      const workload = this.workloads.get(id);
      await workload?.peer?.stop();
      if (workload) Object.assign(workload, { peer: null, exitCode: 0 });
    });
  }

  removeWorkload(id: string): Promise<void> {
    return this.#call('removeWorkload', id, async () => {
      await this.workloads.get(id)?.peer?.stop();
      this.workloads.delete(id);
      this.secrets.delete(id);
    });
  }

  removeStorage(id: string): Promise<void> {
    return this.#call('removeStorage', id, () => void this.storage.delete(id));
  }

  observe(id: string): Promise<ObservedWorkload | null> {
    return this.#call('observe', null, () => {
      const workload = this.workloads.get(id);
      return workload ? this.#show(workload) : null;
    });
  }

  list(): Promise<OwnedThing[]> {
    if (this.#away) return Promise.reject(this.#unavailable());
    return Promise.resolve([
      ...[...this.workloads].map(([id, { peer }]): OwnedThing => ({
        kind: 'workload',
        name: id,
        id,
        running: peer !== null,
      })),
      ...[...this.storage].map((id): OwnedThing => ({
        kind: 'storage',
        name: `${id}-home`,
        id,
        running: false,
      })),
    ]);
  }

  async *logs(id: string, options: { follow: boolean; signal: AbortSignal }): AsyncIterable<string> {
    await Promise.resolve();
    if (this.#away) throw this.#unavailable();
    if (!options.follow) {
      yield `the log of ${id}`;
      return;
    }
    this.#followers.set(id, (this.#followers.get(id) ?? 0) + 1);
    try {
      const lines = on(this.#printed, id, { signal: options.signal, close: [`end of ${id}`] });
      for await (const [line] of lines as AsyncIterable<[string]>) yield line;
    } finally {
      this.#followers.set(id, (this.#followers.get(id) ?? 1) - 1);
    }
  }

  /** How many follow the workload's log just now. */
  followers(id: string): number {
    return this.#followers.get(id) ?? 0;
  }

  /** The workload prints a line, to those that follow its log. */
  print(id: string, line: string): void {
    this.#printed.emit(id, line);
  }

  /** Ends the streams of those that follow, as an engine that starts anew does. */
  cutLogs(id: string): void {
    this.#printed.emit(`end of ${id}`);
  }

  async watch(handlers: Handlers, signal: AbortSignal): Promise<void> {
    this.#watchers.add(handlers);
    if (this.#away) handlers.onLost();
    else handlers.onReconnect();
    if (!signal.aborted) await once(signal, 'abort');
    this.#watchers.delete(handlers);
  }

  guardPorts(ports: DirectPort[]): Promise<void> {
    return this.#call('guardPorts', null, () => {
      this.guardedPorts = ports;
    });
  }

  directTraffic(): Promise<DirectTraffic[]> {
    return this.#call('directTraffic', null, () => this.traffic);
  }

  portIsHeld(port: number): Promise<boolean> {
    return Promise.resolve(this.heldPorts.has(port));
  }

  async #call<T>(call: Call, id: string | null, act: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
    this.calls.push(id === null ? call : `${call} ${id}`);
    if (id !== null) {
      const other = this.#busy.get(id);
      if (other) this.overlaps.push(`${other} and ${call} on ${id}`);
      this.#busy.set(id, call);
    }
    try {
      const gate = this.#gates.get(call);
      if (gate) {
        this.#gates.delete(call);
        gate.enter();
        const aborted = signal ? once(signal, 'abort') : new Promise<never>(() => undefined);
        await Promise.race([gate.opened, aborted]);
        signal?.throwIfAborted();
      }
      if (this.#away) throw this.#unavailable();
      const fault = this.#faults.get(call);
      if (fault && fault.left > 0) {
        fault.left -= 1;
        throw fault.error();
      }
      return await act();
    } finally {
      if (id !== null) this.#busy.delete(id);
    }
  }

  #show({ spec, peer, exitCode, runId, restarts }: Workload): ObservedWorkload {
    return {
      state: peer ? 'running' : 'stopped',
      // Port 9 is discard's, and nobody listens there.
      address: peer ? { host: peer.host, port: this.misled.has(spec.id) ? 9 : peer.port } : null,
      exitCode,
      outOfMemory: false,
      runId,
      resources: { cpu: spec.resources.cpu, memory: spec.resources.memory, gpu: spec.resources.gpu },
      exposure: spec.exposure,
      restarts,
    };
  }

  #unavailable(): RuntimeError {
    return new RuntimeError('unavailable', 'The engine does not answer.', 'Start the engine.');
  }
}
