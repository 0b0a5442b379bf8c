/** Composes the control plane: opens what it works with, starts the reconciler and the listeners, and closes all again. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { chmodSync, rmSync } from 'node:fs';
import type { Server as SecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Implementation, implementation } from '@berth/ssh';
import Docker from 'dockerode';
import type { Logger } from 'pino';
import { decideAttempt } from './attempts/attempts.ts';
import { watchLostConnections } from './connections/lost.ts';
import { Directory } from './control/directory.ts';
import { listenForGateways, openControlCertificate } from './control/listener.ts';
import { UpstreamAddresses } from './control/upstream.ts';
import { AuthLog } from './audit/auth-log.ts';
import { startSealing } from './audit/sealing.ts';
import { FollowedLogs } from './direct/followed-logs.ts';
import { DirectLogins } from './direct/logins.ts';
import { PortRules } from './direct/port-rules.ts';
import { firstStart } from './customers/first-start.ts';
import { openDataFolder } from './data-folder.ts';
import { openDatabase } from './database/database.ts';
import { migrate } from './database/migrate.ts';
import { Notices } from './events/notices.ts';
import { Certificate } from './http/certificate.ts';
import { localSockets, makeApp } from './http/app.ts';
import type { Services } from './http/app.ts';
import { setDefaultImage } from './images/table.ts';
import { LoginFailures } from './lockouts/login-failures.ts';
import type { Platform } from './platform/platform.ts';
import { startHousekeeping } from './housekeeping/housekeeping.ts';
import { Reconciler } from './reconciler/reconciler.ts';
import { GatewayMetrics } from './metrics/gateway-metrics.ts';
import { DockerRuntime } from './runtime/docker/docker-runtime.ts';
import { KeyRing } from './secrets/key-ring.ts';
import type { SettingInForce, Settings } from './settings.ts';

export interface RunningServer {
  publicUrl: string;
  httpAddress: string;
  socketPath: string;
  dataDir: string;
  /** Whether this start made the admin's first password. */
  firstPassword: boolean;
  sshHost: string;
  /** 0: there is none. */
  sharedPort: number;
  /** What SSH packets are sealed with in this process. */
  sshCiphers: Implementation;
  close(): Promise<void>;
}

const version = '0.1.0';
const maintenanceMs = 10 * 60 * 1000;

/**
 * @param restart has the process end and started again
 * @throws Error with a sentence for people: the data folder, the database or an address cannot be had
 */
