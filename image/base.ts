/**
 * The base of the environment image: Debian 13. A registry's `debian:trixie` where one answers, else one made with
 * debootstrap from the package mirror that this machine uses already. build.ts calls it.
 */
import { spawn } from 'node:child_process';
import { access, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type Docker from 'dockerode';

export type Progress = (event: { step: string; detail?: string }) => void;

/** Every kind of base, in order of preference. A kind's name is part of the environment image's tag. */
export const bases = [
  { kind: 'registry', reference: 'debian:trixie' },
  { kind: 'debootstrap', reference: 'berth/base:trixie' },
] as const;
export type Base = (typeof bases)[number];

const [registryBase, debootstrapBase] = bases;
/** Without a sign of life from the registry for so long, it counts as not there. */
const registrySilenceMs = 10_000;
const debootstrapScripts = '/usr/share/debootstrap/scripts';
const debianKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** The base that is in the engine now, or a new one. Throws an Error whose sentence says what to do. */
export async function ensureBase(docker: Docker, onProgress: Progress, cacheDir: string): Promise<Base> {
  for (const base of bases) if (await imageExists(docker, base.reference)) return base;
  onProgress({ step: 'Pulling the base image', detail: registryBase.reference });
  try {
    await pull(docker, registryBase.reference, onProgress);
    return registryBase;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    onProgress({ step: 'Making the base image with debootstrap', detail: `no registry: ${why}` });
    await makeBase(docker, onProgress, cacheDir, why);
    return debootstrapBase;
  }
}

export async function imageExists(docker: Docker, reference: string): Promise<boolean> {
  try {
    await docker.getImage(reference).inspect();
    return true;
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return false;
    throw error;
  }
}

async function pull(docker: Docker, reference: string, onProgress: Progress): Promise<void> {
  const abort = new AbortController();
  const silence = setTimeout(() => abort.abort(), registrySilenceMs);
  try {
    const stream = await docker.pull(reference, { abortSignal: abort.signal });
    await new Promise<void>((resolve, reject) => {
      abort.signal.addEventListener('abort', () => reject(new Error('silence')));
      docker.modem.followProgress(
        stream,
        (error) => (error ? reject(error) : resolve()),
        (event: { status?: string; id?: string }) => {
          silence.refresh();
          onProgress({
            step: 'Pulling the base image',
            detail: [event.id, event.status].filter(Boolean).join(' '),
          });
        },
      );
    });
  } catch (error) {
    if (abort.signal.aborted) {
      throw new Error(`the registry did not answer within ${registrySilenceMs / 1000} s`, { cause: error });
    }
    throw error;
  } finally {
    clearTimeout(silence);
  }
}

async function makeBase(
  docker: Docker,
  onProgress: Progress,
  cacheDir: string,
  whyNoRegistry: string,
): Promise<void> {
  const step = 'Making the base image with debootstrap';
  if (process.getuid?.() !== 0) {
    throw new Error(
      `The base image ${registryBase.reference} could not be pulled (${whyNoRegistry}), and making one with ` +
        `debootstrap needs root. Build the image once as root, or load ${registryBase.reference} with docker load.`,
    );
  }
  const report = (line: string) => onProgress({ step, detail: line });
  await installDebootstrap(report, whyNoRegistry);

  const folder = await mkdtemp(join(cacheDir, 'base-'));
  const root = join(folder, 'root');
  try {
    const host = await hostMirrors();
    const knowsTrixie = await exists(join(debootstrapScripts, 'trixie'));
    const tlsMirror = host.main?.startsWith('https:') ? ['--include=ca-certificates'] : [];
    // Without --force-check-gpg a machine that lacks Debian's keyring would take unsigned packages.
    await run(
      'debootstrap',
      [
        '--variant=minbase',
        '--force-check-gpg',
        `--keyring=${debianKeyring}`,
        ...tlsMirror,
        'trixie',
        root,
        ...(host.main ? [host.main] : []),
        ...(knowsTrixie ? [] : [...(host.main ? [] : ['']), join(debootstrapScripts, 'sid')]),
      ],
      report,
    );
    await writeSources(root, host);
    report('Importing');
    const tar = spawn(
      'tar',
      [
        ...['--numeric-owner', '--one-file-system', '-C', root],
        ...['./var/cache/apt/archives/*.deb', './var/lib/apt/lists/*_*', './var/log/bootstrap.log'].map(
          (pattern) => `--exclude=${pattern}`,
        ),
        ...['-c', '.'],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [repo, tag] = debootstrapBase.reference.split(':');
    const stream = await docker.importImage(tar.stdout, { repo, tag });
    await new Promise<void>((resolve, reject) =>
      docker.modem.followProgress(stream, (error) => (error ? reject(error) : resolve())),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function installDebootstrap(report: (line: string) => void, whyNoRegistry: string): Promise<void> {
  if ((await exists('/usr/sbin/debootstrap')) && (await exists(debianKeyring))) return;
  const packages = ['debootstrap', 'debian-archive-keyring'];
  const install = () =>
    run('apt-get', ['install', '-y', '--no-install-recommends', ...packages], report, {
      DEBIAN_FRONTEND: 'noninteractive',
    });
  try {
    await install().catch(async () => {
      await run('apt-get', ['update'], report);
      await install();
    });
  } catch (error) {
    throw new Error(
      `The base image ${registryBase.reference} could not be pulled (${whyNoRegistry}), and debootstrap, which ` +
        `makes one, could not be installed. Install ${packages.join(' and ')}, or load ${registryBase.reference} ` +
        `with docker load.`,
      { cause: error },
    );
  }
}

interface Mirrors {
  main: string | undefined;
  security: string | undefined;
}

/** The mirrors of a Debian host's own apt sources, one-line and deb822 style (sources.list(5)); else none. */
async function hostMirrors(): Promise<Mirrors> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const codename = /^VERSION_CODENAME="?(\w+)"?$/m.exec(release)?.[1];
  if (!/^ID="?debian"?$/m.test(release) || codename === undefined)
    return { main: undefined, security: undefined };
  const folder = '/etc/apt/sources.list.d';
  const names = await readdir(folder).catch(() => []);
  const entries: { uri: string; suites: string[] }[] = [];
  for (const file of ['/etc/apt/sources.list', ...names.map((name) => join(folder, name))]) {
    if (!/\.(list|sources)$/.test(file)) continue;
    const text = await readFile(file, 'utf8').catch(() => '');
    if (file.endsWith('.list')) {
      for (const [, uri = '', suite = ''] of text.matchAll(
        /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s.*\bmain\b/gm,
      )) {
        entries.push({ uri, suites: [suite] });
      }
    } else {
      for (const stanza of text.split(/\n\s*\n/)) {
        if (!/^Types:.*\bdeb\b/m.test(stanza) || /^Enabled:\s*no/im.test(stanza)) continue;
        const uri = /^URIs:\s*(\S+)/m.exec(stanza)?.[1];
        const suites = /^Suites:\s*(.+)$/m.exec(stanza)?.[1]?.split(/\s+/) ?? [];
        if (uri !== undefined) entries.push({ uri, suites });
      }
    }
  }
  const mirrorOf = (suite: string) =>
    entries.find((entry) => /^https?:/.test(entry.uri) && entry.suites.includes(suite))?.uri;
  return { main: mirrorOf(codename), security: mirrorOf(`${codename}-security`) };
}

/** Adds the suites with corrections to the one that debootstrap wrote down; security fixes are in none of its own. */
async function writeSources(root: string, host: Mirrors): Promise<void> {
  const file = join(root, 'etc/apt/sources.list');
  const written = await readFile(file, 'utf8');
  const main = host.main ?? /^deb\s+(\S+)/m.exec(written)?.[1];
  if (main === undefined) return;
  const lines = [`deb ${main} trixie main`, `deb ${main} trixie-updates main`];
  const security = host.security ?? (await neighbouringSecurityMirror(main));
  if (security !== undefined) lines.push(`deb ${security} trixie-security main`);
  await writeFile(file, `${lines.join('\n')}\n`);
}

/** Most mirrors of /debian have /debian-security beside it. Only what answers counts: apt fails on one that does not. */
async function neighbouringSecurityMirror(main: string): Promise<string | undefined> {
  const security = `${main.replace(/\/+$/, '')}-security`;
  try {
    const url = `${security}/dists/trixie-security/InRelease`;
    const answer = await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(5_000) });
    return answer.ok ? security : undefined;
  } catch {
    return undefined;
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Runs a command, hands each line it prints to `report`, throws with its last lines when it fails. */
async function run(
  command: string,
  args: string[],
  report: (line: string) => void,
  environment: NodeJS.ProcessEnv = {},
): Promise<void> {
  const child = spawn(command, args, {
    env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  let rest = '';
  const take = (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts.filter((part) => part.trim() !== '')) {
      lines.push(line);
      report(line);
    }
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0)
    throw new Error(`${command} failed (status ${code}):\n${[...lines, rest].slice(-15).join('\n')}`);
}
