/** Shows how far the pull of an environment's image is. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import type { EnvironmentRow } from '../database/schema.ts';
import { addEvents } from '../events/events.ts';
import { showPercent } from './table.ts';

/** Between two writes; each is told to everybody who watches. */
const restMs = 1000;

/**
 * The beginning is a line of the timeline; of the percents only the latest is kept, in the environment's row.
 *
 * @returns to be called with each percent
 */
export function pullShown(
  database: Database,
  row: EnvironmentRow,
  reference: string,
): (percent: number) => void {
  let latest: number | null = null;
  let writing = false;
  const write = async () => {
    writing = true;
    for (let shown: number | null = null; latest !== null && latest !== shown;) {
      shown = latest;
      // What cannot be shown is of the past by the next time.
      await showPercent(database, row, 'image', shown).catch(() => undefined);
      await pause(restMs, undefined, { ref: false });
    }
    writing = false;
  };
  return (percent) => {
    if (latest === null) {
      const message = `Pulling the image ${reference}.`;
      addEvents(database, row.id, [{ kind: 'step', step: 'image', message }]).catch(() => undefined);
    }
    latest = percent;
    if (!writing) void write();
  };
}
