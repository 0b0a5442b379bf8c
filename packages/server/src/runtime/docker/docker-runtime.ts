/**
 * The runtime for one machine: an environment is a container with three named volumes, a folder of secrets mounted
 * read-only, and, with exposure `direct`, a published port that leads to its sshd.
 *
 * A container is named after its environment and keeps its own file system from stop to start; it is made anew when
 * its specification changed. Labels carry the installation's id: what lacks it is never touched.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { sshdCapabilities, sudoCapabilities } from '@berth/image/capabilities';
import type { Exposure, ImageFinding } from '@berth/contract';
import type Docker from 'dockerode';
import { RuntimeError, allDone, lastingFolders, runsWithoutRoot } from '../runtime.ts';
import type {
  DatasetMount,
  DirectPort,
  DirectTraffic,
  LastingFolder,
  ObservedWorkload,
  OwnedThing,
  RunResources,
  Runtime,
  RuntimeReport,
  SecretFiles,
  WorkloadSpec,
} from '../runtime.ts';
import { datasetMount, findDataset } from './dataset.ts';
import { engineMessage, hasStatus, runtimeError } from './errors.ts';
import { handOver, userId } from './hand-over.ts';
import type { KnownAccounts } from './hand-over.ts';
import { tryImage } from './image-trial.ts';
import { containerLog } from './log.ts';
import { ensureGuard, ensureNetwork, randomAddress } from './network.ts';
import type { Network } from './network.ts';
import { countTraffic, directTraffic, guardPorts } from './port-guard.ts';
import { watchEvents } from './watch.ts';

const installationLabel = 'berth.installation';
const environmentLabel = 'berth.environment';
const specLabel = 'berth.spec';
const resourcesLabel = 'berth.resources';
const exposureLabel = 'berth.exposure';

const secretsTarget = '/etc/berth';

const sshdPort = 22;
/** Where it runs as the user: not every runtime opens low ports to everybody, as Docker does. */
const rootlessSshdPort = 2222;
const rootlessUser = `${userId}:${userId}`;
const gibibyte = 1024 ** 3;

export interface DockerRuntimeOptions {
  docker: Docker;
  installationId: string;
  /**
   * Folder of the secrets that are mounted; one folder an environment in it. It, or one above it, must be closed to all
   * but this user.
   */
  secretsFolder: string;
  /** Address on which own ports are published. */
  portAddress: string;
  /** The environment image, from which the guard runs as well; null: not known. */
  guardImage: string | null;
}

export class DockerRuntime implements Runtime {
  readonly name = 'docker';
  readonly #docker: Docker;
  readonly #options: DockerRuntimeOptions;
  readonly #accounts: KnownAccounts = new Map();
  #preparing: Promise<RuntimeReport> | null = null;
  #counting: Promise<void> | null = null;
  #shared: { network: Network; storageEnforced: boolean; cpuCores: number } | null = null;

  constructor(options: DockerRuntimeOptions) {
    this.#docker = options.docker;
    this.#options = options;
  }

  /** One at a time: Docker makes two networks of one name when it is asked twice at once. */
  prepare(): Promise<RuntimeReport> {
    this.#preparing ??= this.#prepareShared().finally(() => (this.#preparing = null));
    return this.#preparing;
  }

  async #prepareShared(): Promise<RuntimeReport> {
    try {
      const { guardImage, installationId } = this.#options;
      if (guardImage === null) {
        throw new RuntimeError(
          'image_missing',
          'No environment image is set.',
          'Start Berth with "npx berth up", which builds it, or set environmentImage.',
        );
      }
      await ensureGuard(this.#docker, installationId, guardImage);
      const network = await ensureNetwork(this.#docker, installationId);
      const storageEnforced = this.#shared?.storageEnforced ?? (await this.#storageHasSizes());
      const cpuCores = this.#shared?.cpuCores ?? ((await this.#docker.info()) as { NCPU: number }).NCPU;
      this.#shared = { network, storageEnforced, cpuCores };
      return {
        storageEnforced,
        cpuCores,
        notes: storageEnforced
          ? []
          : [
              "The size of storage is not held to: this host's disk gives Docker's volumes no quota (XFS with pquota would).",
            ],
      };
    } catch (error) {
      throw runtimeError(error, 'preparing the network');
    }
  }

  /** The local driver takes `size` only where the file system has project quotas. */
  async #storageHasSizes(): Promise<boolean> {
    const name = `berth-${this.#options.installationId.slice(0, 8)}-quota-trial`;
    try {
      await this.#docker.createVolume({ Name: name, DriverOpts: { size: '16m' }, Labels: this.#labels('') });
    } catch (error) {
      if (hasStatus(error, 400, 500)) return false;
      throw error;
    }
    await this.#docker.getVolume(name).remove();
    return true;
  }

