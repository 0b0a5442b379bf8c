/**
 * Builds the environment image, progress on stderr, its reference on stdout.
 *
 *   node image/main.ts                             the one that Berth uses by itself
 *   node image/main.ts --base REF --tag REF        one on a base of one's own, for the catalogue
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Docker from 'dockerode';
import { buildEnvironmentImage, ensureEnvironmentImage } from './build.ts';

const common = {
  docker: new Docker(),
  cacheDir: join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'berth'),
  onProgress: ({ step, detail }: { step: string; detail?: string }) =>
    process.stderr.write(`${step}${detail ? `: ${detail}` : ''}\n`),
};

async function build(base: string | undefined, tag: string | undefined): Promise<string> {
  if (base === undefined && tag === undefined) return (await ensureEnvironmentImage(common)).reference;
  if (base === undefined || tag === undefined) throw new Error('--base and --tag belong together.');
  await buildEnvironmentImage({ ...common, base, reference: tag });
  return tag;
}

try {
  const { values } = parseArgs({ options: { base: { type: 'string' }, tag: { type: 'string' } } });
  process.stdout.write(`${await build(values.base, values.tag)}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
