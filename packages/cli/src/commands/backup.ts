/** `berth backup | restore | secrets rotate`: through the running server, whatever its database is. */
import { createReadStream, createWriteStream, existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { routes } from '@berth/contract/paths';
import type { Restored, RotatedSecrets } from '@berth/contract';
import { CommandFailure, exitCodes, usageFailure } from '../failure.ts';
import { Session, addCommand, say } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { labelled, printable } from '../text.ts';

/** The contract's `rowCountsHeader`; its module would load the schemas. */
const rowCountsHeader = 'berth-rows';

type RowCounts = Record<string, number>;

export function addBackupCommands(program: Command): void {
  addCommand(program, 'backup', 'Write everything into a file; it opens every secret')
    .argument('<file>', 'a new file; only you can read it')
    .option('--force', 'replace the file when it is there')
    .action((file: string, _: object, command: Command) => backup(file, command.optsWithGlobals()));

  addCommand(program, 'restore', 'Become what a backup holds')
    .argument('<file>', 'a file that "berth backup" wrote')
    .option('--replace', 'also where there are environments; Berth forgets them')
    .option('--yes', 'do not ask')
    .action((file: string, _: object, command: Command) => restore(file, command.optsWithGlobals()));

  const secrets = program.command('secrets').description('The key ring that seals passwords and keys');
  addCommand(secrets, 'rotate', 'Make a new key and seal every secret with it').action(
    (_: object, command: Command) => rotate(command.optsWithGlobals()),
  );
}

async function backup(file: string, options: CommonOptions & { force?: true }): Promise<void> {
  const session = new Session(options);
  if (existsSync(file) && options.force !== true)
    throw usageFailure(`The file ${file} is there already`, 'Name another one, or add --force.');
  const part = `${file}.part`;
  say('Reading the database.');
  const answer = await session.client.stream(routes.backup, { answerTimeoutMs: 0, idleTimeoutMs: 60_000 });
  const rows = JSON.parse(String(answer.headers[rowCountsHeader] ?? '{}')) as RowCounts;
  const expected = Number(answer.headers['content-length']);
  try {
    rmSync(part, { force: true });
    await pipeline(answer, createWriteStream(part, { flags: 'wx', mode: 0o600, flush: true }));
    const { size } = statSync(part);
    if (size !== expected) throw new Error(`${size} of ${expected} bytes arrived`);
    renameSync(part, file);
  } catch (error) {
    rmSync(part, { force: true });
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandFailure(exitCodes.failed, 'backup_failed', `The backup was not written: ${reason}`);
  }
  session.answer({ file: resolve(file), size_bytes: expected, rows }, () =>
    [
      labelled(countsOf(rows)),
      '',
      `Everything is in ${file} (${expected} bytes). The file opens every secret of this Berth: keep it as you keep a password.`,
    ].join('\n'),
  );
}

async function restore(file: string, options: CommonOptions & { replace?: true; yes?: true }): Promise<void> {
  const session = new Session(options);
  let size: number;
  try {
    ({ size } = statSync(file));
  } catch {
    throw usageFailure(`The file ${file} cannot be read`, 'Name a file that "berth backup" wrote.');
  }
  if (options.yes !== true) {
    throw usageFailure(
      'A restore replaces all that this Berth knows',
      `Say so: berth restore ${file} --yes${options.replace ? ' --replace' : ''}`,
    );
  }
  say('Sending and checking the backup.');
  const restored = await session.client.upload<Restored>(routes.restore, {
    query: { replace: options.replace },
    headers: { 'content-type': 'application/gzip', 'content-length': size },
    source: createReadStream(file),
  });
  session.answer(restored, () =>
    [
      labelled([
        ['installation', restored.installation_id],
        ['made at', restored.made_at],
        ...countsOf(restored.rows),
      ]),
      '',
      'Everything of the backup is here. Berth starts again now and brings its environments up.',
    ].join('\n'),
  );
}

async function rotate(options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const rotated = await session.client.post<RotatedSecrets>(routes.rotateSecrets);
  session.answer(
    rotated,
    () =>
      `The key ${rotated.key_id} seals from now on; ${rotated.resealed} secrets were sealed again, and ${printable(
        rotated.dropped.join(', '),
      )} opens nothing any more. Older backups carry their own keys.`,
  );
}

function countsOf(rows: RowCounts): [string, string][] {
  return Object.entries(rows).map(([table, count]) => [printable(table.replaceAll('_', ' ')), String(count)]);
}