  async ensureImage(
    reference: string,
    onProgress: (message: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await this.#docker.getImage(reference).inspect();
      return;
    } catch (error) {
      if (!hasStatus(error, 404)) throw runtimeError(error, `looking for the image ${reference}`);
    }
    onProgress(`pulling the image ${reference}`);
    try {
      const stream = await this.#docker.pull(reference, { abortSignal: signal });
      await new Promise<void>((resolve, reject) => {
        this.#docker.modem.followProgress(stream, (error) => (error ? reject(error) : resolve()));
      });
    } catch (error) {
      const failure = runtimeError(error, `pulling the image ${reference}`);
      if (failure.code === 'unavailable' || failure.code === 'no_space') throw failure;
      throw new RuntimeError(
        'image_missing',
        `The image ${reference} is not on this host and cannot be pulled (${engineMessage(error)}).`,
        'Check its reference, or bring it with "docker pull" or "docker load".',
        { cause: error },
      );
    }
  }

  async checkImage(reference: string, signal: AbortSignal): Promise<ImageFinding[]> {
    await this.ensureImage(reference, () => undefined, signal);
    try {
      return await tryImage(this.#docker, reference, this.#labels(''), signal);
    } catch (error) {
      throw runtimeError(error, `looking into the image ${reference}`);
    }
  }

  async findDataset(dataset: Pick<DatasetMount, 'name' | 'kind' | 'source'>): Promise<string> {
    try {
      return await findDataset(this.#docker, dataset, environmentLabel);
    } catch (error) {
      throw runtimeError(error, `looking for the data set ${dataset.name}`);
    }
  }

  async ensureStorage({ storageId, resources, newSince }: WorkloadSpec): Promise<number | null> {
    const { storageEnforced } = await this.#prepared();
    const size = sizeOption(resources.storage);
    let otherSize: number | null = null;
    try {
      await allDone(
        folders.map(async (folder) => {
          const name = volumeName(storageId, folder);
          const volume = this.#docker.getVolume(name);
          // Answers for a volume that is there already as well, whoever made it; hence the look at it.
          const make = async () => {
            await this.#docker.createVolume({
              Name: name,
              Labels: this.#labels(storageId),
              ...(storageEnforced ? { DriverOpts: { size } } : {}),
            });
            return volume.inspect();
          };
          let made = await make();
          if (newSince !== null && isHalfMade(made, newSince)) {
            await volume.remove();
            made = await make();
          }
          this.#mustBeOurs(made.Labels, storageId, `The Docker volume ${name}`);
          // The engine cannot change the size of a volume that is there.
          const has = made.Options?.['size'];
          if (has !== undefined && has !== size) otherSize = Number.parseInt(has) / 1024;
        }),
      );
    } catch (error) {
      throw runtimeError(error, 'making its storage');
    }
    return otherSize;
  }

  async writeSecrets(id: string, files: SecretFiles): Promise<void> {
    const folder = await this.#secretsOf(id);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const mode = secretsMode(((await stat(folder)).mode & 0o005) !== 0);
    for (const [name, content] of Object.entries(files)) {
      const file = join(folder, name);
      const before = await readFile(file, 'utf8').catch(() => null);
      if (before === content) continue;
      await writeFile(`${file}.new`, content, { mode: 0o600 });
      await chmod(`${file}.new`, mode.file);
      await rename(`${file}.new`, file);
    }
  }

