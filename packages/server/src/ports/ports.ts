/**
 * The rules of own ports.
 *
 * The database's unique index arbitrates, the runtime's answer comes second. A released port rests, so that a line in
 * somebody's known_hosts does not soon meet a stranger; it is given out early only when nothing else is free.
 */
import { BerthError } from '@berth/contract';
import type { Session } from '../database/database.ts';
import type { EnvironmentRow } from '../database/schema.ts';
import type { NewEvent } from '../events/events.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Settings } from '../settings.ts';
import { countPorts, freePorts, insertMapping, lastPort, lockPorts } from './table.ts';

type PortSettings = Pick<Settings, 'portRange' | 'portOrder' | 'portRestSeconds'>;

interface Allocation {
  port: number;
  /** Ports that came first and that another program on the host holds. */
  skipped: number[];
}

/** How many candidates are looked up at once; more only matter where many are held by others. */
const batch = 16;

/**
 * What the environment gets by its wish for an own port, with the lines for its timeline. With `auto` it goes without
 * when none is left.
 *
 * @throws BerthError `ports_exhausted` with `yes`
 */
export async function givePort(
  session: Session,
  runtime: Pick<Runtime, 'portIsHeld'>,
  settings: PortSettings,
  environment: Pick<EnvironmentRow, 'id' | 'customer_id' | 'own_port'>,
  except: number[] = [],
): Promise<{ port: number | null; events: NewEvent[] }> {
  if (environment.own_port === 'no') return { port: null, events: [] };
  try {
    const { port, skipped } = await allocatePort(session, runtime, settings, environment, except);
    const events: NewEvent[] = [{ kind: 'port', message: `Port ${port} is its own.` }];
    if (skipped.length > 0) events.unshift({ kind: 'port', message: skippedNote(skipped) });
    return { port, events };
  } catch (error) {
    if (!(error instanceof BerthError) || environment.own_port === 'yes') throw error;
    return {
      port: null,
      events: [{ kind: 'note', message: `It goes without an own port. ${error.message}` }],
    };
  }
}

/**
 * Gives the environment a port, in the caller's transaction. `except` names ports that the runtime has refused.
 *
 * @throws BerthError `ports_exhausted`
 */
async function allocatePort(
  session: Session,
  runtime: Pick<Runtime, 'portIsHeld'>,
  settings: PortSettings,
  environment: { id: string; customer_id: number },
  except: number[] = [],
): Promise<Allocation> {
  await lockPorts(session);
  const before = await lastPort(session, environment.id);
  const { first, last } = settings.portRange;
  if (before !== undefined && before >= first && before <= last && !except.includes(before)) {
    if (!(await runtime.portIsHeld(before))) {
      await insertMapping(session, environment.id, environment.customer_id, before);
      return { port: before, skipped: [] };
    }
  }
  const skipped: number[] = [];
  for (;;) {
    const candidates = await freePorts(session, {
      ...settings,
      except: [...except, ...skipped],
      limit: batch,
    });
    for (const port of candidates) {
      if (await runtime.portIsHeld(port)) {
        skipped.push(port);
        continue;
      }
      await insertMapping(session, environment.id, environment.customer_id, port);
      return { port, skipped };
    }
    if (candidates.length < batch) break;
  }
  const { used, resting } = await countPorts(session, settings.portRange, settings.portRestSeconds);
  throw new BerthError(
    'ports_exhausted',
    `None of the ${last - first + 1} ports ${first}-${last} is left: ${used} in use, ${resting} resting, ${skipped.length + except.length} held by other programs.`,
    { field: 'own_port' },
  );
}

export function skippedNote(skipped: number[]): string {
  const which = skipped.length === 1 ? `Port ${skipped[0]} was` : `Ports ${skipped.join(', ')} were`;
  return `${which} passed over: another program on this host holds ${skipped.length === 1 ? 'it' : 'them'}.`;
}
