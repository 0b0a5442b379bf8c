/** The server killed after each kind of step of each operation. What was answered comes true, and nothing is left over. */
import { describe, it } from 'node:test';
import { skipWithoutDocker } from '../harness/berth.ts';
import { databases } from '../harness/databases.ts';
import { CrashWalk, walkCycle, writes } from './crash-walk.ts';
import type { OperationName } from './crash-walk.ts';
import type { At } from './kill-at.ts';

/** Every boundary of every operation, reads as well, on both databases: "npm run soak -- crash". */
const full = process.env['BERTH_TEST_FULL'] === '1';

/** Each leads back to where it began. All but the first need an environment that runs. */
const cycles: OperationName[][] = [
  ['create', 'delete'],
  ['stop', 'start'],
  ['delete-keeping', 'adopt'],
  // What these write is a row or two; they are walked in full only.
  ...(full
    ? ([['restart'], ['change'], ['reset-password'], ['add-key', 'delete-key']] as OperationName[][])
    : []),
];
const everyStep = new Set<OperationName>(['create']);

/** What every operation ends its two transactions and its answer with is another moment in each. */
const ofEachOperation = /^sql commit|^answer/;

/** The files of secrets are written alike, and so are the volumes made: after the first of them, part is there. */
function kindOf({ name }: At): string {
  return name.replace(/^(file \w+|docker DELETE \/volumes\/ID)\b.*?( sent| answered)?$/, '$1$2');
}

function isAlike(at: At): boolean {
  return kindOf(at) !== at.name || at.name.startsWith('docker POST /volumes/create');
}

/** Of what is done alike, the first. */
function steps(boundaries: At[]): At[] {
  const met = new Set<string>();
  return boundaries.filter((at) => {
    if (!writes(at)) return false;
    if (isAlike(at) && met.has(kindOf(at))) return false;
    met.add(kindOf(at));
    return true;
  });
}

/** Of the boundaries of the lesser operations, one of each kind. */
function kinds(): (boundaries: At[]) => At[] {
  const met = new Set<string>();
  return (boundaries) =>
    boundaries.filter((at) => {
      if (!writes(at)) return false;
      if (ofEachOperation.test(at.name)) return true;
      if (met.has(kindOf(at))) return false;
      met.add(kindOf(at));
      return true;
    });
}

for (const database of databases) {
  // The walk on PostgreSQL takes as long again.
  if (!full && database.name === 'PostgreSQL') continue;
  const skip = skipWithoutDocker || database.skip;
  // Two at a time: a server that starts keeps one core busy.
  describe(`a server on ${database.name}`, { skip, concurrency: 2 }, () => {
    const oneOfEachKind = kinds();
    for (const operations of cycles) {
      it(`killed at any step of ${operations.join(' and ')} loses and leaves nothing`, async (context) => {
        const began = Date.now();
        const walk = await CrashWalk.begin(await database.create());
        try {
          const [first = 'create'] = operations;
          if (first !== 'create') await walk.simply('create');
          const choose = full
            ? (boundaries: At[]) => boundaries
            : everyStep.has(first)
              ? steps
              : oneOfEachKind;
          for (const walked of await walkCycle(walk, operations, choose)) {
            const { operation, boundaries, chosen, missed, slowestMs, answered, carriedOutUnanswered } =
              walked;
            context.diagnostic(
              `${operation}: ${boundaries.length} boundaries, killed at ${chosen.length} (${missed.length} not met ` +
                `again, ${answered} after the answer, ${carriedOutUnanswered} carried out unanswered), settled ` +
                `within ${slowestMs} ms`,
            );
            for (const { name, occurrence } of chosen) context.diagnostic(`  ${name} (${occurrence})`);
          }
          context.diagnostic(`walked in ${Math.round((Date.now() - began) / 1000)} s`);
        } finally {
          await walk.end();
        }
      });
    }
  });
}
