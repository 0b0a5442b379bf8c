/**
 * npm run soak -- NAME ...: the tests of faults and of clients, and the fuzzers of SSH, at their full length, on both
 * databases, such as
 *
 *   npm run soak -- crash            every boundary of every operation
 *   npm run soak -- under-load       a minute of kills
 *   npm run soak -- packets live     a million mutated SSH packets, and 10,000 connections in each state
 *   npm run soak -- clients          every client with everything on our server and relay, and ours on every server;
 *                                    then a table of what was seen, or its lines with --json
 *
 * Without a name, all of them.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { type Seen, formatTables } from '../clients/results.ts';
import { startPostgres } from '../harness/postgres.ts';

const folder = dirname(import.meta.dirname);
const words = process.argv.slice(2).filter((word) => word !== '--json');
const files = globSync(['faults/*.test.ts', 'clients/*.test.ts', '../packages/ssh/src/fuzz/*.test.ts'], {
  cwd: folder,
})
  .filter(
    (file) =>
      words.length === 0 || words.some((word) => basename(file).startsWith(word) || dirname(file) === word),
  )
  .sort();
if (files.length === 0) {
  process.stderr.write(`soak: no test here begins with ${words.join(' or ')}\n`);
  process.exit(2);
}
const postgres = files.some((file) => file.startsWith('faults')) ? await startPostgres() : undefined;
const kept = mkdtempSync(join(tmpdir(), 'soak-'));
const matrix = join(kept, 'matrix');
try {
  const { status } = spawnSync(process.execPath, ['--test', '--test-concurrency=1', ...files], {
    cwd: folder,
    stdio: 'inherit',
    env: {
      ...process.env,
      BERTH_TEST_FULL: '1',
      BERTH_TEST_MATRIX: matrix,
      ...(postgres ? { BERTH_TEST_POSTGRES: postgres.url } : {}),
    },
  });
  process.exitCode = status ?? 1;
  if (existsSync(matrix)) {
    const lines = readFileSync(matrix, 'utf8').trim();
    const seen = lines.split('\n').map((line) => JSON.parse(line) as Seen);
    process.stdout.write(process.argv.includes('--json') ? `${lines}\n` : `\n${formatTables(seen)}`);
  }
} finally {
  rmSync(kept, { recursive: true, force: true });
  await postgres?.stop();
}
