/**
 * Environments that are started by whoever logs in: the server is asked for the way there, says how the start gets on,
 * and goes on with it when the client gives up. attempt.ts calls it before it lets somebody in, connection.ts for those
 * who must ask for a terminal first.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Grant, Upstream } from '@berth/contract';
import type { WaitingRoom } from '@berth/ssh';
import type { ServerLink } from './control/server-link.ts';
import type { UpstreamKey } from './upstream.ts';

/** The start did not come to anything; the message is a sentence for the person. */
export class WakeFailed extends Error {
  override name = 'WakeFailed';
}

export interface WakeOf {
  /** Id of the attempt whose credential was right. */
  attempt: string;
  grant: Grant;
  source: string;
  upstreamKey: UpstreamKey;
  signal: AbortSignal;
}

/** How long a client that is in may take to say whether it wants a terminal. */
const askMs = 60_000;

/**
 * @param progress a line for the person, without its end
 * @throws WakeFailed, ServerAway, or the signal's reason
 */
export async function wakeEnvironment(
  server: ServerLink,
  { attempt, grant, source, upstreamKey, signal }: WakeOf,
  progress: (line: string) => void,
): Promise<Upstream> {
  const { environment, account, forwarding, forceCommand } = grant;
  const lines = server.upstream(
    {
      attempt,
      environment,
      upstream_key: upstreamKey.publicKey,
      account,
      source,
      forwarding,
      force_command: forceCommand,
      wake: true,
    },
    signal,
  );
  for await (const line of lines) {
    if (line.type === 'ready') return line.upstream;
    if (line.type === 'failed') throw new WakeFailed(line.sentence);
    progress(`${environment} is starting: ${line.message.replace(/\.$/, '')} (${line.seconds} s)`);
  }
  throw new WakeFailed(`${environment} did not start; try again.`);
}

/**
 * Waits until a client that is in asks for a terminal. Whoever asks for something else, or for nothing, reads the
 * sentence and is gone.
 *
 * @returns whether it wants a terminal
 * @throws TransportError when the client leaves
 */
export async function wantsTerminal(room: WaitingRoom, sentence: string): Promise<boolean> {
  const stop = new AbortController();
  const late = pause(askMs, 'no terminal' as const, { signal: stop.signal }).catch(
    () => 'no terminal' as const,
  );
  try {
    const asked = await Promise.race([room.asked, late]);
    if (asked === 'no terminal') room.refuse(sentence);
    return asked === 'terminal';
  } finally {
    stop.abort();
  }
}
