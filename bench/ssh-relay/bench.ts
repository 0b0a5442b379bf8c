/**
 * What a relay of SSH costs: every relay beside the stock server without one, in turns in one run. Each section runs
 * alone with `--only NAME`; `--rounds N` makes it shorter or surer.
 */
import type { Figure } from '../main.ts';
import { progress } from '../statistics.ts';
import { berth } from './relays/berth.ts';
import { direct } from './relays/direct.ts';
import { go } from './relays/go.ts';
import { jump } from './relays/jump.ts';
import { pipe } from './relays/pipe.ts';
import type { Relay } from './relays/relay.ts';
import { missingGo } from './go-program.ts';
import { missingSshd } from '../../packages/ssh/src/testing/sshd.ts';
import { echo } from './sections/echo.ts';
import { firstByte } from './sections/first-byte.ts';
import { logins } from './sections/logins.ts';
import { longPath } from './sections/long-path.ts';
import { memory } from './sections/memory.ts';
import { throughput } from './sections/throughput.ts';
import { Stage } from './stage.ts';

/** `direct` comes first: it is what the others are held against. */
const relays: Relay[] = [direct, pipe, jump, go, berth];

const sections: Record<string, { needsGo: boolean; run(stage: Stage): Promise<Figure[]> }> = {
  throughput: { needsGo: false, run: throughput },
  'first-byte': { needsGo: false, run: firstByte },
  logins: { needsGo: true, run: logins },
  'long-path': { needsGo: false, run: longPath },
  memory: { needsGo: true, run: memory },
  echo: { needsGo: true, run: echo },
};

export const sshRelaySections = Object.keys(sections);

export async function sshRelay(options: { rounds?: number; only?: readonly string[] }): Promise<Figure[]> {
  if (missingSshd !== false) throw new Error(missingSshd);
  const stage = new Stage(relays.filter(canTakePart), options.rounds ?? 5);
  // Also when it is cut off: what was started ends with this process.
  process.once('exit', () => stage.remove());
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const figures: Figure[] = [];
  for (const name of options.only ?? sshRelaySections) {
    const section = sections[name];
    if (section === undefined)
      throw new Error(`There is no section ${name}: ${sshRelaySections.join(', ')}.`);
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
