/**
 * What was seen of each client at each server, kept in a file when BERTH_TEST_MATRIX names one, a line of JSON each;
 * `npm run soak -- clients` makes a table of them.
 */
import { appendFileSync } from 'node:fs';

export interface Seen {
  readonly server: string;
  readonly client: string;
  /** The name of a case, or an algorithm with its kind: `cipher aes128-ctr`. */
  readonly subject: string;
  readonly outcome: 'pass' | 'fail' | 'not able';
  /** What it lacks, where it is not able. */
  readonly lacks?: string;
}

const file = process.env['BERTH_TEST_MATRIX'];

export function record(...seen: readonly Seen[]): void {
  if (file !== undefined) appendFileSync(file, seen.map((each) => `${JSON.stringify(each)}\n`).join(''));
}

/** Does it, and records how it went. */
export async function recorded(
  { server, client }: { readonly server: { name: string }; readonly client: { name: string } },
  subjects: readonly string[],
  run: () => Promise<void>,
): Promise<void> {
  const note = (outcome: 'pass' | 'fail'): void =>
    record(...subjects.map((subject) => ({ server: server.name, client: client.name, subject, outcome })));
  try {
    await run();
  } catch (error) {
    note('fail');
    throw error;
  }
  note('pass');
}

/** A row for each subject, a column for each client, one table for each server. */
export function formatTables(seen: readonly Seen[]): string {
  const tables = [...Map.groupBy(seen, ({ server }) => server)].map(([server, rows]) => {
    const clients = [...new Set(rows.map(({ client }) => client))];
    const lines = [...Map.groupBy(rows, ({ subject }) => subject)].map(([subject, results]) => {
      const cells = clients.map((client) => cellOf(results.filter((each) => each.client === client)));
      return `| ${[subject, ...cells].join(' | ')} |`;
    });
    const head = `| | ${clients.join(' | ')} |\n|---|${clients.map(() => '---|').join('')}`;
    return `## ${server[0]?.toUpperCase()}${server.slice(1)}\n\n${head}\n${lines.join('\n')}\n`;
  });
  return tables.join('\n');
}

/** One failure among several tries is one. */
function cellOf(results: readonly Seen[]): string {
  if (results.some(({ outcome }) => outcome === 'fail')) return '**fails**';
  if (results.some(({ outcome }) => outcome === 'pass')) return 'yes';
  return results.length > 0 ? 'not able' : '';
}