  async run(spec: WorkloadSpec): Promise<ObservedWorkload> {
    const { network, cpuCores } = await this.#prepared();
    const container = this.#docker.getContainer(spec.id);
    try {
      const found = await this.#inspect(spec.id);
      const secrets = this.#mountedSecrets(found, spec.id) ?? this.#ownSecretsOf(spec.id);
      const options = this.#containerOptions(spec, network, cpuCores, secrets);
      if (found !== null) {
        this.#mustBeOurs(found.Config.Labels, spec.id, `The container ${spec.id}`);
        if (found.State.Paused) await container.unpause();
        if (found.State.Running) return this.#observed(found);
      }
      if (spec.exposure === 'direct' && spec.publicPort !== null) await this.#count();
      for (const dataset of spec.datasets) await this.#mustBeThere(dataset);
      await setSecretsMode(secrets, runsWithoutRoot(spec));
      if (found !== null && isOtherwise(found, options)) await this.#remove(spec.id);
      if (found === null || isOtherwise(found, options)) await this.#create(options, network);
      if (found === null || isOtherwise(found, options) || !ranBefore(found)) await this.#handOver(spec);
      await container.start().catch(async (error: unknown) => {
        if (hasStatus(error, 304)) return;
        if (isAddressTaken(error)) {
          await this.#connectAnew(spec.id, network);
        } else if (isLeftover(error)) {
          await this.#remove(spec.id);
          await this.#create(options, network);
          await this.#handOver(spec);
        } else {
          throw error;
        }
        await container.start();
      });
      const started = await container.inspect();
      return this.#observed(started);
    } catch (error) {
      throw runtimeError(error, 'starting its container');
    }
  }

