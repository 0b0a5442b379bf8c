/** The keys and certificates that the cases use, made by ssh-keygen. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyFile } from './peers/peer.ts';

/** How ssh-keygen is asked for each type of key (RFC 4253, 5656, 8709). */
const kinds = {
  'ssh-ed25519': ['-t', 'ed25519'],
  'ecdsa-sha2-nistp256': ['-t', 'ecdsa', '-b', '256'],
  'ecdsa-sha2-nistp384': ['-t', 'ecdsa', '-b', '384'],
  'ecdsa-sha2-nistp521': ['-t', 'ecdsa', '-b', '521'],
  'ssh-rsa': ['-t', 'rsa', '-b', '2048'],
} as const;

export type KeyType = keyof typeof kinds;
export const keyTypes = Object.keys(kinds) as KeyType[];

/** paramiko 5.1 cannot read some keys that have none. */
const comment = 'peer@example.com';

export function makeKeyFile(folder: string, name: string, type: KeyType): KeyFile {
  const file = join(folder, name);
  execFileSync('ssh-keygen', ['-q', '-N', '', '-C', comment, '-f', file, ...kinds[type]], {
    stdio: 'ignore',
  });
  const [kind = '', blob = ''] = readFileSync(`${file}.pub`, 'utf8').split(' ');
  return { file, publicLine: `${kind} ${blob}` };
}

export function makeKeyFiles(folder: string, name: string): Readonly<Record<KeyType, KeyFile>> {
  return Object.fromEntries(
    keyTypes.map((type) => [type, makeKeyFile(folder, `${name}-${type}`, type)]),
  ) as Record<KeyType, KeyFile>;
}

/** A user certificate for `key`, good for an hour for `user`. @returns its file */
export function certify(authority: KeyFile, key: KeyFile, user: string): string {
  const parameters = [
    '-q',
    '-s',
    authority.file,
    '-I',
    'peer',
    '-n',
    user,
    '-V',
    '-5m:+1h',
    `${key.file}.pub`,
  ];
  execFileSync('ssh-keygen', parameters, { stdio: 'ignore' });
  return `${key.file}-cert.pub`;
}
