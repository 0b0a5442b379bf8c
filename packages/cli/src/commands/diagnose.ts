/** `berth diagnose`: why somebody does not get into an environment, as the server sees it and as the client said it. */
import type { Command } from 'commander';
import { addCommand, unnamed } from '../session.ts';
import type { DiagnoseOptions } from '../diagnosis.ts';
import { environmentArgument } from './environments.ts';

export function addDiagnoseCommand(program: Command): void {
  addCommand(
    program,
    'diagnose',
    'Say why nobody gets into an environment, or it does not run, and what helps',
    unnamed,
  )
    .addArgument(environmentArgument().argOptional())
    .option('--from <file>', 'explain what an SSH client printed, best that of "ssh -v"; - for stdin')
    .option('--source <address>', 'whether this address gets in (default: the one that asks)')
    .option('--key <file>', 'whether this key opens it: a .pub file, a certificate ...-cert.pub')
    .addHelpText(
      'after',
      '\nWhat an SSH client printed stays on this machine; its host and port say which environment is looked at.\nThe exit code is 1 where a problem was found, and 0 where all is well.',
    )
    .action(async (name: string | undefined, _: object, command: Command) => {
      const { diagnose } = await import('../diagnosis.ts');
      await diagnose(name, command.optsWithGlobals<DiagnoseOptions>());
    });
}
