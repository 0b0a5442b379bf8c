/**
 * Real environments from the image for its tests: containers with the capabilities that Berth gives them, and the stock
 * OpenSSH client of this machine. One file of tests, one process, one set of keys.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { ensureEnvironmentImage } from '../build.ts';
import { sshdCapabilities, sudoCapabilities } from '../capabilities.ts';

export const docker = new Docker();
/** Why these tests cannot run here; false when they can. */
export const skipWithoutDocker: string | false = await docker.ping().then(
  () => false as const,
  () => 'Docker is not reachable',
);

export const folder = mkdtempSync(join(tmpdir(), 'berth-image-test-'));
export const environment = 'demo-7f3k';
export const password = 'correct-horse-1';
export const rootlessPort = 2222;
const containers: Docker.Container[] = [];
const volumes: string[] = [];
let image = '';
let bridgeAddress = '';

interface Endpoint {
  address: string;
  port: number;
}

export interface Environment extends Endpoint {
  container: Docker.Container;
  /** The folder that is mounted at /etc/berth. */
  secrets: string;
}

export interface Result {
  status: number | string;
  stdout: string;
  stderr: string;
}

export interface EnvironmentOptions {
  secrets?: string;
  /** `direct` by default. Behind the gateway and without sudo it runs without root. */
  exposure?: 'gateway' | 'direct';
  sudo?: boolean;
  mounts?: Docker.MountSettings[];
  /** Variables of the container, such as `BERTH_USER=anna`. */
  environment?: string[];
  /** Another user than the one that goes with the exposure and sudo, such as `1000:1000`. */
  user?: string;
}

/** Builds the image where it is missing, and makes the keys: those of the host and of the people, and certificates. */
export async function prepare(): Promise<void> {
  const cacheDir = join(tmpdir(), 'berth-image-cache');
  image = (await ensureEnvironmentImage({ docker, cacheDir, onProgress: () => undefined })).reference;
  const network = await docker.getNetwork('bridge').inspect();
  // Some engines do not name the gateway of their default bridge.
  const bridge = network.IPAM?.Config?.[0] as { Gateway?: string; Subnet?: string } | undefined;
  bridgeAddress = bridge?.Gateway ?? bridge?.Subnet ?? '';
  for (const name of ['host', 'user', 'spare', 'ca', 'stranger']) makeKey(name);
  makeCertifiedKey('certified', 'ca', environment);
  makeCertifiedKey('misdirected', 'ca', 'other-9xyz');
  makeCertifiedKey('forged', 'stranger', environment);
}

export async function cleanUp(): Promise<void> {
  await Promise.all(containers.map((container) => container.remove({ force: true }).catch(() => undefined)));
  await Promise.all(volumes.map((name) => docker.getVolume(name).remove()));
  rmSync(folder, { recursive: true, force: true });
}

/** Reference of the image. */
export const imageReference = () => image;

