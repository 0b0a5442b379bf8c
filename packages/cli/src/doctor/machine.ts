/** What `berth doctor` looks at on the machine itself. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import { settingInForce } from '../place.ts';
import { failed, ok, skipped, warning } from './check.ts';
import type { Finding } from './check.ts';

const run = promisify(execFile);

const oldestNode = 26;
/** From 8.4 on ssh takes the password from an askpass program when it is told to. */
const oldestOpenSsh = 8.4;
const oldestDocker = 20;
const gibibyte = 1024 ** 3;
const scarceBytes = 10 * gibibyte;
const fullBytes = gibibyte;
const clockSkewMs = 2_000;

export function node(): Finding {
  const version = process.versions.node;
  return Number(version.split('.')[0]) >= oldestNode
    ? ok(version)
    : failed(
        `${version} is too old`,
        `Run "npm install" in Berth's folder, which brings Node ${oldestNode}.`,
      );
}

export async function opensshClient(): Promise<Finding> {
  const cure = 'Install it; in Debian and Ubuntu: apt-get install openssh-client';
  try {
    const { stderr, stdout } = await run('ssh', ['-V']);
    const said = (stderr || stdout).trim();
    const version = /OpenSSH[^\d]*(\d+\.\d+)/.exec(said)?.[1];
    if (version === undefined) return warning(`ssh is not OpenSSH (${said})`, cure);
    return Number(version) >= oldestOpenSsh
      ? ok(said.split(',')[0] ?? said)
      : warning(`OpenSSH ${version}: "berth ssh --password" needs ${oldestOpenSsh}`, cure);
  } catch {
    return failed('there is no ssh', cure);
  }
}

export async function dockerEngine(docker: Docker): Promise<Finding> {
  try {
    const { Version, ApiVersion } = await docker.version();
    return Number(Version.split('.')[0]) >= oldestDocker
      ? ok(`${Version} (API ${ApiVersion})`)
      : warning(`${Version} is old`, 'Install Docker 20.10 or later.');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const place = process.env['DOCKER_HOST'] || '/var/run/docker.sock';
    if (code === 'EACCES' || code === 'EPERM') {
      return failed(
        `the socket ${place} is not open to this account`,
        'Add it to the group docker (sudo usermod -aG docker "$USER") and sign in again.',
      );
    }
    return failed(
      `no engine answers at ${place} (${code})`,
      'Start it (sudo systemctl start docker), or let "npx berth up --install" install it.',
    );
  }
}

/** What keeps environments apart: the guard's nftables rules, and bridged frames that reach them. */
export function packetFilter(): Finding {
  if (process.platform !== 'linux') return skipped('only on Linux');
  const bridge = '/proc/sys/net/bridge/bridge-nf-call-iptables';
  const [major = 0, minor = 0] = readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.').map(Number);
  if (existsSync(bridge)) {
    return readFileSync(bridge, 'utf8').trim() === '1'
      ? ok('nftables with br_netfilter')
      : warning(
          'br_netfilter is there, but net.bridge.bridge-nf-call-iptables is 0',
          'Set it: sudo sysctl net.bridge.bridge-nf-call-iptables=1',
        );
  }
  // The guard's second table matches the bridge itself.
  if (major > 5 || (major === 5 && minor >= 4))
    return ok(`nftables of Linux ${major}.${minor}, without br_netfilter`);
  return warning(
    'br_netfilter is not loaded, and this kernel may not filter within a bridge',
    'Load it: sudo modprobe br_netfilter',
  );
}

export async function diskSpace(folder: string): Promise<Finding> {
  let existing = folder;
  while (!existsSync(existing)) existing = dirname(existing);
  const { bavail, bsize } = await statfs(existing);
  const free = bavail * bsize;
  const detail = `${(free / gibibyte).toFixed(1)} GiB free at ${existing}`;
  if (free < fullBytes) return failed(detail, 'Make room; the database cannot be written on a full disk.');
  return free < scarceBytes ? warning(detail, 'Make room, or the environments fill it soon.') : ok(detail);
}

