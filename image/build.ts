/**
 * Builds the environment image through the Docker engine's build API, unless it is there. Its tag is a hash of all
 * that goes into it, so a changed file makes a new image and an unchanged one costs a look. `berth up`, the tests
 * and main.ts call it; main.ts builds images on other bases as well.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import { bases, ensureBase, imageExists, type Base, type Progress } from './base.ts';
import { extraCertificates, type Certificate } from './certificates.ts';

const repository = 'berth/environment';
/** The build context, beside the extra certificate authorities. */
const contextFiles = ['Dockerfile', 'entrypoint', 'motd', 'requirements.txt', 'sshd_config'];
/** Docker keeps the values of these out of the image's history. */
const proxyVariables = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy', 'all_proxy'];
const pipVariables = ['PIP_INDEX_URL', 'PIP_EXTRA_INDEX_URL', 'PIP_TRUSTED_HOST'];

/**
 * @param options.certificates A file or folder of extra certificate authorities (PEM); without it the environment
 *   variable BERTH_IMAGE_CERTIFICATES, or what this machine trusts beyond the standard set.
 * @param options.cacheDir A folder for temporary files, made when missing.
 * @throws Error with the build's last lines, or with what to do when there is no base image to be had.
 */
export async function ensureEnvironmentImage(options: {
  docker: Docker;
  onProgress: Progress;
  certificates?: string;
  cacheDir: string;
}): Promise<{ reference: string; built: boolean }> {
  const { docker, onProgress, cacheDir } = options;
  const { files, certificates } = context(options.certificates);
  const referenceOn = (base: Base) => `${repository}:${hash(files, certificates, base)}`;

  const there = await Promise.all(bases.map((base) => imageExists(docker, referenceOn(base))));
  const existing = bases.find((_, index) => there[index]);
  if (existing) return { reference: referenceOn(existing), built: false };

  await mkdir(cacheDir, { recursive: true });
  const base = await ensureBase(docker, onProgress, cacheDir);
  const reference = referenceOn(base);
  await buildOn(base.reference, reference, { docker, onProgress, cacheDir, files, certificates });
  return { reference, built: true };
}

/**
 * Builds an environment image on a base of one's own, which must be Debian 13 or what is made from it.
 *
 * @throws Error with the build's last lines
 */
export async function buildEnvironmentImage(options: {
  docker: Docker;
  onProgress: Progress;
  cacheDir: string;
  /** Reference of the base, which the engine has or can pull. */
  base: string;
  /** What the image is called. */
  reference: string;
}): Promise<void> {
  await mkdir(options.cacheDir, { recursive: true });
  await buildOn(options.base, options.reference, { ...options, ...context() });
}

interface Context {
  files: { name: string; content: Buffer }[];
  certificates: Certificate[];
}

/** What goes into an image beside its base. */
function context(source: string | undefined = process.env['BERTH_IMAGE_CERTIFICATES'] || undefined): Context {
  return {
    files: contextFiles.map((name) => ({ name, content: readFileSync(join(import.meta.dirname, name)) })),
    certificates: extraCertificates(source, join(import.meta.dirname, 'certificates')),
  };
}

async function buildOn(
  base: string,
  reference: string,
  options: Context & { docker: Docker; onProgress: Progress; cacheDir: string },
): Promise<void> {
  const { docker, onProgress, cacheDir, files, certificates } = options;
  const folder = await mkdtemp(join(cacheDir, 'context-'));
  try {
    await mkdir(join(folder, 'certificates'));
    for (const { name, content } of files) await writeFile(join(folder, name), content);
    for (const { name, pem } of certificates) await writeFile(join(folder, 'certificates', name), pem);
    await chmod(join(folder, 'entrypoint'), 0o755);
    await build(docker, folder, reference, { BASE: base, ...hostSettings() }, onProgress);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function hash(files: { name: string; content: Buffer }[], certificates: Certificate[], base: Base): string {
  const digest = createHash('sha256');
  for (const { name, content } of files) digest.update(`${name}\0${content.length}\0`).update(content);
  for (const { name, pem } of certificates) digest.update(`${name}\0${pem.length}\0${pem}`);
  return digest.update(base.kind).digest('hex').slice(0, 12);
}

async function build(
  docker: Docker,
  folder: string,
  reference: string,
  buildargs: Record<string, string>,
  onProgress: Progress,
): Promise<void> {
  const archive = await promisify(execFile)('tar', ['-C', folder, '--owner=0', '--group=0', '-c', '.'], {
    encoding: 'buffer',
    maxBuffer: 64 * 1024 * 1024,
  });
  // The host's network: a proxy or a name server on the host's loopback works as it does for the host.
  const stream = await docker.buildImage(archive.stdout as unknown as NodeJS.ReadableStream, {
    t: reference,
    buildargs,
    networkmode: 'host',
    forcerm: true,
  });
  const lines: string[] = [];
  let step = 'Building the environment image';
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(
      stream,
      (error) => (error ? reject(error) : resolve()),
      (event: { stream?: string }) => {
        for (const line of (event.stream ?? '').split(/[\r\n]+/).map((part) => part.trimEnd())) {
          if (line === '') continue;
          lines.push(line);
          if (lines.length > 20) lines.shift();
          const [, number, instruction] = /^(Step \d+\/\d+) : (.*)$/.exec(line) ?? [];
          step = number ?? step;
          onProgress({ step, detail: instruction ?? line });
        }
      },
    );
  }).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`The environment image could not be built: ${why}\n${lines.join('\n')}`, {
      cause: error,
    });
  });
}

/** What makes apt and pip reach their servers from here: proxies, and where pip looks. */
function hostSettings(): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const name of proxyVariables) {
    const value = process.env[name] ?? process.env[name.toUpperCase()];
    if (value) settings[name] = settings[name.toUpperCase()] = value;
  }
  for (const name of pipVariables) {
    const value = process.env[name];
    if (value) settings[name] = value;
  }
  return settings;
}
