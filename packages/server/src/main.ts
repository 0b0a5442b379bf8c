/**
 * The server process. Says on its IPC channel, if there is one, when it is ready and where. Ends with the code 75 when
 * it wants to be started again.
 */
import { restartExitCode } from '@berth/contract';
import { pino } from 'pino';
import { SettingsError, readSettings } from './settings.ts';
import { startServer } from './server.ts';
import type { RunningServer } from './server.ts';

async function main(): Promise<void> {
  let server: RunningServer | undefined;
  let ending = false;
  const end = async (exitCode = 0): Promise<void> => {
    if (ending) return;
    ending = true;
    await server?.close();
    process.exit(exitCode);
  };
  process.on('SIGTERM', () => void end());
  process.on('SIGINT', () => void end());
  process.on('disconnect', () => void end());

  try {
    const read = readSettings(process.env);
    const logger = pino(
      {
        level: read.settings.logLevel,
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        errorKey: 'error',
      },
      pino.destination({ fd: 2, sync: true }),
    );
    server = await startServer(read, logger, () => void end(restartExitCode));
    if (ending) return await server.close();
    const { close: _, ...where } = server;
    process.send?.({ type: 'ready', ...where });
  } catch (error) {
    if (ending) return;
    process.stderr.write(`berth: ${describe(error)}\n`);
    process.exit(error instanceof SettingsError ? 2 : 1);
  }
}

function describe(error: unknown): string {
  const { code, message, address, port } = error as NodeJS.ErrnoException & {
    address?: string;
    port?: number;
  };
  if (code === 'EADDRINUSE' && port !== undefined) {
    return `the address ${address}:${port} is in use. Stop what uses it, or set BERTH_HTTP to another one.`;
  }
  return message;
}

await main();
