/**
 * `--env NAME=VALUE` and `--env-from FILE`: an environment's variables. Not `--env-file`, which Node takes for itself
 * wherever it stands.
 */
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { usageFailure } from './failure.ts';

export interface VariableOptions {
  env?: string[];
  envFrom?: string;
}

/**
 * The file first, then the options, so that an option wins. In the file: one NAME=VALUE a line as it stands,
 * without quoting; empty lines and lines that begin with # are left out.
 *
 * @throws CommandFailure that names the line; never its value, which may be secret
 */
export async function variablesOf({
  env,
  envFrom,
}: VariableOptions): Promise<Record<string, string> | undefined> {
  if (env === undefined && envFrom === undefined) return undefined;
  const lines = envFrom === undefined ? [] : (await contentOf(envFrom)).split(/\r?\n/);
  const fromFile = lines.flatMap((line, index) =>
    /^\s*(#|$)/.test(line) ? [] : [variable(line, `${envFrom} line ${index + 1}`)],
  );
  return Object.fromEntries([...fromFile, ...(env ?? []).map((each) => variable(each, '--env'))]);
}

function variable(assignment: string, where: string): [string, string] {
  const [, name, value] = /^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(assignment) ?? [];
  if (name === undefined || value === undefined) {
    throw usageFailure(
      `${where} is no variable${assignment.includes('=') ? ` (its name is ${JSON.stringify(assignment.split('=')[0])})` : ''}`,
      'It takes NAME=VALUE; the name is letters, digits and underscores, and does not begin with a digit.',
    );
  }
  return [name, value];
}

async function contentOf(file: string): Promise<string> {
  if (file === '-') return text(process.stdin);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw usageFailure(`--env-from ${file} cannot be read (${reason})`, 'Name a file of NAME=VALUE lines.');
  }
}
