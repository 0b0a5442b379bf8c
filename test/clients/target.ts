/** What a matrix of cases runs against: a server (stock, ours, or a relay in front of either) with its user and keys. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certify, type KeyType, keyTypes, makeKeyFile, makeKeyFiles } from './keys.ts';
import type { Ability, Algorithms, Connection, KeyFile, LoginStep, ServerOptions } from './peers/peer.ts';

/** Keys and words of a user and a server, from which both a server is started and a target is made. */
export interface Identities {
  /** Holds the files; its subfolders are for the cases. */
  readonly folder: string;
  readonly password: string;
  readonly hostKeys: Readonly<Record<KeyType, KeyFile>>;
  readonly userKeys: Readonly<Record<KeyType, KeyFile>>;
  readonly authority: KeyFile;
  /** Keys that are good only with their certificates, for the user that `certify` was asked for. */
  readonly certified: Readonly<Record<KeyType, KeyFile>>;
  readonly remove: () => void;
}

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** A folder that the user's commands and the test both reach under this name. */
  readonly home: string;
  readonly identities: Identities;
  readonly abilities: ReadonlySet<Ability>;
  readonly algorithms: Algorithms;
  /** Where the same server asks for a key and a password, if it has that ability; else its only port. */
  readonly sequencePort: number;
}

export function makeIdentities(): Identities {
  const folder = mkdtempSync(join(tmpdir(), 'ssh-clients-'));
  return {
    folder,
    password: 'correct horse',
    hostKeys: makeKeyFiles(folder, 'host'),
    userKeys: makeKeyFiles(folder, 'user'),
    authority: makeKeyFile(folder, 'authority', 'ssh-ed25519'),
    certified: makeKeyFiles(folder, 'certified'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** What a server must be started with for a target of these identities. */
export function serverOptions(identities: Identities): ServerOptions {
  return {
    hostKeys: Object.values(identities.hostKeys),
    password: identities.password,
    authorizedKeys: Object.values(identities.userKeys).map(({ publicLine }) => publicLine),
    authority: identities.authority.publicLine,
  };
}

/** Signs every key that is to be certified, for `user`. */
export function certifyAll({ authority, certified }: Identities, user: string): void {
  for (const type of keyTypes) certify(authority, certified[type], user);
}

/** A connection to the target with a folder of its own; without steps it logs in by an Ed25519 key. */
export function connectionTo(
  target: Target,
  name: string,
  options: Partial<Omit<Connection, 'host' | 'user' | 'folder'>> = {},
): Connection {
  const { host, port, user, identities } = target;
  const folder = mkdtempSync(join(identities.folder, `${name.replace(/\W+/g, '-').slice(0, 20)}-`));
  mkdirSync(folder, { recursive: true });
  const byKey: LoginStep = { method: 'publickey', key: identities.userKeys['ssh-ed25519'] };
  const hostKeys = Object.values(identities.hostKeys).map(({ publicLine }) => publicLine);
  return { host, port, user, hostKeys, login: [byKey], folder, ...options };
}
