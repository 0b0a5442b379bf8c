/** Asking before something is gone for good. */
import { constants } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { CommandFailure, exitCodes, usageFailure } from './failure.ts';
import { printable } from './text.ts';

/** As a shell reports what SIGINT ended. */
export const exitCodeOfInterrupt = 128 + constants.signals.SIGINT;

export interface Removal {
  /** What people call it. */
  name: string;
  /** What else its removal takes typed in the name's place, such as its id. */
  id?: string;
  /** "the account alice and its tokens" */
  what: string;
  /** How the command is given without a question. */
  command: string;
}

/** @throws CommandFailure unless somebody types the name */
export async function confirmRemoval({ name, id, what, command }: Removal): Promise<void> {
  const shown = printable(name);
  const refused = `${shown} was not deleted`;
  const question = `This deletes ${printable(what)}`;
  const answer = await ask({ refused, question, command }, shown, `this deletes ${printable(what)}`);
  if (answer !== name && answer !== id)
    throw new CommandFailure(exitCodes.failed, 'not_confirmed', `${refused}: that is not its name.`);
}

interface Question {
  /** What is not done then: "203.0.113.0/24 was not added". */
  refused: string;
  /** A sentence without its full stop. */
  question: string;
  /** How the command is given without a question. */
  command: string;
}

/** For what can be undone. @throws CommandFailure unless somebody says yes */
export async function confirm(asked: Question): Promise<void> {
  const answer = await ask(asked, 'yes', asked.question);
  if (!/^y(es)?$/i.test(answer))
    throw new CommandFailure(exitCodes.failed, 'not_confirmed', `${asked.refused}.`);
}

/** @throws CommandFailure where nobody is there, or whoever is there leaves */
async function ask(
  { refused, question, command }: Question,
  typed: string,
  toConfirm: string,
): Promise<string> {
  if (!process.stdin.isTTY) {
    throw usageFailure(
      `${refused}: nobody is there to confirm that ${toConfirm}`,
      `To do it without a question: ${command} --yes`,
    );
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const interrupted = new AbortController();
  // Ctrl-C and Ctrl-D.
  lines.once('close', () => interrupted.abort());
  const answer = await lines
    .question(`${question}. Type "${typed}" to go on: `, { signal: interrupted.signal })
    .catch(() => undefined);
  lines.close();
  if (answer === undefined) throw new CommandFailure(exitCodeOfInterrupt, 'interrupted', `${refused}.`);
  return answer.trim();
}
