/** `berth gateway`: a gateway alone, in the foreground, for a server in another process or on another machine. */
import type { Command } from 'commander';
import { dataFolder } from '../place.ts';
import { say } from '../session.ts';
import { drainGateway, startGateway } from '../up/gateway.ts';
import { onSignals } from '../up/signals.ts';

interface GatewayOptions {
  dataDir?: string;
  server?: string;
}

export function addGatewayCommand(program: Command): void {
  program
    .command('gateway')
    .description('Start a gateway alone: it serves SSH for a server that runs elsewhere')
    .option('--data-dir <folder>', 'folder with the gateway\'s own folder in it (default: as "berth up")')
    .option(
      '--server <place>',
      'unix:PATH or https://HOST:PORT (default: the socket that a server on the same data folder makes)',
    )
    .addHelpText(
      'after',
      '\nIt starts without the server and serves as soon as there is one. Another machine needs the settings\n' +
        'control.certificate, control.key and control.authority. SIGHUP replaces the workers without a loss,\n' +
        'SIGTERM takes no newcomers and ends with the last connection.',
    )
    .action((_: object, command: Command) => gatewayAlone(command.optsWithGlobals()));
}

/** Ends when the gateway has been told to. @throws CommandFailure: it cannot be started */
export async function gatewayAlone({ dataDir, server }: GatewayOptions): Promise<void> {
  const gateway = await startGateway(dataFolder(dataDir), server);
  await new Promise<void>((resolve) => {
    onSignals({
      end: () => {
        say('The gateway is ending. The environments keep running.');
        void drainGateway(gateway).then(resolve);
      },
      endAtOnce: () => void gateway.kill().then(resolve),
      reload: () => gateway.replace(),
    });
  });
}
