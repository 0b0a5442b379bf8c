/**
 * OpenSSH as the environment image has it, which is later than this machine's. The clients are taken out of the image
 * with the libraries they need and started here through the image's own loader: the same programs, on this machine's
 * network and files.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { docker, environmentImage, skipWithoutDocker } from '../../harness/berth.ts';

const taken = ['/usr/bin/ssh', '/usr/bin/sftp'];

/** Where the programs are, each a script that starts the real one; or why they are not to be had. */
export async function imagePrograms(): Promise<string | { ssh: string; sftp: string }> {
  if (skipWithoutDocker !== false) return skipWithoutDocker;
  const reference = await environmentImage();
  const folder = join(tmpdir(), `berth-openssh-${reference.replace(/\W+/g, '-')}`);
  if (!existsSync(folder)) {
    const made = mkdtempSync(`${folder}-`);
    await takeOut(reference, made);
    writeLaunchers(made, folder);
    // Another test may have been faster; its programs are as good.
    if (!existsSync(folder)) renameSync(made, folder);
  }
  const program = (name: string): string => join(folder, 'bin', name);
  return { ssh: program('ssh'), sftp: program('sftp') };
}

/** Unpacks the programs and what the image's ldd says they need, links followed, into `folder`. */
async function takeOut(reference: string, folder: string): Promise<void> {
  const script = `tar -chf - ${taken.join(' ')} $(ldd ${taken.join(' ')} | grep -o '/[^ :]*' | sort -u)`;
  const container = await docker.createContainer({
    Image: reference,
    Entrypoint: ['/bin/sh', '-c', script],
    User: 'root',
    NetworkDisabled: true,
  });
  try {
    const stream = await container.attach({ stream: true, stdout: true, stderr: true });
    const unpack = spawn('tar', ['-xf', '-', '-C', folder], { stdio: ['pipe', 'ignore', 'inherit'] });
    const unpacked = once(unpack, 'close');
    let said = '';
    docker.modem.demuxStream(stream, unpack.stdin, {
      write: (chunk: Buffer) => (said += chunk.toString()) !== '',
    } as unknown as NodeJS.WritableStream);
    stream.once('end', () => unpack.stdin.end());
    await container.start();
    const [code] = (await unpacked) as [number];
    if (code !== 0) throw new Error(`OpenSSH could not be taken out of ${reference}: ${said}`);
  } finally {
    await container.remove({ force: true });
  }
}

function writeLaunchers(made: string, folder: string): void {
  const loaderFolder = existsSync(join(made, 'lib64')) ? 'lib64' : 'lib';
  const loader = readdirSync(join(made, loaderFolder)).find((name) => name.startsWith('ld-linux'));
  if (loader === undefined) throw new Error('the environment image has no loader where one was looked for');
  const libraries = readdirSync(join(made, 'lib'))
    .filter((name) => name.endsWith('-linux-gnu'))
    .map((name) => join(folder, 'lib', name));
  mkdirSync(join(made, 'bin'));
  for (const path of taken) {
    const launcher = join('bin', path.split('/').at(-1) ?? '');
    const words = [
      join(folder, loaderFolder, loader),
      ...['--library-path', libraries.join(':'), '--argv0', join(folder, launcher), join(folder, path)],
    ];
    writeFileSync(join(made, launcher), `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`, { mode: 0o755 });
  }
}
