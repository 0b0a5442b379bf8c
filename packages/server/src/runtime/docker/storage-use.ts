/**
 * Counts what is in an environment's folders that last.
 *
 * By du inside its container: the engine knows no sizes of volumes but by walking through all of them, and their folders
 * need not be on this machine. So it is the environment's own processor and disk time that is used, after its own processes.
 */
import type Docker from 'dockerode';
import { hasStatus } from './errors.ts';

const longestSeconds = 120;
const longestAnswer = 4096;

/** @returns bytes on the disk; null when they could not be counted */
export async function storageUse(
  container: Docker.Container,
  folders: string[],
  signal: AbortSignal,
): Promise<number | null> {
  try {
    const run = await container.exec({
      Cmd: ['timeout', String(longestSeconds), 'nice', '-n', '19', 'du', '-skxc', ...folders],
      AttachStdout: true,
      abortSignal: signal,
      // Without it the output would come in frames.
      Tty: true,
    });
    let text = '';
    for await (const chunk of await run.start({ Tty: true, abortSignal: signal }))
      text = (text + String(chunk)).slice(-longestAnswer);
    const kibibytes = /^(\d{1,15})\s+total\s*$/m.exec(text)?.[1];
    return kibibytes === undefined ? null : Number(kibibytes) * 1024;
  } catch (error) {
    if (hasStatus(error, 404, 409)) return null;
    throw error;
  }
}
