/** Rows as the API shows them. */
import { hostBlock, links, sshCommand } from '@berth/contract';
import type { Environment, Resources, SshAccess, Status } from '@berth/contract';
import { fingerprint, knownHostsLine, parsePublicKey } from '@berth/ssh';
import { passwordExpiry } from '../credentials/credentials.ts';
import type { PasswordAges } from '../credentials/credentials.ts';
import type { CredentialsRow } from '../database/schema.ts';
import { areEqual, resourcesOf } from './resources.ts';
import type { EnvironmentWithPort } from './table.ts';

export interface Addresses {
  publicUrl: string;
  sshHost: string;
  passwordAges: PasswordAges;
}

export function presentEnvironment(
  row: EnvironmentWithPort,
  { publicUrl, sshHost, passwordAges }: Addresses,
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
    own_port: row.own_port,
    sudo: row.sudo,
    status: row.status as Status,
    status_since: row.status_since.toISOString(),
    step: row.step,
    failure:
      row.status === 'failed'
        ? { code: row.failure_code ?? '', cause: row.failure_cause ?? '', cure: row.failure_cure ?? '' }
        : null,
    notes: row.notes,
    ssh_host: sshHost,
    ssh_port: row.port,
    ssh_username: row.username,
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

export function presentSsh(
  row: EnvironmentWithPort,
  credentials: CredentialsRow,
  password: string,
  { sshHost, passwordAges }: Addresses,
): SshAccess {
  const { port, username } = row;
  const { password_changed_at, password_notice_at } = credentials;
  const hostKey = parsePublicKey(credentials.host_key_public);
  return {
    env_id: row.id,
    ssh_host: sshHost,
    ssh_port: port,
    ssh_username: username,
    ssh_password: password,
    password_changed_at: password_changed_at.toISOString(),
    password_expires_at:
      passwordExpiry(password_changed_at, password_notice_at, passwordAges)?.toISOString() ?? null,
    ssh_command: port === null ? null : sshCommand(username, sshHost, port),
    vscode_config: port === null ? null : hostBlock(row.id, username, sshHost, port),
    sftp_url: port === null ? null : links.sftp(username, sshHost, port),
    host_keys: [{ type: hostKey.type, fingerprint: fingerprint(hostKey.blob) }],
    known_hosts: port === null ? null : knownHostsLine(sshHost, port, credentials.host_key_public),
  };
}