  /** Once: the counters stay in force. */
  #count(): Promise<void> {
    this.#counting ??= countTraffic(this.#docker, this.#options.installationId).catch((error: unknown) => {
      this.#counting = null;
      throw error;
    });
    return this.#counting;
  }

  async moveAddress(id: string): Promise<ObservedWorkload | null> {
    const { network } = await this.#prepared();
    try {
      const found = await this.#inspect(id);
      if (found === null || !this.#isOurs(found.Config.Labels, id)) return null;
      await this.#connectAnew(id, network);
    } catch (error) {
      throw runtimeError(error, 'giving it another address');
    }
    return this.observe(id);
  }

  async #create(options: Docker.ContainerCreateOptions, network: Network): Promise<void> {
    const endpoint = { IPAMConfig: { IPv4Address: randomAddress(network) } };
    await this.#docker.createContainer({
      ...options,
      NetworkingConfig: { EndpointsConfig: { [network.name]: endpoint } },
    });
  }

  async #handOver(spec: WorkloadSpec): Promise<void> {
    if (!runsWithoutRoot(spec)) return;
    const targets = folders.map((folder) => lastingFolders[folder](spec.username));
    await handOver(this.#docker.getContainer(spec.id), spec.username, targets, this.#accounts);
  }

  /** Killed in between, it runs without an address, which is seen at the next look and mended in the same way. */
  async #connectAnew(id: string, { name, subnet }: Network): Promise<void> {
    const network = this.#docker.getNetwork(name);
    const found = await this.#inspect(id);
    if (found?.NetworkSettings.Networks[name]) await network.disconnect({ Container: id, Force: true });
    const endpoint = { IPAMConfig: { IPv4Address: randomAddress({ subnet }) } };
    await network.connect({ Container: id, EndpointConfig: endpoint });
  }

  async stop(id: string, graceSeconds: number): Promise<void> {
    try {
      const found = await this.#inspect(id);
      if (found === null || !this.#isOurs(found.Config.Labels, id)) return;
      if (found.State.Paused) await this.#docker.getContainer(id).unpause();
      await this.#docker.getContainer(id).stop({ t: graceSeconds }).catch(ignoring(304, 404));
    } catch (error) {
      throw runtimeError(error, 'stopping its container');
    }
  }

  async removeWorkload(id: string, graceSeconds: number): Promise<void> {
    const secrets = new Set([this.#ownSecretsOf(id), await this.#secretsOf(id)]);
    await this.stop(id, graceSeconds);
    try {
      const found = await this.#inspect(id);
      if (found !== null && this.#isOurs(found.Config.Labels, id)) await this.#remove(id);
    } catch (error) {
      throw runtimeError(error, 'removing its container');
    }
    for (const folder of secrets) await rm(folder, { recursive: true, force: true });
  }

  async removeStorage(storageId: string, createdAt: Date): Promise<void> {
    try {
      await allDone(
        folders.map(async (folder) => {
          const volume = this.#docker.getVolume(volumeName(storageId, folder));
          try {
            const found = await volume.inspect();
            if (this.#isOurs(found.Labels, storageId) || isHalfMade(found, createdAt)) await volume.remove();
          } catch (error) {
            if (!hasStatus(error, 404)) throw error;
          }
        }),
      );
    } catch (error) {
      throw runtimeError(error, 'removing its storage');
    }
  }

  async observe(id: string): Promise<ObservedWorkload | null> {
    try {
      const found = await this.#inspect(id);
      return found !== null && this.#isOurs(found.Config.Labels, id) ? this.#observed(found) : null;
    } catch (error) {
      throw runtimeError(error, 'looking at its container');
    }
  }

  async list(): Promise<OwnedThing[]> {
    try {
      const label = [`${installationLabel}=${this.#options.installationId}`, environmentLabel];
      const [containers, volumes, secrets] = await Promise.all([
        this.#docker.listContainers({ all: true, filters: { label } }),
        this.#docker.listVolumes({ filters: { label } }),
        readdir(this.#options.secretsFolder).catch(() => []),
      ]);
      return [
        ...containers.map(({ Names, Labels, State, Id }) => ({
          kind: 'workload' as const,
          name: (Names[0] ?? Id).replace(/^\//, ''),
          id: Labels[environmentLabel] ?? '',
          running: State === 'running',
        })),
        ...(volumes.Volumes ?? []).map(({ Name, Labels }) => ({
          kind: 'storage' as const,
          name: Name,
          id: Labels?.[environmentLabel] ?? '',
          running: false,
        })),
        ...secrets.map((id) => ({ kind: 'secrets' as const, name: id, id, running: false })),
      ];
    } catch (error) {
      throw runtimeError(error, 'listing containers');
    }
  }

  async *logs(
    id: string,
    options: { tail: number; follow: boolean; signal: AbortSignal },
  ): AsyncIterable<string> {
    try {
      const found = await this.#inspect(id);
      if (found === null || !this.#isOurs(found.Config.Labels, id)) return;
      yield* containerLog(this.#docker.getContainer(id), options);
    } catch (error) {
      if (!options.signal.aborted) throw runtimeError(error, 'reading its log');
    }
  }

  watch(
    handlers: { onChange(id: string, change: 'up' | 'down'): void; onReconnect(): void; onLost(): void },
    signal: AbortSignal,
  ): Promise<void> {
    const label = `${installationLabel}=${this.#options.installationId}`;
    return watchEvents(this.#docker, label, environmentLabel, handlers, signal);
  }

  async guardPorts(ports: DirectPort[]): Promise<void> {
    await this.#prepared();
    try {
      await guardPorts(this.#docker, this.#options.installationId, ports);
    } catch (error) {
      throw runtimeError(error, 'changing the firewall of its port');
    }
  }

  async directTraffic(): Promise<DirectTraffic[]> {
    const { network } = await this.#prepared();
    try {
      const { Containers = {} } = (await this.#docker.getNetwork(network.name).inspect()) as {
        Containers?: Record<string, { Name: string; IPv4Address: string }>;
      };
      const addresses = Object.values(Containers).map(
        ({ Name, IPv4Address }) => [IPv4Address.split('/')[0] ?? '', Name] as const,
      );
      return await directTraffic(this.#docker, this.#options.installationId, new Map(addresses));
    } catch (error) {
      throw runtimeError(error, 'counting what its connections moved');
    }
  }

  async portIsHeld(port: number): Promise<boolean> {
    const server = createServer();
    return new Promise((resolve) => {
      server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EADDRINUSE'));
      server.listen({ port, host: this.#options.portAddress, exclusive: true }, () =>
        server.close(() => resolve(false)),
      );
    });
  }

  async #prepared() {
    if (this.#shared === null) await this.prepare();
    if (this.#shared === null) throw new Error('prepare() leaves the network known');
    return this.#shared;
  }

  async #inspect(id: string): Promise<Docker.ContainerInspectInfo | null> {
    try {
      return await this.#docker.getContainer(id).inspect();
    } catch (error) {
      if (hasStatus(error, 404)) return null;
      throw error;
    }
  }

  async #remove(id: string): Promise<void> {
    await this.#docker.getContainer(id).remove({ force: true }).catch(ignoring(404));
  }

  #observed(found: Docker.ContainerInspectInfo): ObservedWorkload {
    const { State } = found;
    const network = Object.values(found.NetworkSettings.Networks)[0];
    const running = State.Running && !State.Restarting && !State.Paused;
    const port = found.Config.User === rootlessUser ? rootlessSshdPort : sshdPort;
    return {
      state: running ? 'running' : State.Restarting ? 'waiting' : 'stopped',
      address: running && network?.IPAddress ? { host: network.IPAddress, port } : null,
      exitCode: running || State.Paused || !ranBefore(found) ? null : State.ExitCode,
      outOfMemory: State.OOMKilled,
      runId: ranBefore(found) ? `${found.Id.slice(0, 12)}@${State.StartedAt}` : null,
      resources: readResources(found.Config.Labels[resourcesLabel]),
      exposure: readExposure(found.Config.Labels[exposureLabel]),
      restarts: found.RestartCount,
    };
  }

  #containerOptions(
    spec: WorkloadSpec,
    network: Network,
    cpuCores: number,
    secrets: string,
  ): Docker.ContainerCreateOptions {
    const { cpu, memory, gpu } = spec.resources;
    const behindGateway = spec.exposure === 'gateway';
    const rootless = runsWithoutRoot(spec);
    const memoryBytes = Math.round(memory * gibibyte);
    const port = `${sshdPort}/tcp`;
    const options: Docker.ContainerCreateOptions = {
      name: spec.id,
      Image: spec.imageReference,
      Hostname: spec.id,
      Env: [
        `BERTH_ENVIRONMENT=${spec.id}`,
        `BERTH_USER=${spec.username}`,
        `BERTH_SUDO=${spec.sudo}`,
        `BERTH_EXEMPT_SOURCES=${network.gateway}`,
        ...(behindGateway ? ['BERTH_EXPOSURE=gateway'] : []),
      ],
      ...(rootless ? { User: rootlessUser } : {}),
      ...(behindGateway ? {} : { ExposedPorts: { [port]: {} } }),
      HostConfig: {
        NetworkMode: network.name,
        PortBindings:
          behindGateway || spec.publicPort === null
            ? {}
            : {
                [port]: [
                  { HostIp: publishedOn(this.#options.portAddress), HostPort: String(spec.publicPort) },
                ],
              },
        Mounts: [
          ...folders.map((folder) => ({
            Type: 'volume' as const,
            Source: volumeName(spec.storageId, folder),
            Target: lastingFolders[folder](spec.username),
          })),
          { Type: 'bind' as const, Source: secrets, Target: secretsTarget, ReadOnly: true },
          ...spec.datasets.map(datasetMount),
        ],
        RestartPolicy: { Name: 'unless-stopped' },
        // The engine refuses more than the machine has; a limit above that is no limit.
        NanoCpus: Math.round(Math.min(cpu, cpuCores) * 1e9),
        Memory: memoryBytes,
        MemorySwap: memoryBytes,
        PidsLimit: 4096,
        ShmSize: Math.round(memoryBytes / 2),
        CapDrop: ['ALL'],
        CapAdd: rootless ? [] : [...(spec.sudo ? sudoCapabilities : sshdCapabilities)],
        SecurityOpt: spec.sudo ? [] : ['no-new-privileges'],
        DeviceRequests: gpu === 0 ? [] : [{ Driver: 'nvidia', Count: gpu, Capabilities: [['gpu']] }],
        LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } },
        // Where sshd reads its copies of the secrets: root's in the image.
        ...(rootless ? { Tmpfs: { '/run/berth': `size=16m,mode=700,uid=${userId},gid=${userId}` } } : {}),
      },
    };
    const hash = createHash('sha256').update(JSON.stringify(options)).digest('hex').slice(0, 16);
    const labels = {
      [specLabel]: hash,
      [resourcesLabel]: JSON.stringify({ cpu, memory, gpu }),
      [exposureLabel]: spec.exposure,
    };
    return { ...options, Labels: { ...this.#labels(spec.id), ...labels } };
  }

  /** Whoever can write beside a data set could put a symbolic link in its place. */
  async #mustBeThere(dataset: DatasetMount): Promise<void> {
    const source = await this.findDataset(dataset);
    if (source === dataset.source) return;
    throw new RuntimeError(
      'dataset_missing',
      `The data set ${dataset.name} cannot be mounted: ${dataset.source} has become a symbolic link to ${source}.`,
      'Delete the data set and add the folder that is meant.',
    );
  }

  #labels(id: string): Record<string, string> {
    return { [installationLabel]: this.#options.installationId, ...(id ? { [environmentLabel]: id } : {}) };
  }

  #isOurs(labels: Record<string, string> | undefined | null, id: string): boolean {
    return labels?.[installationLabel] === this.#options.installationId && labels[environmentLabel] === id;
  }

  #mustBeOurs(labels: Record<string, string> | undefined | null, id: string, what: string): void {
    if (this.#isOurs(labels, id)) return;
    throw new RuntimeError(
      'not_ours',
      `${what} is there already and does not belong to this Berth.`,
      'Remove it by hand, or create the environment again under another name.',
    );
  }

  #ownSecretsOf(id: string): string {
    return join(this.#options.secretsFolder, id);
  }

  /** Where the secrets are: in this server's data folder, or in that of another, which made the container. */
  async #secretsOf(id: string): Promise<string> {
    try {
      return this.#mountedSecrets(await this.#inspect(id), id) ?? this.#ownSecretsOf(id);
    } catch (error) {
      throw runtimeError(error, 'looking at its container');
    }
  }

  /** undefined where the container has none, or a folder that is gone, as after the data folder was moved. */
  #mountedSecrets(found: Docker.ContainerInspectInfo | null, id: string): string | undefined {
    if (found === null || !this.#isOurs(found.Config.Labels, id)) return undefined;
    const folder = found.Mounts.find(({ Destination }) => Destination === secretsTarget)?.Source;
    return folder !== undefined && basename(folder) === id && existsSync(folder) ? folder : undefined;
  }
}

const folders = Object.keys(lastingFolders) as LastingFolder[];

function volumeName(storageId: string, folder: LastingFolder): string {
  return `${storageId}-${folder}`;
}

/** As the local driver takes it, in whole MiB. */
function sizeOption(gibibytes: number): string {
  return `${Math.round(gibibytes * 1024)}m`;
}

/** null where the label is missing, as on what an older Berth made, or was written by somebody else. */
function readResources(label: string | undefined): RunResources | null {
  try {
    return label === undefined ? null : (JSON.parse(label) as RunResources);
  } catch {
    return null;
  }
}

function readExposure(label: string | undefined): Exposure {
  return label === 'gateway' ? label : 'direct';
}

function ranBefore({ State }: Docker.ContainerInspectInfo): boolean {
  return !State.StartedAt.startsWith('0001-');
}

/**
 * sshd that runs as the user reads the files as the user, so they are everybody's in its container; on the host the
 * data folder keeps everybody else out. Where sshd runs as root, no user in the container reads them either.
 */
function secretsMode(open: boolean): { folder: number; file: number } {
  return open ? { folder: 0o755, file: 0o644 } : { folder: 0o700, file: 0o600 };
}

/** Before a start; while it runs, files keep the mode that they have. */
async function setSecretsMode(folder: string, open: boolean): Promise<void> {
  const mode = secretsMode(open);
  await chmod(folder, mode.folder);
  for (const name of await readdir(folder)) await chmod(join(folder, name), mode.file);
}

/** Whether the container was made from another specification. What an older Berth made says nothing of resources. */
function isOtherwise(
  { Config }: Docker.ContainerInspectInfo,
  options: Docker.ContainerCreateOptions,
): boolean {
  const resources = Config.Labels[resourcesLabel];
  return (
    Config.Labels[specLabel] !== options.Labels?.[specLabel] ||
    (resources !== undefined && resources !== options.Labels?.[resourcesLabel])
  );
}

/**
 * The engine was killed while it made the volume: it knows the folder, but not whose it is. The name has random
 * characters and was not in use before it was asked for, so a volume without any label that is not older is ours.
 */
function isHalfMade(volume: Docker.VolumeInspectInfo & { CreatedAt?: string }, createdAt: Date): boolean {
  const unlabelled = Object.keys(volume.Labels ?? {}).length === 0;
  // The engine's stamp has whole seconds.
  return unlabelled && Date.parse(volume.CreatedAt ?? '') >= Math.floor(createdAt.getTime() / 1000) * 1000;
}

/**
 * The engine was killed while it started the container: what containerd still knows of that run keeps this container
 * from ever starting again.
 */
function isLeftover(error: unknown): boolean {
  return hasStatus(error, 500) && /\b(id already in use|already exists)$/.test(engineMessage(error));
}

/** The address of a stopped container is free for others; not to be confused with a port that is in use. */
function isAddressTaken(error: unknown): boolean {
  return /^address already in use$/i.test(engineMessage(error));
}

function ignoring(...statuses: number[]): (error: unknown) => void {
  return (error) => {
    if (!hasStatus(error, ...statuses)) throw error;
  };
}

/** To Docker `::` is all of IPv6 and nothing of IPv4; it is both where nothing is said. */
function publishedOn(address: string): string {
  return address === '::' ? '' : address;
}
