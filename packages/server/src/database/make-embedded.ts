/**
 * Makes the embedded database's folder. A program of its own, since making one takes 500 MiB that a process does not
 * give back; `makeEmbedded` runs it.
 */
import { spawn } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PGlite } from '@electric-sql/pglite';

/**
 * Makes the folder, whole or not at all: what a killed start had begun is thrown away.
 *
 * @throws Error with what the program said
 */
export async function makeEmbedded(folder: string): Promise<void> {
  const parent = dirname(folder);
  const prefix = `.${basename(folder)}-`;
  for (const left of globSync(`${prefix}*`, { cwd: parent })) {
    rmSync(join(parent, left), { recursive: true, force: true });
  }
  if (existsSync(join(folder, 'PG_VERSION'))) return;
  const unfinished = mkdtempSync(join(parent, prefix));
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), unfinished], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`the embedded database could not be made in ${folder}: ${said.trim()}`);
  renameSync(unfinished, folder);
}

if (import.meta.main) {
  const engine = await PGlite.create({ dataDir: process.argv[2] ?? '' });
  await engine.close();
}
