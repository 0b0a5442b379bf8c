/**
 * What runs environments, seen by the reconciler.
 *
 * The interface was written from Kubernetes' side, and Docker fills it. Every call is idempotent and says what
 * shall be, not what to do; each can be repeated after a crash at any point of it. Nothing here knows of the
 * database. What each call stands for:
 *
 * | call              | Kubernetes                                             | Docker                              |
 * |-------------------|--------------------------------------------------------|-------------------------------------|
 * | `prepare`         | namespace, default NetworkPolicy                       | network, its guard                  |
 * | `ensureImage`     | nothing: the kubelet pulls                             | pull where it is missing            |
 * | `ensureStorage`   | PersistentVolumeClaims                                 | named volumes                       |
 * | `writeSecrets`    | Secret, then an annotation on the pod                  | folder of files, bind-mounted       |
 * | `run`             | StatefulSet with one replica, NodePort Service         | container, with a published port    |
 * | `moveAddress`     | pod deleted: the next one has another address          | connected anew to the network       |
 * | `stop`            | replicas: 0                                            | stopped container                   |
 * | `removeWorkload`  | StatefulSet, Service and Secret deleted                | container and secrets folder removed |
 * | `removeStorage`   | PersistentVolumeClaims deleted                         | named volumes removed               |
 * | `observe`, `list` | StatefulSet and pod status from the watch's cache      | inspect                             |
 * | `watch`           | watches on pods and StatefulSets                       | the engine's events                 |
 * | `logs`            | the pod's log                                          | the container's log                 |
 * | `findDataset`     | hostPath or PersistentVolumeClaim                      | folder of the host, or named volume |
 * | `guardPorts`      | `loadBalancerSourceRanges`, as far as they go           | nftables, in the guard's hands      |
 * | `directTraffic`   | not to be had                                          | nftables' counters                  |
 * | `checkImage`      | a Job without a network                                | a throwaway container without one   |
 *
 * Everything that is made carries the installation's id, and what does not is never touched.
 */
import type { DatasetKind, Exposure, ImageFinding, Resources } from '@berth/contract';

/** The folders of an environment that outlive its container, and where its user finds each. */
export const lastingFolders = {
  code: () => '/gemini/code',
  output: () => '/gemini/output',
  home: (username: string) => `/home/${username}`,
} as const;

export type LastingFolder = keyof typeof lastingFolders;

/** What may differ from run to run. */
export type RunResources = Pick<Resources, 'cpu' | 'memory' | 'gpu'>;

/** Files that many environments mount. */
export interface DatasetMount {
  name: string;
  kind: DatasetKind;
  /** Absolute path of a folder of the host, or name of a volume. */
  source: string;
  readOnly: boolean;
}

/** Where an environment finds a data set. */
export function datasetPath(name: string): string {
  return `/gemini/data-${name}`;
}

export interface WorkloadSpec {
  /** Environment id: names the pod or container, and its host name. */
  id: string;
  /** Names its volumes: its own id, or that of the environment whose files it adopted. */
  storageId: string;
  imageReference: string;
  username: string;
  sudo: boolean;
  resources: Resources;
  /** When it was asked for, as long as it has never run; null: it has, so there are files of its user. */
  newSince: Date | null;
  /** `gateway`: the gateway dials its address, and nothing of it is published. */
  exposure: Exposure;
  /** With exposure `direct` the public port that leads straight to sshd; null: none. */
  publicPort: number | null;
  datasets: DatasetMount[];
}

/** Only root can check a password, and only sudo needs root: with neither, nothing in the container is root's. */
export function runsWithoutRoot({ exposure, sudo }: Pick<WorkloadSpec, 'exposure' | 'sudo'>): boolean {
  return exposure === 'gateway' && !sudo;
}

/** Contents of the files at `/etc/berth` in the environment; see the image's README. */
export interface SecretFiles {
  password_hash: string;
  authorized_keys: string;
  ssh_host_ed25519_key: string;
  'trusted_user_ca.pub': string;
  principals: string;
  /** `NAME=value` of each environment variable, each with a zero character after it; read once, at the start. */
  variables: string;
}

export interface ObservedWorkload {
  /** `waiting`: asked for, not running yet, such as a pod that is being scheduled or a container between restarts. */
  state: 'waiting' | 'running' | 'stopped';
  /** Where sshd is reached from this server; null while it has no address. */
  address: { host: string; port: number } | null;
  exitCode: number | null;
  outOfMemory: boolean;
  /** Differs from run to run; null when it never ran. */
  runId: string | null;
  /** What it was made with; null: not known. */
  resources: RunResources | null;
  /** What it was made with; what an older Berth made is `direct`. */
  exposure: Exposure;
  /** How often the runtime itself started it again since Berth did. */
  restarts: number;
}

