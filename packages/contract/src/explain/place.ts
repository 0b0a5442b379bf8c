/** Which environment a client meant, by where it went, and what was wrong with how it went there. */
import { sshCommand } from '../paths.ts';
import type { Facts } from '../sentences.ts';
import type { Conversation } from './conversation.ts';
import type { ClientFindingCode } from './client-findings.ts';

/** As the API shows environments, those that the person may see. */
export type KnownPlaces = readonly {
  env_id: string;
  ssh_host: string;
  ssh_port: number | null;
  ssh_username: string;
  shared_port: number | null;
}[];

export interface Place {
  /** null: none of them, or it cannot be told. */
  environment: string | null;
  /** What was wrong with the way there. */
  finding: { code: ClientFindingCode; facts: Facts } | null;
}

const nowhere: Place = { environment: null, finding: null };

export function placeOf({ host, address, port, user, jumpTo }: Conversation, places: KnownPlaces): Place {
  const [first] = places;
  if (first === undefined) return nowhere;
  // Behind a jump an environment is a host of its own name.
  const jumped = places.find(({ env_id }) => env_id === (jumpTo ?? host));
  if (jumpTo !== null) return { environment: jumped?.env_id ?? null, finding: null };
  if (jumped) return { environment: jumped.env_id, finding: wrongUser(jumped, user, jumped.ssh_username) };
  const isHere = [host, address].some((each) => each === first.ssh_host);
  const byPort = places.find(({ ssh_port }) => ssh_port !== null && ssh_port === port);
  // A name in ~/.ssh/config or an address may stand for the same host: its port is as good as a name.
  if (byPort) return { environment: byPort.env_id, finding: wrongUser(byPort, user, byPort.ssh_username) };
  if (!isHere) return nowhere;
  const named = places.find(({ env_id }) => env_id === user);
  if (port !== null && port === first.shared_port) {
    if (named) return { environment: named.env_id, finding: null };
    const only = places.length === 1 ? first : undefined;
    if (user === null || !only) return nowhere;
    const command = sshCommand(only.env_id, only.ssh_host, port);
    return {
      environment: only.env_id,
      finding: { code: 'wrong_user', facts: { user, right_user: only.env_id, command } },
    };
  }
  const meant = named ?? (places.length === 1 ? first : undefined);
  if (port === 22) {
    const { ssh_host, ssh_username, ssh_port, env_id, shared_port } = meant ?? first;
    const command =
      meant === undefined
        ? `ssh ${ssh_username}@${ssh_host} -p PORT`
        : ssh_port !== null
          ? sshCommand(ssh_username, ssh_host, ssh_port)
          : sshCommand(env_id, ssh_host, shared_port ?? 22);
    return {
      environment: meant?.env_id ?? null,
      finding: { code: 'port_22', facts: { host: host ?? ssh_host, command } },
    };
  }
  if (port === null) return nowhere;
  return { environment: meant?.env_id ?? null, finding: { code: 'unknown_port', facts: { port } } };
}

function wrongUser(place: KnownPlaces[number], user: string | null, right: string): Place['finding'] {
  if (user === null || user === right) return null;
  const { ssh_host, ssh_port, env_id } = place;
  const command = ssh_port === null ? `ssh ${right}@${env_id}` : sshCommand(right, ssh_host, ssh_port);
  return { code: 'wrong_user', facts: { user, right_user: right, command } };
}
