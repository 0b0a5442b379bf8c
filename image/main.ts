/** `node image/main.ts`: builds the environment image, progress on stderr, its reference on stdout. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { ensureEnvironmentImage } from './build.ts';

const cacheDir = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'berth');
try {
  const { reference } = await ensureEnvironmentImage({
    docker: new Docker(),
    cacheDir,
    onProgress: ({ step, detail }) => process.stderr.write(`${step}${detail ? `: ${detail}` : ''}\n`),
  });
  process.stdout.write(`${reference}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
