/**
 * The server's parts, put together for a test: a real database, the real rules, the real HTTP application, and a
 * runtime in memory. Each has a folder of its own, which is removed at the end.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { CreatedEnvironment, CreateEnvironment, Environment, Role } from '@berth/contract';
import { BerthError, scopes } from '@berth/contract';
import { sql } from 'kysely';
import { pino } from 'pino';
import type { TestDatabase } from '../../../../test/harness/databases.ts';
import { copyEmbedded } from '../../../../test/harness/embedded.ts';
import type { Principal } from '../accounts/principal.ts';
import { insertAccount, principalOfAccount } from '../accounts/table.ts';
import type { Asker } from '../audit/audit.ts';
import { AuthLog } from '../audit/auth-log.ts';
import { Directory } from '../control/directory.ts';
import { UpstreamAddresses } from '../control/upstream.ts';
import { firstStart } from '../customers/first-start.ts';
import type { Installation } from '../customers/first-start.ts';
import { openDataFolder } from '../data-folder.ts';
import { openDatabase } from '../database/database.ts';
import type { Database } from '../database/database.ts';
import { migrate } from '../database/migrate.ts';
import { createEnvironment, getEnvironment } from '../environments/environments.ts';
import { listEvents } from '../events/events.ts';
import { Notices, announce } from '../events/notices.ts';
import type { Services } from '../http/app.ts';
import { setDefaultImage } from '../images/table.ts';
import { LoginFailures } from '../lockouts/login-failures.ts';
import { claimLoginName } from '../login-names/table.ts';
import { GatewayMetrics } from '../metrics/gateway-metrics.ts';
import { Reconciler } from '../reconciler/reconciler.ts';
import { KeyRing } from '../secrets/key-ring.ts';
import { accountHash } from '../secrets/password.ts';
import { readSettings } from '../settings.ts';
import type { Settings } from '../settings.ts';
import { issueToken } from '../tokens/tokens.ts';
import { MemoryRuntime } from './memory-runtime.ts';

export const testPassword = 'a password for tests';
const testPasswordHash = accountHash(testPassword);

export interface Account {
  principal: Principal;
  token: string;
}

export class ControlPlane {
  readonly runtime: MemoryRuntime;
  readonly services: Services;
  readonly installation: Installation;
  readonly admin: Principal;
  readonly folder: string;
  readonly databaseUrl: string | null;
  readonly #undo: (() => unknown)[];
  #reconcilers: Reconciler[] = [];

  private constructor(parts: {
    services: Services;
    runtime: MemoryRuntime;
    installation: Installation;
    admin: Principal;
    folder: string;
    databaseUrl: string | null;
    undo: (() => unknown)[];
  }) {
    this.services = parts.services;
    this.runtime = parts.runtime;
    this.installation = parts.installation;
    this.admin = parts.admin;
    this.folder = parts.folder;
    this.databaseUrl = parts.databaseUrl;
    this.#undo = parts.undo;
  }

  /**
   * @param beside another server of the same installation: same PostgreSQL, key ring and runtime
   * @param prepare puts what an earlier version left into the database and the data folder
   */
  static async open(
    on: TestDatabase,
    settings: Partial<Settings> = {},
    beside?: ControlPlane,
    prepare?: (database: Database, folder: string) => Promise<void>,
  ): Promise<ControlPlane> {
    const undo: (() => unknown)[] = [];
    const folder = mkdtempSync(join(tmpdir(), 'berth-server-'));
    undo.push(() => rmSync(folder, { recursive: true, force: true }));
    const logger = pino({ level: 'silent' });
    const dataFolder = openDataFolder(folder);
    undo.push(() => dataFolder.close());
    const databaseUrl = beside ? beside.databaseUrl : await on.create();
    if (databaseUrl === null) await copyEmbedded(join(folder, 'database'));
    const opened = await openDatabase({ url: databaseUrl, folder: join(folder, 'database'), logger });
    undo.push(() => opened.close());
    const { database } = opened;
    await prepare?.(database, folder);
    await migrate(database);
    const keyRing = beside?.services.keyRing ?? KeyRing.open(dataFolder.file('secret.key'));
    const { installation } = await firstStart(database, keyRing, dataFolder);
    await setDefaultImage(database, 'berth/environment:test');
    const notices = new Notices();
    await opened.listen(
      (message) => notices.receive(message),
      () => notices.receiveGap(),
    );
    const directory = await Directory.open({ database, notices, logger });
    undo.push(() => directory.close());
    const gatewayMetrics = new GatewayMetrics();
    const loginFailures = new LoginFailures({ database, gatewayMetrics, logger });
    undo.push(() => loginFailures.close());
    const runtime = beside?.runtime ?? new MemoryRuntime();
    if (!beside) undo.push(() => runtime.close());
    const read = readSettings({
      BERTH_DATA_DIR: folder,
      BERTH_SSH_HOST: 'ssh.example.com',
      BERTH_PUBLIC_URL: 'https://berth.example.com',
      // The runtime then has more to do: it publishes the ports, and takes hashes and keys into the containers.
      BERTH_EXPOSURE: 'direct',
    });
    const authLog = new AuthLog({ ...read.settings, ...settings }, logger);
    undo.push(() => authLog.close());
    const services: Services = {
      database,
      runtime,
      settings: { ...read.settings, databaseUrl, ...settings },
      settingsInForce: read.inForce,
      keyRing,
      folder: dataFolder,
      certificate: null,
      controlCertificate: null,
      lifecycle: {
        pauseReconciler: () => Promise.resolve(() => Promise.resolve()),
        restart: () => undefined,
      },
      poolUse: () => opened.poolUse(),
      queriesRun: () => opened.queriesRun(),
      gatewayMetrics,
      authLog,
      notices,
      directory,
      loginFailures,
      upstreamAddresses: new UpstreamAddresses({ runtime, directory }),
      authority: installation.authority,
      platform: {
        version: '0.1.0',
        installationId: installation.id,
        databaseKind: opened.kind,
        runtimeFault: null,
        notes: [],
        storageEnforced: true,
        cpuCores: 64,
        unclaimed: [],
      },
      addresses: {
        publicUrl: 'https://berth.example.com',
        sshHost: 'ssh.example.com',
        sharedPort: settings.sharedPort ?? read.settings.sharedPort,
        passwordAges: { ...read.settings, ...settings },
      },
      logger,
      stopping: new AbortController().signal,
    };
    const admin = await principalOfAccount(database, 'admin');
    if (!admin) throw new Error('the first start makes the account admin');
    return new ControlPlane({
      services,
      runtime,
      installation,
      admin,
      folder,
      databaseUrl,
      undo,
    });
  }

  get database() {
    return this.services.database;
  }

  /** The administrator, asking through the socket in the data folder. */
  get asker(): Asker {
    return { principal: this.admin, source: null };
  }

  /** The same services with other settings. */
  with(settings: Partial<Settings>, others: Partial<Services> = {}): Services {
    return { ...this.services, ...others, settings: { ...this.services.settings, ...settings } };
  }

  async account(customer: string, role: Role = 'member'): Promise<Account> {
    const { database } = this;
    const found = await database
      .selectFrom('customers')
      .select('id')
      .where('name', '=', customer)
      .executeTakeFirst();
    const { id } =
      found ??
      (await database
        .insertInto('customers')
        .values({ name: customer })
        .returning('id')
        .executeTakeFirstOrThrow());
    const name = `${role}-of-${customer}`;
    await claimLoginName(database, name, 'account');
    await insertAccount(database, { customer_id: id, name, role, password_hash: await testPasswordHash });
    await announce(database, { topic: 'customer', id });
    const principal = await principalOfAccount(database, name);
    if (!principal) throw new Error('the account was just made');
    const { token } = await issueToken(database, {
      account_id: principal.accountId,
      kind: 'login',
      name: '',
      scopes: [...scopes],
      expires_at: new Date(Date.now() + 3_600_000),
    });
    return { principal, token };
  }

  create(
    input: CreateEnvironment,
    services: Services = this.services,
    principal = this.admin,
  ): Promise<CreatedEnvironment> {
    return createEnvironment(services, { principal, source: null }, input);
  }

  /** null when it is gone. */
  async show(id: string): Promise<Environment | null> {
    try {
      return await getEnvironment(this.services, this.admin, id);
    } catch (error) {
      if (error instanceof BerthError && error.code === 'not_found') return null;
      throw error;
    }
  }

  async timeline(id: string): Promise<string[]> {
    const rows = await listEvents(this.database, id, { after: 0, limit: 1000 });
    return rows.map(({ kind, message }) => `${kind}: ${message}`);
  }

  async startReconciler(
    owner = 'server-one',
    options: { settings?: Partial<Settings>; leaseSeconds?: number } = {},
  ): Promise<Reconciler> {
    const { database, runtime, keyRing, platform, logger, notices, settings } = this.services;
    const reconciler = new Reconciler(
      {
        database,
        runtime,
        keyRing,
        platform,
        logger,
        settings: { ...settings, ...options.settings },
        authorityPublic: this.installation.authorityPublic,
      },
      owner,
      notices,
      options.leaseSeconds,
    );
    this.#reconcilers.push(reconciler);
    await reconciler.start();
    return reconciler;
  }

  /** Waits until the environment is as wanted; the timeline is in the error when it does not become so. */
  async until(id: string, status: Environment['status'] | 'gone', withinMs = 15_000): Promise<Environment> {
    const deadline = Date.now() + withinMs;
    for (;;) {
      const environment = await this.show(id);
      if ((environment?.status ?? 'gone') === status) return environment ?? ({} as Environment);
      if (Date.now() > deadline) {
        const lines = (await this.timeline(id)).join('\n  ');
        throw new Error(
          `${id} is ${environment?.status ?? 'gone'}, not ${status}, after ${withinMs} ms\n  ${lines}`,
        );
      }
      await pause(10);
    }
  }

  /** Ends the reconcilers and removes every environment, for the next test. */
  async clear(): Promise<void> {
    for (const reconciler of this.#reconcilers.splice(0)) await reconciler.stop();
    await this.database.deleteFrom('login_names').where('kind', '=', 'environment').execute();
    for (const table of [
      'login_failures',
      'lockouts',
      'bans',
      'connections',
      'allowlist_entries',
      'environment_events',
      'port_mappings',
      'ssh_credentials',
      'environments',
      'ssh_keys',
    ] as const) {
      await this.database.deleteFrom(table).execute();
    }
    await this.services.directory.reload();
    this.runtime.heal();
    this.runtime.silent = false;
    this.runtime.heldPorts.clear();
    this.runtime.storage.clear();
    this.runtime.calls.length = 0;
    await this.runtime.close();
  }

  /** Empties the audit log, which only retention may. */
  async clearAudit(): Promise<void> {
    await this.database.transaction().execute(async (transaction) => {
      await sql`set local berth.audit = 'retention'`.execute(transaction);
      for (const table of ['audit', 'audit_seals'] as const) await transaction.deleteFrom(table).execute();
    });
  }

  async close(): Promise<void> {
    for (const reconciler of this.#reconcilers.splice(0)) await reconciler.stop();
    for (const step of this.#undo.splice(0).toReversed()) await step();
  }
}
