/**
 * `berth up`: makes this machine ready, starts server and gateway and stays in the foreground until they end. Each is
 * started again when it crashes, and goes on while the other is away.
 */
import type { Command } from 'commander';
import { links, routes } from '@berth/contract/paths';
import type { Health } from '@berth/contract';
import { Client } from '../client.ts';
import { CommandFailure, exitCodes, sentenceOf } from '../failure.ts';
import { cacheFolder, dataFolder, settingInForce, socketIn } from '../place.ts';
import { Progress } from '../progress.ts';
import { say, writeAnswer } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { jsonText, printable } from '../text.ts';
import type { Supervisor } from '@berth/gateway/supervisor';
import { drainGateway, rolesInForce, startGateway } from '../up/gateway.ts';
import { demoState, greeting, readFirstLogin, sharedPortLine, shortGreeting } from '../up/greeting.ts';
import type { DemoState } from '../up/greeting.ts';
import { demoName, ensureDemo } from '../up/demo.ts';
import { ServerProcess } from '../up/server-process.ts';
import type { ServerReady } from '../up/server-process.ts';
import { onSignals } from '../up/signals.ts';
import { gatewayAlone } from './gateway.ts';

interface UpOptions extends CommonOptions {
  demo?: boolean;
  install?: true;
}

export function addUpCommand(program: Command): void {
  program
    .command('up')
    .description('Start Berth on this machine, in the foreground')
    .option('--data-dir <folder>', 'its data folder (default: BERTH_DATA_DIR, else the XDG data folder)')
    .option('--json', 'one JSON document on stdout once it runs; everything else goes to stderr')
    .option('--demo', 'make the environment "demo" at the very first start, and show the way in at each')
    .option('--no-demo', 'do without (the default)')
    .option('--install', 'install the Docker engine where it is missing (root on Debian and Ubuntu)')
    .addHelpText(
      'after',
      '\nCtrl-C ends Berth; the environments keep running. BERTH_INSTALL_DOCKER=no forbids --install,\n' +
        'BERTH_ENVIRONMENT_IMAGE names an image to use instead of building one.',
    )
    .action((_: object, command: Command) => up(command.optsWithGlobals()));
}

async function up(options: UpOptions): Promise<void> {
  const roles = rolesInForce();
  if (!roles.includes('server')) return gatewayAlone(options);
  const folder = dataFolder(options.dataDir);
  await refuseSecond(folder);

  const progress = new Progress();
  let environmentImage: string;
  try {
    environmentImage = await prepare(folder, options, progress);
    progress.step('starting the server');
  } catch (error) {
    progress.end();
    throw error;
  }

  const server = new ServerProcess({
    BERTH_ENVIRONMENT_IMAGE: environmentImage,
    // Whoever wants to see the way in does not want to find it between the server's lines.
    ...(options.demo === true && settingInForce('logLevel') === undefined ? { BERTH_LOG_LEVEL: 'warn' } : {}),
    ...(options.dataDir === undefined ? {} : { BERTH_DATA_DIR: folder }),
  });
  const ending = new AbortController();
  let gateway: Supervisor | null = null;
  let sharedPort: string | null = null;
  onSignals({
    end: () => {
      say('Berth is ending. The environments keep running.');
      ending.abort();
      const drained = gateway === null ? Promise.resolve() : drainGateway(gateway);
      void drained.then(() => server.end('SIGTERM'));
    },
    endAtOnce: () => {
      void gateway?.kill();
      server.end('SIGKILL');
    },
    reload: async () => gateway?.replace(),
  });

  const ready = await server.ready();
  if (ready !== undefined && !ending.signal.aborted && roles.includes('gateway')) {
    progress.step('starting the gateway');
    try {
      gateway = await startGateway(ready.dataDir);
      if (ready.sharedPort !== 0) sharedPort = sharedPortLine(ready, await gateway.opened(ready.sharedPort));
    } catch (error) {
      progress.end();
      server.end('SIGTERM');
      await server.ended;
      throw error;
    }
  }
  progress.end();
  if (ready === undefined) {
    const code = await server.ended;
    if (ending.signal.aborted) process.exitCode = code;
    else throw serverDidNotStart(code);
    return;
  }
  const greeted = greet(ready, sharedPort, options, ending.signal);
  const code = await server.ended;
  ending.abort();
  await greeted;
  process.exitCode = code;
}

/** Two servers on one data folder lose data; the server's own lock refuses too, but after all the preparing. */
async function refuseSecond(folder: string): Promise<void> {
  try {
    await Client.onThisMachine(folder).get<Health>(routes.health);
  } catch (error) {
    if (error instanceof CommandFailure && error.exitCode === exitCodes.unreachable) return;
    throw error;
  }
  throw new CommandFailure(
    exitCodes.conflict,
    'already_running',
    `Berth is running here already (it answers at ${socketIn(folder)})`,
    'See how it is with: npx berth status',
  );
}

/** @returns the reference of the environment image */
async function prepare(folder: string, { install }: UpOptions, progress: Progress): Promise<string> {
  // Only `up` needs what speaks to Docker; every other command starts faster without.
  const { ensureDockerEngine } = await import('../up/docker-engine.ts');
  const docker = await ensureDockerEngine({
    mayInstall: install === true && process.env['BERTH_INSTALL_DOCKER'] !== 'no',
    dataDir: folder,
    onProgress: (step, detail) => progress.step(step, detail),
  });
  const given = settingInForce('environmentImage');
  if (given !== undefined) return given;
  const { ensureEnvironmentImage } = await import('@berth/image');
  const certificates = process.env['BERTH_IMAGE_CERTIFICATES'];
  const { reference } = await ensureEnvironmentImage({
    docker,
    onProgress: ({ step, detail }) => progress.step(step, detail),
    ...(certificates ? { certificates } : {}),
    cacheDir: cacheFolder(),
  });
  return reference;
}

/** Says how to get in. What goes wrong here is said too, but Berth runs on. */
async function greet(
  ready: ServerReady,
  sharedPort: string | null,
  options: UpOptions,
  ending: AbortSignal,
): Promise<void> {
  const client = Client.onThisMachine(ready.dataDir);
  const login = readFirstLogin(ready.dataDir);
  let demo: DemoState | undefined;
  if (options.demo) {
    const progress = new Progress();
    try {
      const environment = await ensureDemo(client, { dataDir: ready.dataDir, progress, signal: ending });
      if (environment !== undefined) demo = await demoState(client, environment);
    } catch (error) {
      if (ending.aborted) return;
      const sentence = error instanceof CommandFailure ? sentenceOf(error) : String(error);
      say(`berth: the environment ${demoName} could not be made or shown. ${printable(sentence)}`);
    } finally {
      progress.end();
    }
  }
  if (ending.aborted) return;
  if (!options.json) {
    writeAnswer(options.demo ? greeting(ready, sharedPort, login, demo) : shortGreeting(ready, sharedPort));
    return;
  }
  const document = {
    console_url: links.console(ready.publicUrl),
    http_address: ready.httpAddress,
    data_dir: ready.dataDir,
    shared_port: sharedPort,
    first_login: login ?? null,
    environment: demo?.environment ?? null,
    ssh: demo?.access ?? null,
  };
  writeAnswer(jsonText(document, 2));
}

/** The server ends with the code for wrong usage when a setting is wrong. */
function serverDidNotStart(code: number): CommandFailure {
  return new CommandFailure(
    code === exitCodes.usage ? exitCodes.usage : exitCodes.failed,
    'server_did_not_start',
    `The server did not start (exit code ${code})`,
    'Its lines above say why.',
  );
}
