/** Environments as commands name and show them. */
import { routes, sshCommand } from '@berth/contract/paths';
import type { CreatedEnvironment, Environment, EnvironmentPage, SshAccess, Status } from '@berth/contract';
import type { Client } from './client.ts';
import { CommandFailure, exitCodes } from './failure.ts';
import { thereAre } from './listing.ts';
import { labelled, printable } from './text.ts';
import type { Cell, Look } from './text.ts';

/**
 * The environment of this name or id. An id wins where one environment's name is another's id.
 *
 * @throws CommandFailure that names the environments there are
 */
export async function findEnvironment(client: Client, nameOrId: string): Promise<Environment> {
  const { items } = await client.get<EnvironmentPage>(routes.environments, { name: nameOrId });
  const found = items.find((each) => each.env_id === nameOrId) ?? items[0];
  if (found !== undefined) return found;
  const names = (await client.all<Environment>(routes.environments)).map((each) => each.name);
  throw new CommandFailure(
    exitCodes.notFound,
    'not_found',
    `not found: there is no environment called ${printable(nameOrId)}; ${thereAre(names)}`,
    names.length === 0 ? 'Make one with: npx berth create NAME' : '',
  );
}

/** "demo is running", "demo has failed" */
export function statusSentence({ name, status }: Pick<Environment, 'name' | 'status'>): string {
  return `${printable(name)} ${status === 'failed' ? 'has' : 'is'} ${status}`;
}

const looks: Partial<Record<Status, Look>> = { running: 'green', failed: 'red', stopped: 'dim' };

export function statusCell(status: Status): Cell {
  return { text: status, look: looks[status] ?? 'yellow' };
}

export function addressOf(environment: Environment): string {
  const { ssh_username, ssh_host, ssh_port } = environment;
  return ssh_port === null ? 'no own port' : sshCommand(ssh_username, ssh_host, ssh_port);
}

/** @throws CommandFailure with cause and cure when the environment did not come up */
export function refuseFailed(environment: Environment): void {
  if (environment.status !== 'failed') return;
  const { failure, name } = environment;
  throw new CommandFailure(
    exitCodes.failed,
    failure?.code ?? 'failed',
    `${name} failed: ${failure?.cause ?? 'the cause is not known'}`,
    failure?.cure ?? `See: npx berth events ${environment.env_id}`,
  );
}

export function createdText(environment: CreatedEnvironment): string {
  return labelled([
    ['id', environment.env_id],
    ['ssh', addressOf(environment)],
    ['password', environment.ssh_password],
    ...environment.notes.map((note): [string, string] => ['note', note]),
  ]);
}

export function sshAccessText(access: SshAccess): string {
  return labelled([
    ['ssh', access.ssh_command ?? 'no own port'],
    ['user', access.ssh_username],
    ['password', access.ssh_password],
    ...(access.sftp_url === null ? [] : [['sftp', access.sftp_url] as [string, string]]),
    ...access.host_keys.map((key): [string, string] => ['host key', `${key.type} ${key.fingerprint}`]),
    ...(access.vscode_config === null ? [] : [['VS Code', access.vscode_config] as [string, string]]),
    ...(access.known_hosts === null ? [] : [['known_hosts', access.known_hosts] as [string, string]]),
  ]);
}
