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
  if (!process.stdin.isTTY) {
    throw usageFailure(
      `${shown} was not deleted: nobody is there to confirm that this deletes ${printable(what)}`,
      `To do it without a question: ${command} --yes`,
    );
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const interrupted = new AbortController();
  // Ctrl-C and Ctrl-D.
  lines.once('close', () => interrupted.abort());
  const question = `This deletes ${printable(what)}. Type "${shown}" to go on: `;
  const answer = await lines.question(question, { signal: interrupted.signal }).catch(() => undefined);
  lines.close();
  if (answer === undefined) {
    throw new CommandFailure(exitCodeOfInterrupt, 'interrupted', `${shown} was not deleted.`);
  }
  if (answer.trim() !== name && answer.trim() !== id) {
    throw new CommandFailure(
      exitCodes.failed,
      'not_confirmed',
      `${shown} was not deleted: that is not its name.`,
    );
  }
}