export function dataFolderMode(folder: string): Finding {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found === undefined) return skipped(`${folder} is not there yet; "berth up" makes it`);
  const mode = (found.mode & 0o777).toString(8).padStart(3, '0');
  if ((found.mode & 0o077) !== 0) {
    return failed(`${folder} has the mode ${mode}, and it holds keys`, `Close it: chmod 700 ${folder}`);
  }
  if (found.uid !== process.getuid?.() && process.getuid?.() !== 0) {
    return warning(`${folder} belongs to another account (${found.uid})`, 'Run the command as that account.');
  }
  return ok(`${folder} (${mode})`);
}

/** Docker's clock is the one that containers see. */
export async function clock(docker: Docker): Promise<Finding> {
  const asked = Date.now();
  const info = (await docker.info()) as { SystemTime?: string };
  const middleMs = (asked + Date.now()) / 2;
  const skewMs = Date.parse(info.SystemTime ?? '') - middleMs;
  if (Number.isNaN(skewMs)) return skipped('Docker does not say its time');
  return Math.abs(skewMs) <= clockSkewMs
    ? ok("the same as Docker's")
    : failed(
        `${(skewMs / 1000).toFixed(1)} s from Docker's`,
        'Set both clocks by NTP: sudo timedatectl set-ntp true',
      );
}

export async function environmentImage(docker: Docker, known: string | undefined): Promise<Finding> {
  const reference = settingInForce('environmentImage') ?? known;
  if (reference === undefined) return skipped('not known yet; "berth up" builds it');
  try {
    const { Id } = await docker.getImage(reference).inspect();
    return ok(`${reference} (${Id.slice(0, 19)})`);
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 404) throw error;
    return failed(
      `${reference} is not in Docker`,
      settingInForce('environmentImage') === undefined
        ? 'Start Berth with "npx berth up", which builds it.'
        : `Pull it: docker pull ${reference}`,
    );
  }
}

/** Ports on which something listens, by /proc/net/tcp. */
function listeningPorts(): Set<number> {
  const ports = new Set<number>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    if (!existsSync(file)) continue;
    for (const line of readFileSync(file, 'utf8').split('\n').slice(1)) {
      const [, local = '', , state] = line.trim().split(/\s+/);
      if (state === '0A') ports.add(Number.parseInt(local.split(':')[1] ?? '', 16));
    }
  }
  return ports;
}

/** @param ours ports that environments hold */
export function portRange(first: number, last: number, ours: Set<number>): Finding {
  if (process.platform !== 'linux') return skipped('only on Linux');
  const strangers = [...listeningPorts()]
    .filter((port) => port >= first && port <= last && !ours.has(port))
    .sort((one, other) => one - other);
  const [lowest = 0, highest = 0] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
    .trim()
    .split(/\s+/)
    .map(Number);
  if (first <= highest && last >= lowest && !isReserved(first, last)) {
    return warning(
      `${first}-${last} overlaps ${lowest}-${highest}, from which the kernel takes ports for its own connections`,
      `Keep them apart: sudo sysctl net.ipv4.ip_local_reserved_ports=${first}-${last}`,
    );
  }
  if (strangers.length > 0) {
    return warning(
      `in ${first}-${last} other programs listen on ${strangers.slice(0, 5).join(', ')}${strangers.length > 5 ? ', ...' : ''}`,
      'Berth takes others; move those programs, or choose another portRange.',
    );
  }
  return ok(`${first}-${last}`);
}

function isReserved(first: number, last: number): boolean {
  return readFileSync('/proc/sys/net/ipv4/ip_local_reserved_ports', 'utf8')
    .trim()
    .split(',')
    .map((range) => range.split('-').map(Number))
    .some(([low = NaN, high = low]) => low <= first && high >= last);
}
