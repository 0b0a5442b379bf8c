/**
 * What a relay of SSH costs: every relay beside the stock server without one, in turns in one run. Each section runs
 * alone with `--only NAME`; `--rounds N` makes it shorter or surer.
 */
import type { Figure } from '../main.ts';
import { berth } from './relays/berth.ts';
import { direct } from './relays/direct.ts';
import { go } from './relays/go.ts';
import { jump } from './relays/jump.ts';
import { pipe } from './relays/pipe.ts';
import { type Sections, runSections } from './run-sections.ts';
import { echo } from './sections/echo.ts';
import { firstByte } from './sections/first-byte.ts';
import { logins } from './sections/logins.ts';
import { longPath } from './sections/long-path.ts';
import { memory } from './sections/memory.ts';
import { throughput } from './sections/throughput.ts';

const sections: Sections = {
  throughput: { needsGo: false, run: throughput },
  'first-byte': { needsGo: false, run: firstByte },
  logins: { needsGo: true, run: logins },
  'long-path': { needsGo: false, run: longPath },
  memory: { needsGo: true, run: memory },
  echo: { needsGo: true, run: echo },
};

export const sshRelaySections = Object.keys(sections);

export function sshRelay(options: { rounds?: number; only?: readonly string[] }): Promise<Figure[]> {
  return runSections(sections, [direct, pipe, jump, go, berth], options);
}
