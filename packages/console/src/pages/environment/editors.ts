/** Links that editors on the person's own computer answer to. */
import type { SshAccess } from '@berth/contract';
import { links } from '@berth/contract/paths';

const folder = '/gemini/code';

interface Address {
  user: string;
  host: string;
  port: number;
}

/** The way in that the ssh command takes: the own port, else the shared one. */
export function addressOf({
  env_id,
  ssh_host,
  ssh_port,
  ssh_username,
  shared_port,
}: SshAccess): Address | null {
  if (ssh_port !== null) return { user: ssh_username, host: ssh_host, port: ssh_port };
  return shared_port === null ? null : { user: env_id, host: ssh_host, port: shared_port };
}

export function vscodeLink({ user, host, port }: Address): string {
  return links.vscode(`${user}@${host}:${port}`, folder);
}

export function jetbrainsLink({ user, host, port }: Address): string {
  return links.jetbrains(user, host, port, folder);
}
