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

/** What an environment says, or its SshAccess. */
type Ways = Pick<Environment, 'env_id' | 'ssh_host' | 'ssh_port' | 'ssh_username' | 'shared_port'>;

/** The first way in that there is: the own port, else the shared one, where the id is the user name. */
export function firstWay(ways: Ways): { username: string; host: string; port: number } | undefined {
  const { env_id, ssh_host: host, ssh_port, ssh_username, shared_port } = ways;
  if (ssh_port !== null) return { username: ssh_username, host, port: ssh_port };
  return shared_port === null ? undefined : { username: env_id, host, port: shared_port };
}

export const noWayIn = 'no way in: it has no own port, and there is no shared one';

export function addressOf(environment: Environment): string {
  const way = firstWay(environment);
  return way === undefined ? noWayIn : sshCommand(way.username, way.host, way.port);
}

/** @throws CommandFailure where neither port is there */
export function mustHaveWay(ways: Ways, name: string): { username: string; host: string; port: number } {
  const way = firstWay(ways);
  if (way !== undefined) return way;
  throw new CommandFailure(
    exitCodes.failed,
    'no_way_in',
    `${name} has no own port and this Berth no shared one, so ssh has no address to go to`,
    'Set sharedPort, or create an environment with --own-port yes.',
  );
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
    ['ssh', access.ssh_command ?? noWayIn],
    ['user', firstWay(access)?.username ?? access.ssh_username],
    ['password', access.ssh_password],
    ...(access.sftp_url === null ? [] : [['sftp', access.sftp_url] as [string, string]]),
    ...(access.shared_port_command === null
      ? []
      : [['shared port', access.shared_port_command] as [string, string]]),
    ...(access.jump_command === null ? [] : [['jump', access.jump_command] as [string, string]]),
    ...access.host_keys.map((key): [string, string] => ['host key', `${key.type} ${key.fingerprint}`]),
    ...(access.vscode_config === null ? [] : [['VS Code', access.vscode_config] as [string, string]]),
    ...(knownHostsOf(access) === '' ? [] : [['known_hosts', knownHostsOf(access)] as [string, string]]),
  ]);
}

/** Lines for known_hosts, for every way in. */
export function knownHostsOf({ known_hosts, shared_known_hosts, jump_known_hosts }: SshAccess): string {
  const texts = [known_hosts, jump_known_hosts, shared_known_hosts];
  const lines = texts.flatMap((text) => (text ?? '').split('\n')).filter((line) => line !== '');
  return [...new Set(lines)].join('\n');
}
