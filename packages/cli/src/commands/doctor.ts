/** `berth doctor | support-bundle`: what is wrong with the set-up, and what to send to somebody who helps. */
import type { Command } from 'commander';
import type { Check, Result } from '../doctor/check.ts';
import { exitCodes } from '../failure.ts';
import { Session, addCommand, unnamed } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { labelled, table } from '../text.ts';
import type { Look } from '../text.ts';

const looks: Record<Result, Look> = { ok: 'green', warning: 'yellow', failed: 'red', skipped: 'dim' };
const ticks: Record<Result, string> = { ok: '✓', warning: '!', failed: '✗', skipped: '-' };

export function addDoctorCommands(program: Command): void {
  addCommand(
    program,
    'doctor',
    "Look whether this machine's set-up is right, and say how to mend it",
    unnamed,
  )
    .addHelpText('after', '\nThe exit code is 1 where something fails; a warning alone is 0.')
    .action((_: object, command: Command) => doctor(command.optsWithGlobals()));

  addCommand(
    program,
    'support-bundle',
    'Write a file for somebody who helps, without any secret in it',
    unnamed,
  )
    .argument('<file>', 'such as berth.tar.gz; it must not be there yet')
    .action((file: string, _: object, command: Command) => supportBundle(file, command.optsWithGlobals()));
}

async function doctor(options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const { diagnose } = await import('../doctor/doctor.ts');
  const checks = await diagnose(session);
  session.answer({ healthy: checks.every(({ result }) => result !== 'failed'), checks }, () => text(checks));
  if (checks.some(({ result }) => result === 'failed')) process.exitCode = exitCodes.failed;
}

function text(checks: Check[]): string {
  const rows = table(
    ['', 'WHAT', 'RESULT', 'DETAIL'],
    checks.map(({ name, result, detail }) => [
      { text: ticks[result], look: looks[result] },
      name,
      { text: result, look: looks[result] },
      detail,
    ]),
  );
  const cures = checks.flatMap(({ name, cure }) => (cure === null ? [] : [[name, cure] as [string, string]]));
  return cures.length === 0 ? `${rows}\n\nAll is well.` : `${rows}\n\nTo mend it:\n${labelled(cures)}`;
}

async function supportBundle(file: string, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const { writeSupportBundle } = await import('../support-bundle.ts');
  const { files, bytes } = await writeSupportBundle(session, file);
  session.answer(
    { file, bytes, files },
    () =>
      `${file} is written (${Math.ceil(bytes / 1024)} KiB): ${files.join(', ')}.\n\n` +
      'Secrets were taken out; read it before you send it all the same.',
  );
}
