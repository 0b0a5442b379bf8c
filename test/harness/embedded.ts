/**
 * The embedded database's folder as the server makes it, made once and copied for each test: making one takes two
 * seconds of a processor. Nothing of Berth is in it yet, so its migrations are run as on any first start.
 */
import { createHash } from 'node:crypto';
import { constants, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeEmbedded } from '../../packages/server/src/database/make-embedded.ts';

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const cache = at('node_modules/.cache/berth');

/** @param folder must not be there yet */
export async function copyEmbedded(folder: string): Promise<void> {
  const madeBy = [
    'node_modules/@electric-sql/pglite/package.json',
    'packages/server/src/database/make-embedded.ts',
  ];
  const hash = createHash('sha256');
  for (const file of madeBy) hash.update(readFileSync(at(file)));
  const template = join(cache, `database-${hash.digest('hex').slice(0, 16)}`);
  if (!existsSync(template)) await makeTemplate(template);
  await cp(template, folder, { recursive: true, mode: constants.COPYFILE_FICLONE });
}

/** Whole or not at all. When several test files begin at once, the first that has one ready gives it to all. */
async function makeTemplate(template: string): Promise<void> {
  mkdirSync(cache, { recursive: true });
  const own = mkdtempSync(join(cache, 'making-'));
  try {
    await makeEmbedded(join(own, 'database'));
    renameSync(join(own, 'database'), template);
  } catch (error) {
    if (!existsSync(template)) throw error;
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}