/** A thing in the runtime that carries this installation's id. */
export interface OwnedThing {
  kind: 'workload' | 'storage' | 'secrets';
  name: string;
  /** The environment that it was made for; of storage, the `storageId`. */
  id: string;
  running: boolean;
}

/** Who reaches a port that leads straight to a container's sshd. */
export interface DirectPort {
  port: number;
  /** CIDR blocks; none: everybody. What is not in them is cut off, also where it is connected. */
  allowed: string[];
  /** Addresses from which nobody comes in anew, for that long. */
  locked: { source: string; until: Date }[];
}

/** What one connection to a container's sshd has moved, in bytes of IP packets. */
export interface DirectTraffic {
  id: string;
  /** As the container sees it. */
  source: string;
  sourcePort: number;
  bytesIn: number;
  bytesOut: number;
}

export interface RuntimeReport {
  /** What cannot be had here, each a sentence for people. */
  notes: string[];
  /** Whether a size of storage is held to. */
  storageEnforced: boolean;
  /** What one environment can get at most. */
  cpuCores: number;
}

export interface Runtime {
  readonly name: string;
  /** Makes what all environments share. @throws RuntimeError */
  prepare(): Promise<RuntimeReport>;
  ensureImage(reference: string, onProgress: (message: string) => void, signal: AbortSignal): Promise<void>;
  /** Looks into the image for what an environment needs, after pulling it where it is missing. @throws RuntimeError */
  checkImage(reference: string, signal: AbortSignal): Promise<ImageFinding[]>;
  /**
   * Looks for a data set where it says to be.
   *
   * @returns its source, without symbolic links where the runtime can tell
   * @throws RuntimeError `dataset_missing`
   */
  findDataset(dataset: Pick<DatasetMount, 'name' | 'kind' | 'source'>): Promise<string>;
  /** @returns the size in GiB that is held to, where that is not the one asked for; else null */
  ensureStorage(spec: WorkloadSpec): Promise<number | null>;
  /** A running environment takes changed files over within a second, without a restart. */
  writeSecrets(id: string, files: SecretFiles): Promise<void>;
  /**
   * Makes the workload run as the spec says. A stopped one whose spec is unchanged keeps its own file system
   * where the runtime can; a running one is left as it is, since a change holds from the next start.
   */
  run(spec: WorkloadSpec): Promise<ObservedWorkload>;
  /** Gives a workload that runs another address in place of one that does not lead to it. */
  moveAddress(id: string): Promise<ObservedWorkload | null>;
  stop(id: string, graceSeconds: number): Promise<void>;
  removeWorkload(id: string, graceSeconds: number): Promise<void>;
  removeStorage(storageId: string, createdAt: Date): Promise<void>;
  observe(id: string): Promise<ObservedWorkload | null>;
  /** Everything of this installation, with or without a row. */
  list(): Promise<OwnedThing[]>;
  /** Last lines first to last, then, with `follow`, each as it comes until the signal. */
  logs(id: string, options: { tail: number; follow: boolean; signal: AbortSignal }): AsyncIterable<string>;
  /**
   * Calls `onChange` for each environment whose workload changed by whatever cause, `onLost` when the runtime does
   * not answer, and `onReconnect` when it does (again) and changes may have been missed. Returns when the signal
   * is aborted.
   */
  watch(
    handlers: { onChange(id: string, change: 'up' | 'down'): void; onReconnect(): void; onLost(): void },
    signal: AbortSignal,
  ): Promise<void>;
  /** Holds published ports to these rules, in place of those before; a port without any is open. @throws RuntimeError */
  guardPorts(ports: DirectPort[]): Promise<void>;
  /** Of connections to containers' sshd that moved something within the last day. @throws RuntimeError */
  directTraffic(): Promise<DirectTraffic[]>;
  /** Whether somebody else holds the port, as far as can be told before `run`. */
  portIsHeld(port: number): Promise<boolean>;
}

export type RuntimeErrorCode =
  | 'unavailable'
  | 'image_missing'
  | 'dataset_missing'
  | 'port_taken'
  | 'gpu_unavailable'
  | 'not_ours'
  | 'no_space'
  | 'refused'
  | 'other';

/** Whether the same call may succeed later without anybody doing anything about it. */
const passing: Record<RuntimeErrorCode, boolean> = {
  unavailable: true,
  other: true,
  image_missing: false,
  dataset_missing: false,
  port_taken: false,
  gpu_unavailable: false,
  not_ours: false,
  no_space: false,
  refused: false,
};

/** `message` is the cause and `cure` what to do, both sentences for people. */
export class RuntimeError extends Error {
  readonly code: RuntimeErrorCode;
  readonly cure: string;

  constructor(code: RuntimeErrorCode, message: string, cure: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RuntimeError';
    this.code = code;
    this.cure = cure;
  }

  get passing(): boolean {
    return passing[this.code];
  }
}

/** Like Promise.all, but nothing goes on behind the caller's back when it throws: what is cleaned up then stays so. */
export async function allDone(work: Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}
