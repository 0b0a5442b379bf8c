/**
 * node packages/console/build.ts: builds the console into dist/ where its sources changed since, each file beside its gzip and
 * Brotli forms, which the server sends as they are. Run by whatever prepares a start or the tests.
 */
import { createHash } from 'node:crypto';
import { chmodSync, globSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

/** Stands in the built document where the server puts each answer's nonce. */
export const noncePlaceholder = 'berth-nonce-of-this-answer';

const home = import.meta.dirname;
const dist = join(home, 'dist');
const stampFile = 'sources.sha256';

/** @returns whether it had to be built */
export async function ensureConsole(say: (line: string) => void): Promise<boolean> {
  const stamp = stampOfSources();
  if (stamp === readStamp()) return false;
  const began = Date.now();
  say('Building the console ...');
  // Only now: Vite takes longer to load than all else here.
  const { build } = await import('vite');
  const folder = mkdtempSync(join(home, '.dist-'));
  try {
    await build({ configFile: join(home, 'vite.config.ts'), logLevel: 'warn', build: { outDir: folder } });
    await compressAll(folder);
    writeFileSync(join(folder, stampFile), stamp);
    rmSync(dist, { recursive: true, force: true });
    chmodSync(folder, 0o755);
    renameSync(folder, dist);
  } catch (error) {
    // Another process that built the same was a moment earlier.
    if (stamp !== readStamp()) throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  say(`The console is built (${((Date.now() - began) / 1000).toFixed(1)} s).`);
  return true;
}

function readStamp(): string | undefined {
  try {
    return readFileSync(join(dist, stampFile), 'utf8');
  } catch {
    return undefined;
  }
}

/** Everything that the bundle is made of: the console's files, what it takes from the contract, and its libraries. */
function stampOfSources(): string {
  const hash = createHash('sha256');
  const files = [
    ...globSync(['{src,public}/**/*.*', '*.{ts,json,html}'], { cwd: home }).map((file) => join(home, file)),
    ...globSync('../contract/src/*.ts', { cwd: home }).map((file) => join(home, file)),
    join(home, '../../package-lock.json'),
  ];
  for (const file of files.sort()) hash.update(`${file.slice(home.length)}\0`).update(readFileSync(file));
  return hash.digest('hex');
}

async function compressAll(folder: string): Promise<void> {
  const brotli = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
  const files = globSync('**/*.{js,css,svg,json}', { cwd: folder });
  await Promise.all(
    files.map(async (file) => {
      const path = join(folder, file);
      const content = readFileSync(path);
      writeFileSync(`${path}.gz`, await promisify(gzip)(content, { level: constants.Z_BEST_COMPRESSION }));
      writeFileSync(`${path}.br`, await promisify(brotliCompress)(content, brotli));
    }),
  );
}

if (import.meta.main) {
  try {
    await ensureConsole((line) => process.stderr.write(`${line}\n`));
  } catch (error) {
    process.stderr.write(`The console could not be built: ${String(error)}\n`);
    process.exitCode = 1;
  }
}
