/** The server killed after each step of each operation. What was answered comes true, and nothing is left over. */
import { describe, it } from 'node:test';
import { skipWithoutDocker } from '../harness/berth.ts';
import { databases } from '../harness/databases.ts';
import { CrashWalk, firstOfKind, walkCycle, writes } from './crash-walk.ts';
import type { OperationName } from './crash-walk.ts';

/** Everything on both databases, reads as well: "npm run soak -- crash". */
const full = process.env['BERTH_TEST_FULL'] === '1';

/** Each leads back to where it began; they need one that runs, but for the first. */
const cycles: { operations: OperationName[]; each: boolean }[] = [
  { operations: ['create', 'delete'], each: true },
  { operations: ['stop', 'start'], each: false },
  { operations: ['restart'], each: false },
  { operations: ['reset-password'], each: false },
  { operations: ['add-key', 'delete-key'], each: false },
];

for (const database of databases) {
  describe(`a server on ${database.name}`, { skip: skipWithoutDocker || database.skip }, () => {
    for (const { operations, each } of cycles) {
      if (!full && database.name === 'PostgreSQL') continue;
      it(`killed at any step of ${operations.join(' and ')} loses and leaves nothing`, async (context) => {
        const walk = await CrashWalk.begin(await database.create());
        try {
          if (operations[0] !== 'create') await walk.learn('create');
          const began = Date.now();
          const walks = await walkCycle(
            walk,
            operations,
            (boundaries) => {
              if (full) return boundaries;
              const written = boundaries.filter(writes);
              return each ? written : firstOfKind(written);
            },
            (line) => process.env['BERTH_TEST_ROUNDS'] && context.diagnostic(line),
          );
          for (const { operation, boundaries, missed, slowestMs, ...counts } of walks) {
            context.diagnostic(
              `${operation}: ${boundaries.length} boundaries, ${missed.length} not met again, ` +
                `${counts.answered} kills after the answer, ${counts.carriedOutUnanswered} carried out unanswered, ` +
                `settled within ${slowestMs} ms`,
            );
            for (const at of boundaries) context.diagnostic(`  ${at.name} (${at.occurrence})`);
          }
          context.diagnostic(`walked in ${Math.round((Date.now() - began) / 1000)} s`);
        } finally {
          await walk.end();
        }
      });
    }
  });
}
