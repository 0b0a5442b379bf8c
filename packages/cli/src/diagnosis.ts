/** What `berth diagnose` does; loaded when it is asked for. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { text as textOf } from 'node:stream/consumers';
import { explain, explainFor, keyInQuestion } from '@berth/contract/explain';
import type { Explanation } from '@berth/contract/explain';
import { pathOf, routes } from '@berth/contract/paths';
import type { CheckResult, Diagnosis, Environment } from '@berth/contract';
import type { Query } from './client.ts';
import { findEnvironment } from './environment.ts';
import { CommandFailure, exitCodes, usageFailure } from './failure.ts';
import { Session, say } from './session.ts';
import type { CommonOptions } from './session.ts';
import { columnsOf, labelled, printable, styled } from './text.ts';
import type { Look } from './text.ts';

export interface DiagnoseOptions extends CommonOptions {
  from?: string;
  source?: string;
  key?: string;
}

/** What `--from` adds to what the server says. */
interface ClientOutput {
  explanation: Explanation;
  /** null: it names no environment that this Berth has, or no Berth was to be reached. */
  env_id: string | null;
}

export async function diagnose(name: string | undefined, options: DiagnoseOptions): Promise<void> {
  const session = new Session(options);
  const { from, source, key } = options;
  if (from === undefined) {
    if (name === undefined)
      throw usageFailure(
        'Neither an environment nor what a client printed is named',
        'See: berth diagnose --help',
      );
    const { env_id: id } = await findEnvironment(session.client, name);
    const diagnosis = await ask(session, id, { source, ...keyQuery(key) });
    session.answer(diagnosis, () => diagnosisText(diagnosis));
    if (!diagnosis.healthy) process.exitCode = exitCodes.failed;
    return;
  }
  const output = await explained(session, name, await outputIn(from));
  const { explanation } = output;
  const diagnosis =
    output.env_id === null
      ? null
      : await ask(session, output.env_id, {
          source,
          ...(key === undefined ? { fingerprint: keyInQuestion(explanation) } : keyQuery(key)),
        });
  session.answer({ ...output, diagnosis }, () =>
    [explanationText(explanation), ...(diagnosis === null ? [] : [diagnosisText(diagnosis)])].join('\n\n'),
  );
  const isProblem = explanation.findings.some(({ code }) => code !== 'logged_in');
  if (isProblem || diagnosis?.healthy === false) process.exitCode = exitCodes.failed;
}

/** With the environment that was meant, where a Berth is to be reached that has it. */
async function explained(session: Session, name: string | undefined, output: string): Promise<ClientOutput> {
  let environments: Environment[];
  try {
    environments =
      name === undefined
        ? await session.client.all<Environment>(routes.environments)
        : [await findEnvironment(session.client, name)];
  } catch (error) {
    const isAway =
      error instanceof CommandFailure &&
      (error.exitCode === exitCodes.unreachable || error.exitCode === exitCodes.notAllowed);
    if (!isAway || name !== undefined) throw error;
    say(`berth: only what the client printed was looked at. ${error.message}.`);
    return { explanation: explain(output), env_id: null };
  }
  const { explanation, environment } = explainFor(output, environments);
  const named = name === undefined ? null : (environments[0]?.env_id ?? null);
  return { explanation, env_id: environment ?? named };
}

function ask(session: Session, id: string, query: Query): Promise<Diagnosis> {
  return session.client.get<Diagnosis>(pathOf(routes.environmentDiagnosis, { id }), query);
}

async function outputIn(file: string): Promise<string> {
  if (file === '-') return textOf(process.stdin);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw usageFailure(
      `The file ${file} cannot be read (${reason})`,
      'Name one that an SSH client wrote, as in: ssh -v HOST 2> output.txt. Or - for stdin.',
    );
  }
}

/** A certificate is sent as it is, of a key its fingerprint. @throws CommandFailure */
function keyQuery(file: string | undefined): Query {
  if (file === undefined) return {};
  const publicFile = !file.endsWith('.pub') && existsSync(`${file}.pub`) ? `${file}.pub` : file;
  let content: string;
  try {
    content = readFileSync(publicFile, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw usageFailure(`The key file ${publicFile} cannot be read (${reason})`, 'Name a .pub file.');
  }
  const [, type = '', blob = ''] = /^([a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})(?:\s|$)/.exec(content) ?? [];
  if (blob === '')
    throw usageFailure(`${publicFile} is no public key`, 'Name a .pub file, such as ~/.ssh/id_ed25519.pub.');
  if (type.includes('-cert-')) return { certificate: blob };
  const digest = createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64');
  return { fingerprint: `SHA256:${digest.replace(/=+$/, '')}` };
}

const ticks: Record<CheckResult['verdict'], [tick: string, look: Look]> = {
  ok: ['✓', 'green'],
  problem: ['✗', 'red'],
  unknown: ['?', 'yellow'],
  skipped: ['-', 'dim'],
};

function diagnosisText({ env_id, checks, source }: Diagnosis): string {
  const width = Math.max(...checks.map(({ looked_at }) => columnsOf(looked_at)));
  const lines = checks.map(({ verdict, looked_at, cause }) => {
    const [tick, look] = ticks[verdict];
    const label = looked_at + ' '.repeat(width - columnsOf(looked_at));
    return `${styled(tick, look)} ${printable(label)}  ${verdict === 'skipped' ? styled(printable(cause), look) : printable(cause)}`;
  });
  const cures = checks.flatMap(({ looked_at, cure }): [string, string][] =>
    cure === null ? [] : [[looked_at, printable(cure)]],
  );
  const problems = checks.filter(({ verdict }) => verdict === 'problem').length;
  const who = source === null ? '' : `, looked at for ${source}`;
  const verdict =
    problems === 0
      ? `${env_id}: nothing is wrong${who}.`
      : `${env_id}: ${problems} ${problems === 1 ? 'problem' : 'problems'}${who}.`;
  return [lines.join('\n'), verdict, ...(cures.length === 0 ? [] : [`To mend it:\n${labelled(cures)}`])].join(
    '\n\n',
  );
}

function explanationText({ conversation, findings }: Explanation): string {
  const { client, user, host, port } = conversation;
  const where =
    host === null
      ? ''
      : ` to ${user === null ? '' : `${user}@`}${host}${port === null ? '' : `, port ${port}`}`;
  const heading = `${client ?? 'An SSH client'}${where}:`;
  if (findings.length === 0) {
    return `${printable(heading)}\n\nNothing in what it printed is known here. Have it say more, as with: ssh -v`;
  }
  const lines = findings.flatMap(({ code, cause, cure, line }) => [
    `${code === 'logged_in' ? styled('✓', 'green') : styled('✗', 'red')} ${printable(cause)}`,
    ...(line === null ? [] : [styled(`  it said: ${printable(line)}`, 'dim')]),
    ...(cure === null ? [] : [`  ${printable(cure)}`]),
  ]);
  return `${printable(heading)}\n\n${lines.join('\n')}`;
}