export function run(command: string, args: string[], input = '', timeoutMs = 20_000): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(command, args, { timeout: timeoutMs }, (error, stdout, stderr) =>
      resolve({ status: error ? (error.code ?? error.signal ?? 'failed') : 0, stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}

export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  withinMs = 10_000,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    assert.ok(Date.now() < deadline, `not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const keyFile = (name: string) => join(folder, name);

export const publicKeyOf = (name: string) => readFileSync(`${keyFile(name)}.pub`, 'utf8');

function makeKey(name: string): void {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', keyFile(name)]);
}

/** A key pair of its own with a certificate for one principal; the certificate's key ID is the name. */
function makeCertifiedKey(name: string, authority: string, principal: string): void {
  makeKey(name);
  const args = ['-q', '-s', keyFile(authority), '-I', name, '-n', principal, '-V', '-1m:+10m'];
  execFileSync('ssh-keygen', [...args, `${keyFile(name)}.pub`]);
}

export const hashOf = (text: string) => execFileSync('openssl', ['passwd', '-6', text], { encoding: 'utf8' });

/** Replaces a file by rename, as Berth does, with the mode that the file had. */
export function put(secrets: string, name: string, text: string): void {
  const temporary = join(secrets, `.${name}.new`);
  writeFileSync(temporary, text);
  chmodSync(temporary, isOpen.has(secrets) ? 0o644 : 0o600);
  renameSync(temporary, join(secrets, name));
}

/** Folders of secrets whose files uid 1000 may read, for sshd without root; nobody else gets to them (mkdtemp's 0700). */
const isOpen = new Set<string>();

export function makeSecrets(forRootless = false): string {
  const secrets = mkdtempSync(join(folder, 'secrets-'));
  if (forRootless) {
    isOpen.add(secrets);
    chmodSync(secrets, 0o755);
  }
  put(secrets, 'ssh_host_ed25519_key', readFileSync(keyFile('host'), 'utf8'));
  put(secrets, 'authorized_keys', publicKeyOf('user'));
  put(secrets, 'trusted_user_ca.pub', publicKeyOf('ca'));
  put(secrets, 'principals', `${environment}\n`);
  put(secrets, 'password_hash', hashOf(password));
  return secrets;
}

export function writeVariables(secrets: string, variables: Record<string, string>): void {
  const content = Object.entries(variables).map(([name, value]) => `${name}=${value}\0`);
  put(secrets, 'variables', content.join(''));
}

/** A mount of a named volume that is removed with the rest; without `NoCopy` the engine fills it from the image. */
export function volumeAt(target: string, label: string, options = { NoCopy: false }): Docker.MountSettings {
  const name = `berth-image-test-${process.pid}-${label}`;
  if (!volumes.includes(name)) volumes.push(name);
  const mount = { Type: 'volume' as const, Source: name, Target: target, VolumeOptions: options };
  return mount as unknown as Docker.MountSettings;
}

const isRootless = ({ exposure = 'direct', sudo = false }: EnvironmentOptions) =>
  exposure === 'gateway' && !sudo;

export async function create(options: EnvironmentOptions & { secrets: string }): Promise<Docker.Container> {
  const { exposure = 'direct', sudo = false } = options;
  const rootless = isRootless(options);
  const user = options.user ?? (rootless ? '1000:1000' : '');
  const container = await docker.createContainer({
    Image: image,
    Hostname: environment,
    User: user,
    Env: [
      `BERTH_ENVIRONMENT=${environment}`,
      `BERTH_SUDO=${sudo}`,
      `BERTH_EXEMPT_SOURCES=${bridgeAddress}`,
      ...(exposure === 'gateway' ? ['BERTH_EXPOSURE=gateway'] : []),
      ...(options.environment ?? []),
    ],
    // Everything but the interval comes from the image.
    Healthcheck: { Interval: 1_000_000_000 },
    HostConfig: {
      CapDrop: ['ALL'],
      CapAdd: rootless ? [] : [...(sudo ? sudoCapabilities : sshdCapabilities)],
      SecurityOpt: sudo ? [] : ['no-new-privileges'],
      Mounts: [
        { Type: 'bind', Source: options.secrets, Target: '/etc/berth', ReadOnly: true },
        ...(options.mounts ?? []),
      ],
      ...(rootless ? { Tmpfs: { '/run/berth': 'size=16m,mode=700,uid=1000,gid=1000' } } : {}),
    },
  });
  containers.push(container);
  return container;
}

export async function log(container: Docker.Container): Promise<string> {
  const raw = (await container.logs({ stdout: true, stderr: true })) as Buffer;
  return raw.toString('latin1');
}

export async function addressOf(container: Docker.Container): Promise<string> {
  return (await container.inspect()).NetworkSettings.Networks['bridge']?.IPAddress ?? '';
}

export async function start(options: EnvironmentOptions = {}): Promise<Environment> {
  const rootless = isRootless(options);
  const secrets = options.secrets ?? makeSecrets(rootless);
  const container = await create({ ...options, secrets });
  await container.start();
  await until('sshd accepts', async () => {
    const said = await log(container);
    assert.ok((await container.inspect()).State.Running, said);
    return said.includes('accepts SSH');
  });
  return { container, secrets, address: await addressOf(container), port: rootless ? rootlessPort : 22 };
}

const clientOptions = [
  ...['-F', 'none', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
  ...['-o', 'LogLevel=ERROR', '-o', 'IdentitiesOnly=yes', '-o', 'IdentityAgent=none'],
];

export const keyOptions = (key: string) => [...clientOptions, '-o', 'BatchMode=yes', '-i', keyFile(key)];

/** Options of `ssh`, `sftp` and `scp` for that environment. */
export const optionsFor = ({ port }: Endpoint, key: string) => [...keyOptions(key), '-o', `Port=${port}`];

export const withKey = (to: Endpoint, key: string, command: string, user = 'developer') =>
  run('ssh', [...optionsFor(to, key), `${user}@${to.address}`, command]);

export const withPassword = (to: Environment, secret: string, user = 'developer') =>
  run('sshpass', [
    ...['-p', secret, 'ssh', ...clientOptions, '-o', `Port=${to.port}`],
    ...[
      '-o',
      'PubkeyAuthentication=no',
      '-o',
      'NumberOfPasswordPrompts=1',
      `${user}@${to.address}`,
      'id -un',
    ],
  ]);

export const refused = (result: Result) => {
  assert.notEqual(result.status, 0);
  assert.match(result.stderr, /Permission denied/);
};

/** Of a capability set in the text of /proc/PID/status, such as `CapEff`. */
export const maskIn = (status: string, name: string) =>
  BigInt(`0x${new RegExp(`${name}:\\s+(\\w+)`).exec(status)?.[1]}`);
