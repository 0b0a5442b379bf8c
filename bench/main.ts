/**
 * npm run bench -- NAME [--json] [--rounds N] [--only SECTION,...]: the published figures, each measured beside its floor in one run.
 *
 * Progress goes to stderr; the figures go to stdout, as a table or as one JSON document.
 */
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { skipWithoutDocker } from '../test/harness/berth.ts';
import { burst } from './burst.ts';
import { create } from './create.ts';
import { gateway, gatewaySections } from './gateway/bench.ts';
import { manyEnvironments } from './many.ts';
import { memory } from './memory.ts';
import { sshCiphers } from './ssh-ciphers.ts';
import { sshHostile } from './ssh-hostile.ts';
import { sshRelay, sshRelaySections } from './ssh-relay/bench.ts';

export interface Figure {
  name: string;
  value: number;
  unit: string;
  /** What it is held against, where there is something. */
  target?: string;
}

interface Bench {
  what: string;
  needsDocker: boolean;
  /** What `--only` chooses from; a bench that has them takes `--rounds` too. */
  sections?: readonly string[];
  run(options: { rounds?: number; only?: readonly string[] }): Promise<Figure[]>;
}

const benches: Record<string, Bench> = {
  create: {
    what: 'from the request to the first login, beside docker run of the same image',
    needsDocker: true,
    run: create,
  },
  burst: { what: '100 environments asked for at once', needsDocker: true, run: burst },
  many: { what: 'what 10,000 environments cost', needsDocker: true, run: manyEnvironments },
  memory: { what: "the server's memory at rest, with the embedded database", needsDocker: true, run: memory },
  gateway: {
    what: 'what gateway and server cost, beside no relay and beside the bare relay',
    needsDocker: false,
    sections: gatewaySections,
    run: gateway,
  },
  'ssh-ciphers': {
    what: 'one opening and one sealing of SSH packets, by the addon and by node:crypto',
    needsDocker: false,
    run: sshCiphers,
  },
  'ssh-hostile': {
    what: 'what strangers do to a gateway: its event loop, its memory, and the login of somebody else meanwhile',
    needsDocker: false,
    run: sshHostile,
  },
  'ssh-relay': {
    what: 'what a relay of SSH costs, beside ssh -J, a TCP pipe and a relay in Go',
    needsDocker: false,
    sections: sshRelaySections,
    run: sshRelay,
  },
};

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, rounds: { type: 'string' }, only: { type: 'string' } },
});
const [name = ''] = positionals;
const bench = benches[name];
const only = values.only?.split(',');
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
const isUnderstood =
  positionals.length === 1 &&
  (bench?.sections !== undefined || (only ?? rounds) === undefined) &&
  (only ?? []).every((section) => bench?.sections?.includes(section)) &&
  (rounds === undefined || (Number.isSafeInteger(rounds) && rounds > 0));
if (bench === undefined || !isUnderstood) {
  const names = Object.entries(benches).map(([each, { what, sections }]) => {
    const line = `  ${each.padEnd(11)} ${what}`;
    return sections ? `${line}\n${''.padEnd(14)}[--rounds N] [--only ${sections.join(',')}]` : line;
  });
  process.stderr.write(`usage: npm run bench -- NAME [--json]\n${names.join('\n')}\n`);
  process.exit(2);
}
if (bench.needsDocker && skipWithoutDocker !== false) {
  process.stderr.write(`berth: the bench ${skipWithoutDocker}\n`);
  process.exit(1);
}

const figures = await bench.run({ ...(rounds && { rounds }), ...(only && { only }) });
const machine = `${cpus().length} x ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 1024 ** 3)} GiB`;
const date = new Date().toISOString().slice(0, 10);
if (values.json) {
  process.stdout.write(`${JSON.stringify({ bench: name, machine, date, figures }, null, 2)}\n`);
} else {
  process.stdout.write(`${bench.what}\n${machine}, ${date}\n\n`);
  const width = Math.max(...figures.map((figure) => figure.name.length));
  for (const { name, value, unit, target } of figures) {
    const held = target === undefined ? '' : `   (target ${target})`;
    process.stdout.write(`${name.padEnd(width)}  ${String(round(value)).padStart(9)} ${unit}${held}\n`);
  }
}
process.exit(0);

function round(value: number): number {
  return Number(value.toPrecision(4));
}
