/** The `berth` command: runs what is asked, and turns whatever went wrong into one line and an exit code. */
import { CommanderError } from 'commander';
import { CommandFailure, exitCodes, sentenceOf, usageFailure } from './failure.ts';
import { makeProgram } from './program.ts';
import { hasAnswered, say } from './session.ts';
import { jsonText, printable } from './text.ts';
import { yamlText } from './yaml.ts';

// `berth list | head -1` closes the pipe early; that is no mistake of anybody's.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

try {
  await makeProgram().parseAsync();
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
    const path = 'commandPath' in error ? String(error.commandPath) : 'berth';
    return usageFailure(/[.)]$/.test(sentence) ? sentence : `${sentence}.`, `See: ${path} --help`);
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
  const format = formatAsked();
  if (format === undefined || hasAnswered()) return;
  const { code, message: detail, cure, exitCode } = failure;
  const document = { error: { code, detail, cure, exit_code: exitCode } };
  process.stdout.write(
    `${format === 'yaml' ? yamlText(document) : jsonText(document, format === 'json' ? 2 : 0)}\n`,
  );
}

/** Asked of the arguments themselves, since they may be what is wrong. */
function formatAsked(): string | undefined {
  const args = process.argv.slice(2);
  const end = args.indexOf('--');
  const options = args.slice(0, end === -1 ? undefined : end);
  if (options.includes('--json')) return 'json';
  const given = options
    .map((each, index) => (/^(-o|--output)$/.test(each) ? `-o${options[index + 1]}` : each))
    .map((each) => /^(?:-o|--output)=?(json|yaml|jsonl)$/.exec(each)?.[1]);
  return given.find((each) => each !== undefined);
}
