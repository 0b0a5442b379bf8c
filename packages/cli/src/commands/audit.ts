/** `berth audit`: who did what, the log as a file, and whether anybody touched it. */
import { createWriteStream, existsSync, renameSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Transform } from 'node:stream';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { routes } from '@berth/contract/paths';
import type { AuditOutcome, AuditRecord, AuditVerdict, AuditVerifyLine } from '@berth/contract';
import type { Query } from '../client.ts';
import { customerId } from '../customer.ts';
import { CommandFailure, exitCodes, usageFailure } from '../failure.ts';
import { addListCommand, answerList } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { Progress } from '../progress.ts';
import { Session, addCommand, say, unnamed, withPlace } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { jsonText, labelled, printable } from '../text.ts';
import { moment } from '../units.ts';

interface Filters {
  action?: string;
  account?: string;
  customer?: string;
  target?: string;
  source?: string;
  outcome?: AuditOutcome;
  since?: string;
  until?: string;
}

type ListAuditOptions = ListOptions & Filters;
/** Its --output is a file, as there is one format. */
type ExportOptions = Omit<CommonOptions, 'output' | 'json'> & Filters & { output?: string; force?: true };

const outcomes: AuditOutcome[] = ['done', 'refused'];

export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('The log of who did what');
  withFilters(addListCommand(audit, 'list', 'List who did what, from where', [...unnamed, 'jsonl']))
    .addHelpText(
      'after',
      `
Logins by SSH have the action ssh.login and the environment as their target.
-o jsonl writes one JSON document a line, as each page comes.`,
    )
    .action((_: object, command: Command) => list(command.optsWithGlobals()));

  const file = audit
    .command('export')
    .description('Write the log as JSON Lines, oldest first, with each seal');
  withFilters(withPlace(file))
    .option('--output <file>', 'a new file that only you can read; otherwise stdout')
    .option('--force', 'replace the file when it is there')
    .action((_: object, command: Command) => exportLog(command.optsWithGlobals()));

  addCommand(audit, 'verify', 'Verify that no record was changed, removed or slipped in', unnamed)
    .option('--from <hash>', 'a hash that was told earlier: the log must still hold it', hash)
    .addHelpText(
      'after',
      `
The exit code is 0 only if the whole log is as it was sealed. Write the last hash down
elsewhere: who can rewrite the database can rewrite its chain, but not what you wrote.`,
    )
    .action((_: object, command: Command) => verify(command.optsWithGlobals()));
}

function withFilters(command: Command): Command {
  return command
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
    .option('--source <address>', 'only what was done from this address')
    .addOption(new Option('--outcome <outcome>', 'only these').choices(outcomes));
}

function hash(value: string): string {
  if (/^[0-9a-f]{64}$/i.test(value)) return value.toLowerCase();
  throw new InvalidArgumentError('Allowed: the 64 hexadecimal digits that "berth audit verify" told.');
}

async function queryOf(session: Session, filters: Filters): Promise<Query> {
  const { action, account, target, source, outcome, since, until, customer } = filters;
  const customer_id = customer === undefined ? undefined : await customerId(session.client, customer);
  return { action, account, target, source, outcome, since, until, customer_id };
}

async function list(options: ListAuditOptions): Promise<void> {
  const session = new Session(options);
  const { limit } = options;
  const query = await queryOf(session, options);
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

async function exportLog({ output: file, force, ...options }: ExportOptions): Promise<void> {
  const session = new Session(options);
  if (file !== undefined && existsSync(file) && force !== true)
    throw usageFailure(`The file ${file} is there already`, 'Name another one, or add --force.');
  const query = await queryOf(session, options);
  const answer = await session.client.stream(routes.auditExport, { query, answerTimeoutMs: 0 });
  let records = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) records += 1;
      done(null, chunk);
    },
  });
  const part = `${file}.part`;
  try {
    if (file === undefined) await pipeline(answer, counted, process.stdout, { end: false });
    else {
      rmSync(part, { force: true });
      await pipeline(answer, counted, createWriteStream(part, { flags: 'wx', mode: 0o600, flush: true }));
      renameSync(part, file);
    }
  } catch (error) {
    if (file !== undefined) rmSync(part, { force: true });
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EPIPE') return;
    throw new CommandFailure(exitCodes.failed, 'export_failed', `The log was not written whole: ${message}`);
  }
  say(`${records} records${file === undefined ? '' : ` are in ${resolve(file)}`}.`);
}

async function verify(options: CommonOptions & { from?: string }): Promise<void> {
  const session = new Session(options);
  const query = { from: options.from };
  const answer = await session.client.stream(routes.auditVerify, { query, answerTimeoutMs: 0 });
  const verdict = await verdictOf(answer);
  session.answer(verdict, () => verdictText(verdict));
  if (!verdict.whole) process.exitCode = exitCodes.failed;
}

/** @throws CommandFailure when it does not come to one */
async function verdictOf(answer: Readable): Promise<AuditVerdict> {
  const progress = new Progress();
  let why = 'the answer ended';
  try {
    for await (const line of createInterface({ input: answer, crlfDelay: Infinity })) {
      const told = JSON.parse(line) as AuditVerifyLine;
      if (told.type === 'verdict') return told;
      const { records, links, of_links } = told;
      progress.step('Verifying the audit log', `${records} records, link ${links} of ${of_links}`);
    }
  } catch (error) {
    why = (error as Error).message;
  } finally {
    progress.end();
  }
  throw new CommandFailure(
    exitCodes.failed,
    'verify_failed',
    `The verification did not come to its end: ${why}`,
    'Ask again; the log of the server may say more.',
  );
}

function verdictText(verdict: AuditVerdict): string {
  const { records, links, unsealed, first_at, last_at, last_hash, records_since, faults, fault_count } =
    verdict;
  const facts: [string, string][] = [['records', `${records} in ${links} ${links === 1 ? 'link' : 'links'}`]];
  if (first_at !== null && last_at !== null) facts.push(['from', first_at], ['to', last_at]);
  facts.push(['not sealed yet', String(unsealed)], ['last hash', last_hash ?? 'none']);
  if (records_since !== null) facts.push(['since that hash', `${records_since} records`]);
  const lines = [labelled(facts.map(([name, value]) => [name, printable(value)])), ''];
  if (verdict.whole) lines.push('The log is whole: no record was changed, removed or slipped in.');
  else {
    lines.push('The log is NOT whole:', ...faults.map(({ detail }) => `  ${printable(detail)}`));
    if (fault_count > faults.length) lines.push(`  and ${fault_count - faults.length} more`);
  }
  return lines.join('\n');
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
