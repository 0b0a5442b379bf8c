// Builds the program in go/ the first time it is wanted, into the project's cache folder.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { progress } from '../statistics.ts';
import { run } from './processes.ts';

const sources = fileURLToPath(new URL('go/', import.meta.url));
const cache = fileURLToPath(new URL('../../.cache/ssh-relay-bench/', import.meta.url));
// Where Go's own installation puts itself, which is not on everybody's path.
const candidates = ['go', '/usr/local/go/bin/go'];
const go = candidates.find((each) => spawnSync(each, ['version']).status === 0);

export const missingGo = go === undefined ? 'go is not there; install it from https://go.dev/dl' : undefined;

let built: Promise<string> | undefined;

/** @returns the path of the program */
export function goProgram(): Promise<string> {
  built ??= build();
  return built;
}

async function build(): Promise<string> {
  if (go === undefined) throw new Error(missingGo);
  const names = readdirSync(sources).filter((name) => name !== 'packets');
  const added = readFileSync(join(sources, 'packets/packets.go'));
  const hash = createHash('sha256').update(added);
  for (const name of names) hash.update(readFileSync(join(sources, name)));
  const folder = join(cache, hash.digest('hex').slice(0, 16));
  const program = join(folder, 'ssh-relay');
  if (existsSync(program)) return program;
  progress('building the Go program');
  mkdirSync(folder, { recursive: true });
  for (const name of names) cpSync(join(sources, name), join(folder, name));
  await run(go, ['-C', folder, 'mod', 'vendor']);
  cpSync(
    join(sources, 'packets/packets.go'),
    join(folder, 'vendor/golang.org/x/crypto/ssh/added_packets.go'),
  );
  await run(go, ['-C', folder, 'build', '-mod=vendor', '-trimpath', '-o', 'ssh-relay', '.']);
  return program;
}
