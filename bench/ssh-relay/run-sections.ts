// Runs the sections of a bench of relays that were asked for, on one stage.

import type { Figure } from '../main.ts';
import { missingSshd } from '../../packages/ssh/src/testing/sshd.ts';
import { progress } from '../statistics.ts';
import { missingGo } from './go-program.ts';
import type { Relay } from './relays/relay.ts';
import { Stage } from './stage.ts';

export type Sections = Record<string, { needsGo: boolean; run(stage: Stage): Promise<Figure[]> }>;

/**
 * @param relays `direct` first
 * @param floors how many of them, from the first on, the others are held against
 */
export async function runSections(
  sections: Sections,
  relays: readonly Relay[],
  options: { rounds?: number; only?: readonly string[]; floors?: number },
): Promise<Figure[]> {
  if (missingSshd !== false) throw new Error(missingSshd);
  const stage = new Stage(relays.filter(canTakePart), options.rounds ?? 5, options.floors);
  // Also when it is cut off: what was started ends with this process.
  process.once('exit', () => stage.remove());
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const names = Object.keys(sections);
  const figures: Figure[] = [];
  for (const name of options.only ?? names) {
    const section = sections[name];
    if (section === undefined) throw new Error(`There is no section ${name}: ${names.join(', ')}.`);
    if (section.needsGo && missingGo !== undefined) {
      progress(`${name}: left out, ${missingGo}`);
      continue;
    }
    figures.push(...(await section.run(stage)));
  }
  return figures;
}

function canTakePart(relay: Relay): boolean {
  const missing = relay.missing();
  if (missing !== undefined) progress(`${relay.name}: left out, ${missing}`);
  return missing === undefined;
}