export async function startServer(
  { settings, inForce }: { settings: Settings; inForce: SettingInForce[] },
  logger: Logger,
  restart: () => void,
): Promise<RunningServer> {
  /** Undone in the opposite order, on close and when a later part cannot be had. */
  const undo: (() => void | Promise<void>)[] = [];
  const close = async () => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    const folder = openDataFolder(settings.dataDir);
    undo.push(() => folder.close());
    const certificate = openCertificate(settings);
    const keyRing = KeyRing.open(folder.file('secret.key'));
    const opened = await openDatabase({ url: settings.databaseUrl, folder: folder.file('database'), logger });
    undo.push(() => opened.close());
    const { database } = opened;
    const migrated = await migrate(database);
    if (migrated.length > 0) logger.info({ migrations: migrated }, 'the database was brought up to date');

    // Ends after all that writes to the audit log.
    undo.push(startSealing(database, logger));

    const { installation, firstPassword } = await firstStart(database, keyRing, folder);
    if (settings.environmentImage !== null) await setDefaultImage(database, settings.environmentImage);
    const notices = new Notices();
    await opened.listen(
      (message) => {
        const restoredBy = restoredByOf(message);
        if (restoredBy === undefined) notices.receive(message);
        else if (restoredBy !== folder.serverId) restart();
      },
      () => notices.receiveGap(),
    );
    const directory = await Directory.open({ database, notices, logger });
    undo.push(() => directory.close());
    const gatewayMetrics = new GatewayMetrics();
    const loginFailures = new LoginFailures({ database, gatewayMetrics, logger });
    undo.push(() => loginFailures.close());

    const runtime = new DockerRuntime({
      docker: new Docker(),
      installationId: installation.id,
      secretsFolder: folder.file('environments'),
      portAddress: settings.portAddress,
      guardImage: settings.environmentImage,
    });
    const upstreamAddresses = new UpstreamAddresses({ runtime, directory });
    const platform: Platform = {
      version,
      installationId: installation.id,
      databaseKind: opened.kind,
      runtimeFault: 'not looked at yet',
      notes: [],
      storageEnforced: false,
      cpuCores: Infinity,
      unclaimed: [],
    };
    const workshop = {
      database,
      runtime,
      settings,
      keyRing,
      platform,
      authorityPublic: installation.authorityPublic,
      logger,
    };
    const authLog = new AuthLog(settings, logger);
    undo.push(() => authLog.close());
    const stopping = new AbortController();
    let reconciler: Reconciler | null = null;
    const startReconciler = async () => {
      reconciler = new Reconciler(workshop, folder.serverId, notices);
      await reconciler.start();
    };
    const addresses = {
      publicUrl: settings.publicUrl ?? '',
      sshHost: settings.sshHost,
      sharedPort: settings.sharedPort,
      passwordAges: settings,
    };
    const services: Services = {
      database,
      runtime,
      settings,
      settingsInForce: inForce,
      keyRing,
      folder,
      certificate,
      controlCertificate: openControlCertificate(settings),
      lifecycle: {
        async pauseReconciler() {
          await reconciler?.stop();
          return startReconciler;
        },
        restart,
      },
      poolUse: () => opened.poolUse(),
      queriesRun: () => opened.queriesRun(),
      gatewayMetrics,
      authLog,
      notices,
      directory,
      loginFailures,
      upstreamAddresses,
      authority: installation.authority,
      platform,
      addresses,
      logger,
      stopping: stopping.signal,
    };
    const app = await makeApp(services);
    undo.push(() => app.close());

    const { host, port } = settings.http;
    await app.listen({ host, port });
    const address = app.server.address() as AddressInfo;
    const httpAddress = `${host.includes(':') ? `[${host}]` : host}:${address.port}`;
    addresses.publicUrl ||= `${certificate ? 'https' : 'http'}://${httpAddress}`;

    const socketPath = folder.file('berth.sock');
    const local = await listenLocally(socketPath, (request, response) => app.routing(request, response));
    undo.push(() => closeServer(local));

    const control = await listenForGateways(services, decideAttempt);
    undo.push(() => control.close());

    await startReconciler();
    undo.push(() => reconciler?.stop());
    undo.push(startHousekeeping(services));
    undo.push(watchLostConnections(services));
    if (certificate) undo.push(certificate.watch(app.server as unknown as SecureServer, logger));
    const portRules = new PortRules(services);
    undo.push(() => portRules.stop());
    const directLogins = new DirectLogins(services);
    undo.push(() => directLogins.stop());
    const followedLogs = new FollowedLogs(services, directLogins);
    undo.push(() => followedLogs.stop());

    const maintenance = setInterval(() => {
      opened
        .maintain()
        .catch((error: Error) => logger.warn({ error: error.message }, 'the database could not be vacuumed'));
    }, maintenanceMs);
    undo.push(() => clearInterval(maintenance));
    undo.push(() => stopping.abort());

    logger.info({ http: httpAddress, database: opened.kind, dataDir: folder.path }, 'Berth is up');
    return {
      publicUrl: addresses.publicUrl,
      httpAddress,
      socketPath,
      dataDir: folder.path,
      firstPassword,
      sshHost: settings.sshHost,
      sharedPort: settings.sharedPort,
      sshCiphers: implementation(),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function openCertificate(settings: Settings): Certificate | null {
  const { 'tls.certificate': certificate, 'tls.key': key } = settings;
  return certificate === null || key === null ? null : Certificate.open({ certificate, key });
}

/** The server that restored a backup into the database, when that is what the notification says. */
function restoredByOf(message: string): string | undefined {
  return (JSON.parse(message) as { restoredBy?: string }).restoredBy;
}

/** The command's way in on this machine: a socket that only the data folder's owner can open. */
async function listenLocally(path: string, handle: Parameters<typeof createServer>[1] & {}): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer({ requestTimeout: 0 }, handle);
  server.on('connection', (socket) => localSockets.add(socket));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return server;
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}
