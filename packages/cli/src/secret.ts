/** Secrets that are typed without being shown, or come on stdin; never as an argument, which others can see. */
import { CommandFailure, usageFailure } from './failure.ts';
import { exitCodeOfInterrupt } from './confirm.ts';
import { printable } from './text.ts';

/** Lines of stdin that were read but not asked for yet. */
let waiting: string[] | undefined;

/**
 * One line from stdin, asked for on a terminal, where nothing of it is shown.
 *
 * @throws CommandFailure when nothing came, or Ctrl-C was pressed
 */
export async function askSecret(question: string): Promise<string> {
  const secret = process.stdin.isTTY ? await askOnTerminal(question) : await nextLine();
  if (secret === undefined || secret === '') {
    throw usageFailure(
      `Nothing was given for "${question.replace(/:? *$/, '')}"`,
      'Type it, or send it on stdin, one line each.',
    );
  }
  return secret;
}

/** Asked for twice on a terminal. */
export async function askNewPassword(account: string): Promise<string> {
  const password = await askSecret(`New password of ${printable(account)}: `);
  if (process.stdin.isTTY && (await askSecret('The same again: ')) !== password) {
    throw usageFailure('The two passwords differ, so nothing was changed', 'Try again.');
  }
  return password;
}

async function nextLine(): Promise<string | undefined> {
  if (waiting === undefined) {
    const { text } = await import('node:stream/consumers');
    waiting = (await text(process.stdin)).split(/\r?\n/);
  }
  return waiting.shift();
}

function askOnTerminal(question: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(question);
  stdin.setRawMode(true).setEncoding('utf8').resume();
  return new Promise((resolve, reject) => {
    let typed = '';
    const end = () => {
      stdin.off('data', take).setRawMode(false).pause();
      stderr.write('\n');
    };
    const take = (keys: string) => {
      for (const key of keys) {
        if (key === '\r' || key === '\n' || key === '\x04') {
          end();
          resolve(typed);
          return;
        }
        if (key === '\x03') {
          end();
          reject(new CommandFailure(exitCodeOfInterrupt, 'interrupted', 'Nothing was changed.'));
          return;
        }
        if (key === '\x7f' || key === '\b') typed = [...typed].slice(0, -1).join('');
        else if (key === '\x15') typed = '';
        else if (key >= ' ') typed += key;
      }
    };
    stdin.on('data', take);
  });
}
