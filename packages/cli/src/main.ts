/** The `berth` command: composes the commands, and turns whatever went wrong into one line and an exit code. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addBackupCommands } from './commands/backup.ts';
import { addEnvironmentCommands } from './commands/environments.ts';
import { addKeyCommands } from './commands/keys.ts';
import { addPlatformCommands } from './commands/platform.ts';
import { addSshCommands } from './commands/ssh.ts';
import { addTimelineCommands } from './commands/timeline.ts';
import { addUpCommand } from './commands/up.ts';
import { CommandFailure, exitCodes, exitCodesHelp, sentenceOf, usageFailure } from './failure.ts';
import { hasAnswered, say, withCommonOptions } from './session.ts';
import { jsonText, printable } from './text.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('berth')
  .description('A public SSH address for every development environment.')
  .version(version)
  .enablePositionalOptions()
  .showSuggestionAfterError()
  .exitOverride()
  .configureOutput({ outputError: () => {} })
  .addHelpText('after', `\n${exitCodesHelp}`);

withCommonOptions(program);
addUpCommand(program);
addEnvironmentCommands(program);
addSshCommands(program);
addTimelineCommands(program);
addKeyCommands(program);
addPlatformCommands(program);
addBackupCommands(program);

// `berth list | head -1` closes the pipe early; that is no mistake of anybody's.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

try {
  await program.parseAsync();
} catch (error) {
  const failure = failureFrom(error);
  if (failure !== undefined) report(failure);
}

/** undefined: nothing failed, help or the version was shown. */
function failureFrom(error: unknown): CommandFailure | undefined {
  if (error instanceof CommandFailure) return error;
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return undefined;
    if (error.code === 'commander.help') {
      process.exitCode = exitCodes.usage;
      return undefined;
    }
    const sentence = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
    return usageFailure(/[.)]$/.test(sentence) ? sentence : `${sentence}.`, 'See: berth --help');
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new CommandFailure(
    exitCodes.failed,
    'internal',
    `The command made a mistake: ${reason}`,
    'Please report it.',
  );
}

function report(failure: CommandFailure): void {
  process.exitCode = failure.exitCode;
  say(`berth: ${printable(sentenceOf(failure))}`);
  if (!wantsJson() || hasAnswered()) return;
  const { code, message: detail, cure, exitCode } = failure;
  process.stdout.write(`${jsonText({ error: { code, detail, cure, exit_code: exitCode } }, 2)}\n`);
}

/** Asked of the arguments themselves, since they may be what is wrong. */
function wantsJson(): boolean {
  const args = process.argv.slice(2);
  const end = args.indexOf('--');
  return args.slice(0, end === -1 ? undefined : end).includes('--json');
}
