/**
 * npm test: the checks, then every test that this machine can run.
 *
 *   npm test                       everything
 *   npm test -- --checks           only formatting, lint, types and unused code
 *   npm test -- test/end-to-end    only the test files whose path holds one of the words
 *
 * Says aloud what was skipped and what it needs. With CI=true skipping is failing.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from 'node:test';
import type { EventData } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { ensureEnvironmentImage } from '@berth/image';
import { ensureDockerEngine } from '../packages/cli/src/up/docker-engine.ts';
import { startPostgres } from './harness/postgres.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const inCi = process.env['CI'] === 'true';
// Each test file, and each server that one starts, is a process that loads the same modules.
process.env['NODE_COMPILE_CACHE'] ??= join(root, 'node_modules/.cache/berth/modules');

/** A file of the second group wants the machine for itself: it counts seconds or fills the machine with containers. */
const groups: { files: string[]; concurrency: number; longestMs: number }[] = [
  {
    files: ['packages/*/src/**/*.test.ts', 'test/*.test.ts', 'test/fuzz/*.test.ts'],
    concurrency: 2,
    longestMs: 180_000,
  },
  {
    files: ['image/*.test.ts', 'test/{end-to-end,faults,clients}/*.test.ts'],
    concurrency: 1,
    longestMs: 600_000,
  },
];

interface Counts {
  passed: number;
  failed: number;
  skipped: string[];
}

const words = process.argv.slice(2);
const checksFailed = words.length === 0 || words.includes('--checks') ? runChecks() : 0;
if (words.includes('--checks')) process.exit(checksFailed > 0 ? 1 : 0);
process.exit(await runTests());

function runChecks(): number {
  const checks: [name: string, program: string, ...commandLine: string[]][] = [
    ['formatting', 'prettier', '--check', '--log-level=warn', '.'],
    ['lint', 'oxlint', '--deny-warnings', '--quiet'],
    ['types', 'tsc', '-p', 'tsconfig.json'],
    ['unused code', 'knip', '--no-progress'],
  ];
  let failed = 0;
  for (const [name, program, ...commandLine] of checks) {
    const began = Date.now();
    const result = spawnSync(join(root, 'node_modules/.bin', program), commandLine, {
      cwd: root,
      encoding: 'utf8',
    });
    const good = result.status === 0;
    if (!good) failed += 1;
    say(`${good ? 'ok    ' : 'FAILED'} check: ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    if (!good) say(`${result.stdout}${result.stderr}`.trim());
  }
  return failed;
}

async function runTests(): Promise<number> {
  const missing: string[] = [];
  await prepareDocker().catch((error: Error) => missing.push(`containers: ${error.message}`));
  const postgres = await startPostgres();
  if (postgres) process.env['BERTH_TEST_POSTGRES'] = postgres.url;
  else missing.push('PostgreSQL: needs PostgreSQL 15 or later (package postgresql)');

  const counts: Counts = { passed: 0, failed: checksFailed, skipped: [] };
  try {
    for (const { files, concurrency, longestMs } of groups) {
      const chosen = globSync(files, { cwd: root })
        .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
        .sort();
      if (chosen.length > 0) await runGroup(chosen, concurrency, longestMs, counts);
    }
  } finally {
    await postgres?.stop();
  }
  for (const each of missing) say(`Not on this machine: ${each}`);
  for (const each of new Set(counts.skipped)) say(`Skipped: ${each}`);
  const { passed, failed, skipped } = counts;
  if (inCi && skipped.length > 0) say('Skipping is failing here, since CI=true.');
  say(`${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`);
  return failed > 0 || passed === 0 || (inCi && (skipped.length > 0 || missing.length > 0)) ? 1 : 0;
}

async function prepareDocker(): Promise<void> {
  const docker = await ensureDockerEngine({
    mayInstall: process.env['BERTH_INSTALL_DOCKER'] !== 'no',
    dataDir: tmpdir(),
    onProgress: (step, detail) => say(`set-up: ${step}${detail === undefined ? '' : ` ${detail}`}`),
  });
  let last = '';
  await ensureEnvironmentImage({
    docker,
    cacheDir: join(tmpdir(), 'berth-image-cache'),
    onProgress: ({ step }) => {
      if (step !== last) say(`set-up: ${step}`);
      last = step;
    },
  });
}

function runGroup(files: string[], concurrency: number, longestMs: number, counts: Counts): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = run({ files: files.map((file) => join(root, file)), concurrency, timeout: longestMs });
    stream.on('test:pass', (event: EventData.TestPass) => {
      if (event.details.type === 'suite' && event.skip === undefined) return;
      if (event.skip === undefined) counts.passed += 1;
      else counts.skipped.push(`${event.name}: ${event.skip === true ? 'no reason given' : event.skip}`);
    });
    stream.on('test:fail', (event: EventData.TestFail) => {
      // A suite whose tests failed is no failure more; one whose hook failed is.
      const { failureType } = event.details.error as Error & { failureType?: string };
      if (failureType !== 'subtestsFailed') counts.failed += 1;
    });
    stream.once('error', reject);
    stream.compose(new spec()).on('end', resolve).pipe(process.stdout, { end: false });
  });
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
