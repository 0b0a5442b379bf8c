#!/usr/bin/env node
/**
 * Where `berth` begins: plain JavaScript that any Node from 20 on can read. The command itself is TypeScript
 * that Node 26 runs as it is, so an older Node starts the one that the npm package `node` brings, and stands
 * between it and the terminal only for signals and the exit code.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);

function missing() {
  process.stderr.write(
    'berth: The packages that it is made of are not installed. Run "npm install" in its folder.\n',
  );
  process.exitCode = 1;
}

function resolves(name) {
  try {
    return existsSync(require.resolve(name));
  } catch {
    return false;
  }
}

function runWith(executable) {
  const child = spawn(executable, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'])
    process.on(signal, () => child.kill(signal));
  child.once('error', missing);
  child.once('exit', (code, signal) => {
    process.exitCode = signal === null ? code : 128 + constants.signals[signal];
  });
}

if (!resolves('commander') || !resolves('yaml') || !resolves('@berth/contract')) missing();
else if (Number(process.versions.node.split('.')[0]) >= 26) await import('../src/main.ts');
else if (resolves('node/bin/node')) runWith(require.resolve('node/bin/node'));
else missing();
