/**
 * What the whole of Berth costs, gateway and server together: beside no relay at all, and beside the bare relay of
 * packages/ssh, which knows no policy, counts nothing and asks nobody. The sections are those of the bench `ssh-relay`,
 * and two of its own.
 */
import type { Figure } from '../main.ts';
import { berth } from '../ssh-relay/relays/berth.ts';
import { direct } from '../ssh-relay/relays/direct.ts';
import { type Sections, runSections } from '../ssh-relay/run-sections.ts';
import { echo } from '../ssh-relay/sections/echo.ts';
import { firstByte } from '../ssh-relay/sections/first-byte.ts';
import { logins } from '../ssh-relay/sections/logins.ts';
import { memory } from '../ssh-relay/sections/memory.ts';
import { throughput } from '../ssh-relay/sections/throughput.ts';
import { idle } from './sections/idle.ts';
import { minute } from './sections/minute.ts';
import { whole } from './whole.ts';

const relays = [direct, { ...berth, name: 'bare relay' }, whole];

const sections: Sections = {
  throughput: { needsGo: false, run: throughput },
  echo: { needsGo: true, run: echo },
  logins: { needsGo: true, run: logins },
  minute: { needsGo: true, run: minute },
  'first-byte': { needsGo: false, run: firstByte },
  memory: { needsGo: true, run: memory },
  idle: { needsGo: true, run: idle },
};

export const gatewaySections = Object.keys(sections);

export function gateway(options: { rounds?: number; only?: readonly string[] }): Promise<Figure[]> {
  return runSections(sections, relays, { ...options, floors: 2 });
}
