/** Rows as the API shows them. */
import { hostBlock, jumpCommand, links, sshCommand } from '@berth/contract';
import type { Environment, Exposure, Resources, SshAccess, Status } from '@berth/contract';
import { fingerprint, knownHostsLine, parsePublicKey } from '@berth/ssh';
import { passwordExpiry } from '../credentials/credentials.ts';
import type { PasswordAges } from '../credentials/credentials.ts';
import type { CredentialsRow } from '../database/schema.ts';
import { areEqual, resourcesOf } from './resources.ts';
import type { EnvironmentWithPort } from './table.ts';

export interface Addresses {
  publicUrl: string;
  sshHost: string;
  /** 0: there is none. */
  sharedPort: number;
  passwordAges: PasswordAges;
}

export function presentEnvironment(
  row: EnvironmentWithPort,
  { publicUrl, sshHost, sharedPort, passwordAges }: Addresses,
): Environment {
  return {
    env_id: row.id,
    name: row.name,
    customer_id: row.customer_id,
    image: row.image,
    resources: resourcesOf(row),
    running_resources: otherResources(row),
    datasets: row.datasets,
    env_vars: row.env_var_names,
    exposure: row.exposure,
    running_exposure: otherExposure(row),
    forwarding: row.forwarding,
    password_login: row.password_login,
    wake: row.wake,
    own_port: row.own_port,
    sudo: row.sudo,
    status: row.status as Status,
    status_since: row.status_since.toISOString(),
    step: row.step,
    failure:
      row.status === 'failed'
        ? { code: row.failure_code ?? '', cause: row.failure_cause ?? '', cure: row.failure_cure ?? '' }
        : null,
    notes: [...row.notes, ...accessNotes(row)],
    ssh_host: sshHost,
    ssh_port: row.port,
    ssh_username: row.username,
    shared_port: sharedPort || null,
    jupyter_url: links.jupyter(publicUrl, row.id),
    created_at: row.created_at.toISOString(),
    started_at: row.started_at?.toISOString() ?? null,
    password_expires_at:
      row.password_changed_at === null
        ? null
        : (passwordExpiry(row.password_changed_at, row.password_notice_at, passwordAges)?.toISOString() ??
          null),
  };
}

const withContainer: readonly string[] = ['running', 'stopping', 'restarting'] satisfies Status[];

/** What the container that runs just now has, where that differs from what the next one gets. */
function otherResources(row: EnvironmentWithPort): Resources | null {
  const { running_resources: running, status } = row;
  return running === null || !withContainer.includes(status) || areEqual(running, resourcesOf(row))
    ? null
    : running;
}

/** What serves its own port just now, where that differs from what does from the next start. */
function otherExposure({ running_exposure: running, exposure }: EnvironmentWithPort): Exposure | null {
  return running === exposure ? null : running;
}

function accessNotes(row: EnvironmentWithPort): string[] {
  const notes = [];
  if (otherExposure(row) !== null) {
    notes.push(
      `From the next start its own port is served by the ${row.exposure === 'gateway' ? 'gateway' : 'container itself'}; port and host key stay.`,
    );
  }
  if (row.customer_password_login === false)
    notes.push('Passwords are switched off for all environments of its customer: only keys get in.');
  else if (!row.password_login) notes.push('Its password is switched off: only keys get in.');
  return notes;
}

interface SshFacts {
  credentials: CredentialsRow;
  password: string;
  /** Who asks: the user name of a jump. */
  account: string;
  /** Public key lines. */
  sharedHostKeys: string[];
  addresses: Addresses;
}

export function presentSsh(
  row: EnvironmentWithPort,
  { credentials, password, account, sharedHostKeys, addresses }: SshFacts,
): SshAccess {
  const { id, port, username } = row;
  const { sshHost, sharedPort, passwordAges } = addresses;
  const { password_changed_at, password_notice_at, host_key_public } = credentials;
  const hostKey = parsePublicKey(host_key_public);
  const isShared = sharedPort !== 0;
  const sharedKnownHosts =
    isShared && sharedHostKeys.length > 0
      ? sharedHostKeys.map((line) => knownHostsLine(sshHost, sharedPort, line)).join('\n')
      : null;
  const own = port === null ? null : { user: username, port };
  const first = own ?? (isShared ? { user: id, port: sharedPort } : null);
  return {
    env_id: id,
    ssh_host: sshHost,
    ssh_port: port,
    ssh_username: username,
    ssh_password: password,
    password_changed_at: password_changed_at.toISOString(),
    password_expires_at:
      passwordExpiry(password_changed_at, password_notice_at, passwordAges)?.toISOString() ?? null,
    ssh_command: first && sshCommand(first.user, sshHost, first.port),
    vscode_config: first && hostBlock(id, first.user, sshHost, first.port),
    sftp_url: first && links.sftp(first.user, sshHost, first.port),
    host_keys: [{ type: hostKey.type, fingerprint: fingerprint(hostKey.blob) }],
    known_hosts: own ? knownHostsLine(sshHost, own.port, host_key_public) : sharedKnownHosts,
    shared_port: isShared ? sharedPort : null,
    shared_port_command: isShared ? sshCommand(id, sshHost, sharedPort) : null,
    shared_known_hosts: sharedKnownHosts,
    jump_command: isShared ? jumpCommand(account, sshHost, sharedPort, username, id) : null,
    jump_known_hosts: isShared ? knownHostsLine(id, 22, host_key_public) : null,
  };
}
