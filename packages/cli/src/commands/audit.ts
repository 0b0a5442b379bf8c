/** `berth audit`: who did what. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { routes } from '@berth/contract/paths';
import type { AuditOutcome, AuditRecord } from '@berth/contract';
import { customerId } from '../customer.ts';
import { addListCommand, answerList } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { Session, unnamed } from '../session.ts';
import { jsonText } from '../text.ts';
import { moment } from '../units.ts';

interface AuditOptions extends ListOptions {
  action?: string;
  account?: string;
  customer?: string;
  target?: string;
  outcome?: AuditOutcome;
  since?: string;
  until?: string;
}

const outcomes: AuditOutcome[] = ['done', 'refused'];

export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('The log of who did what');
  addListCommand(audit, 'list', 'List who did what, from where', [...unnamed, 'jsonl'])
    .option(
      '--since <time>',
      'from then on: a time such as 2026-02-03T04:05:06Z, or a span such as 12h or 7d',
      moment,
    )
    .option('--until <time>', 'up to then', moment)
    .option('--action <action>', 'only this one, such as customer.create, or a part before the dot')
    .option('--account <account>', 'only what this account did')
    .option('--customer <customer>', 'only what was done as this customer')
    .option('--target <target>', 'only what was done to this')
    .addOption(new Option('--outcome <outcome>', 'only these').choices(outcomes))
    .addHelpText('after', '\n-o jsonl writes one JSON document a line, as each page comes.')
    .action((_: object, command: Command) => list(command.optsWithGlobals()));
}

async function list(options: AuditOptions): Promise<void> {
  const session = new Session(options);
  const { action, account, target, outcome, since, until, customer, limit } = options;
  const customer_id = customer === undefined ? undefined : await customerId(session.client, customer);
  const query = { action, account, target, outcome, since, until, customer_id };
  if (session.format === 'jsonl') {
    for await (const record of session.client.items<AuditRecord>(routes.audit, query, limit)) {
      session.line(record, () => '');
    }
    return;
  }
  await answerList<AuditRecord>(session, {
    route: routes.audit,
    query,
    limit,
    columns: {
      AT: ({ at }) => at.replace(/\.\d+Z$/, 'Z'),
      ACTION: ({ action }) => action,
      OUTCOME: ({ outcome }) => ({ text: outcome, look: outcome === 'refused' ? 'red' : 'none' }),
      ACCOUNT: ({ account }) => account ?? '-',
      FROM: ({ source }) => source ?? 'socket',
      TARGET: ({ target }) => target ?? '-',
      DETAIL: ({ detail }) => detailText(detail),
    },
    none: 'Nothing like that was done.',
  });
}

/** "cpu none -> 2" for what changed, "role member" for the rest. */
function detailText({ before, after, ...rest }: AuditRecord['detail']): string {
  const old = fieldsOf(before);
  const changes = Object.entries(fieldsOf(after))
    .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(old[name]))
    .map(([name, value]) => `${name} ${valueText(old[name])} -> ${valueText(value)}`);
  return [...Object.entries(rest).map(([name, value]) => `${name} ${valueText(value)}`), ...changes].join(
    ', ',
  );
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function valueText(value: unknown): string {
  if (value === null || value === undefined) return 'none';
  return typeof value === 'string' ? value : jsonText(value);
}
