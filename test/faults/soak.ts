/**
 * npm run soak -- NAME ...: the tests of this folder and the fuzzers of SSH at their full length, on both databases, such
 * as
 *
 *   npm run soak -- crash          every boundary of every operation
 *   npm run soak -- under-load     a minute of kills
 *   npm run soak -- packets live   a million mutated SSH packets, and 10,000 connections in each state
 *
 * Without a name, all of them.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { basename } from 'node:path';
import { startPostgres } from '../harness/postgres.ts';

const words = process.argv.slice(2);
const files = globSync(['*.test.ts', '../../packages/ssh/src/fuzz/*.test.ts'], { cwd: import.meta.dirname })
  .filter((file) => words.length === 0 || words.some((word) => basename(file).startsWith(word)))
  .sort();
if (files.length === 0) {
  process.stderr.write(`soak: no test here begins with ${words.join(' or ')}\n`);
  process.exit(2);
}
const postgres = await startPostgres();
try {
  const { status } = spawnSync(process.execPath, ['--test', '--test-concurrency=1', ...files], {
    cwd: import.meta.dirname,
    stdio: 'inherit',
    env: {
      ...process.env,
      BERTH_TEST_FULL: '1',
      ...(postgres ? { BERTH_TEST_POSTGRES: postgres.url } : {}),
    },
  });
  process.exitCode = status ?? 1;
} finally {
  await postgres?.stop();
}
