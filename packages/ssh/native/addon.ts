// Where the addon is, how it is built, and how it is loaded. It belongs to one source and one Node: the
// name of the built file holds a hash of both, so that a changed source or another Node finds none, and
// uses node:crypto until build.ts ran again.

import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const source = join(import.meta.dirname, 'packet-protection.c');
const folder = join(import.meta.dirname, 'build');
const compiler = 'cc';
// That the loader finds each function of OpenSSL at once (`now`) makes an unfit Node fail at loading, and
// not in the middle of a connection.
const flags = [
  '-std=gnu11',
  '-O2',
  '-fPIC',
  '-shared',
  '-fvisibility=hidden',
  '-fstack-protector-strong',
  '-Wall',
  '-Wextra',
  '-Wl,-z,relro,-z,now',
];

/** The external that stands for one direction. */
export type State = { readonly state: unique symbol };

/** What packet-protection.c exports; its comments say what the numbers mean. */
export interface Addon {
  create(
    isSealing: boolean,
    mode: number,
    digest: string,
    isLengthInBlocks: boolean,
    blockBytes: number,
    tagBytes: number,
    maximumPacketBytes: number,
    sequenceNumber: number,
    encryptionKey: Buffer,
    iv: Buffer,
    macKey: Buffer,
  ): State;
  open(state: State, bytes: Buffer, start: number, end: number, words: Uint32Array): number;
  seal(state: State, source: Uint8Array, words: Uint32Array, output: Buffer, offset: number): number;
  sequenceNumber(state: State): number;
  close(state: State): void;
  quickAck(descriptor: number): boolean;
  send(descriptor: number, bytes: Buffer, start: number, end: number): number;
}

/** The addon, or why there is none, as the end of a sentence. */
export function loadAddon(): Addon | string {
  const path = builtPath();
  if (existsSync(path)) {
    try {
      return createRequire(import.meta.url)(path) as Addon;
    } catch (error) {
      return `the addon does not load: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  try {
    return readFileSync(reasonPath(path), 'utf8');
  } catch {
    return `the addon was not built for Node ${process.versions.node}`;
  }
}

/** Builds the addon for the Node that runs this, unless that is done. What stood in the way is kept for `loadAddon`. */
export function buildAddon(): void {
  const path = builtPath();
  if (existsSync(path)) return;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const reason = compile(path);
  if (reason !== undefined) writeFileSync(reasonPath(path), reason);
}

/** Returns what stood in the way. */
function compile(path: string): string | undefined {
  if (process.platform !== 'linux') return `the addon is not built on ${process.platform}`;
  const headers = headerFolder();
  if (headers === undefined) return `the headers of Node ${process.versions.node} are not there`;
  // Two may build at once, and one that is cut off must leave nothing that looks whole.
  const unfinished = `${path}.${process.pid}`;
  const result = spawnSync(compiler, [...flags, '-I', headers, '-o', unfinished, source], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (result.error !== undefined) return `there was no C compiler (${compiler}) to build the addon with`;
  if (result.status !== 0) {
    rmSync(unfinished, { force: true });
    return `the C compiler (${compiler}) did not build the addon: ${result.stderr.trim().split('\n')[0]}`;
  }
  renameSync(unfinished, path);
  return undefined;
}

/** Where this Node's headers are, OpenSSL's among them: beside it as nodejs.org packs it, or as npm does. */
function headerFolder(): string | undefined {
  const installed = dirname(dirname(process.execPath));
  const platformPackage = `node-${process.platform}-${process.arch}`;
  return [
    installed,
    join(installed, 'node_modules', platformPackage),
    join(dirname(installed), platformPackage),
  ]
    .map((place) => join(place, 'include', 'node'))
    .find((place) => isOfThisNode(place) && existsSync(join(place, 'openssl', 'evp.h')));
}

function isOfThisNode(headers: string): boolean {
  const file = join(headers, 'node_version.h');
  if (!existsSync(file)) return false;
  const text = readFileSync(file, 'utf8');
  const parts = ['MAJOR', 'MINOR', 'PATCH'].map(
    (part) => new RegExp(`define NODE_${part}_VERSION (\\d+)`).exec(text)?.[1],
  );
  return parts.join('.') === process.versions.node;
}

function builtPath(): string {
  const { node, openssl } = process.versions;
  const belongsTo = [node, openssl, process.platform, process.arch, compiler, ...flags];
  const key = hash('sha256', Buffer.concat([readFileSync(source), Buffer.from(belongsTo.join(' '))]));
  return join(folder, `packet-protection-${key.slice(0, 16)}.node`);
}

function reasonPath(path: string): string {
  return `${path}.txt`;
}
