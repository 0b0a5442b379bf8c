/**
 * The ways in of an environment behind the gateway, for the stock clients: each a configuration file in which the host
 * `target` is the environment, with the host keys that Berth shows pinned.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SshAccess } from '@berth/contract';

export const sshWays = ['own port', 'shared port', 'jump'] as const;
export type SshWay = (typeof sshWays)[number];

/** Where an environment is, and with what one gets in. */
export interface Whereabouts {
  access: SshAccess;
  sharedPort: number;
  /** Private key file; null: the password, which the jump itself does not take. */
  key: string | null;
  /** Private key file and name of the account that jumps. */
  jumper: { key: string; account: string };
}

export class Door {
  readonly way: SshWay;
  readonly config: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'berth-door-'));

  constructor(way: SshWay, { access, sharedPort, key, jumper }: Whereabouts) {
    this.way = way;
    const known = join(this.#folder, 'known_hosts');
    const [ownHostKey = ''] = hostKeysOf(access.known_hosts);
    const lines = [
      access.known_hosts ?? '',
      access.shared_known_hosts ?? '',
      // What a jump leads to has a name of its own.
      ...(ownHostKey === '' ? [] : [`${access.env_id} ${ownHostKey}`]),
    ];
    writeFileSync(known, `${lines.join('\n')}\n`);
    const password = join(this.#folder, 'password');
    writeFileSync(password, `${access.ssh_password}\n`, { mode: 0o600 });
    const common = [
      `UserKnownHostsFile ${known}`,
      'GlobalKnownHostsFile none',
      'StrictHostKeyChecking yes',
      'NumberOfPasswordPrompts 1',
      'ConnectTimeout 15',
      'IdentitiesOnly yes',
    ];
    const byKey = (file: string) => [
      `IdentityFile ${file}`,
      'PreferredAuthentications publickey',
      'BatchMode yes',
    ];
    const credential =
      key === null ? ['PreferredAuthentications password', 'PubkeyAuthentication no'] : byKey(key);
    const place = {
      'own port': [`HostName ${access.ssh_host}`, `Port ${access.ssh_port}`, `User ${access.ssh_username}`],
      'shared port': [`HostName ${access.ssh_host}`, `Port ${sharedPort}`, `User ${access.env_id}`],
      jump: [`HostName ${access.env_id}`, 'Port 22', `User ${access.ssh_username}`, 'ProxyJump door'],
    }[way];
    this.config = join(this.#folder, 'config');
    writeFileSync(
      this.config,
      [
        ...block('target', [...place, ...credential, ...common]),
        ...block('door', [
          ...[`HostName ${access.ssh_host}`, `Port ${sharedPort}`, `User ${jumper.account}`],
          ...byKey(jumper.key),
          ...common,
        ]),
      ].join('\n'),
    );
  }

  /** Options of a program of the family that comes from this address of the machine, also to the jump. */
  from(source: string): string[] {
    const config = join(this.#folder, `config-${source}`);
    if (!existsSync(config))
      writeFileSync(config, `BindAddress ${source}\n${readFileSync(this.config, 'utf8')}`);
    return ['-F', config];
  }

  /** In front of a program of the family whose password, if it asks for one, is the environment's. */
  get passwordPrefix(): string[] {
    return ['-f', join(this.#folder, 'password')];
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** `TYPE BLOB` of each line of a known_hosts file. */
export function hostKeysOf(knownHosts: string | null): string[] {
  return (knownHosts ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' ').slice(1, 3).join(' '));
}

function block(host: string, lines: string[]): string[] {
  return [`Host ${host}`, ...lines.map((line) => `  ${line}`), ''];
}
