/**
 * The gateway under load while what is behind it fails: the server is killed again and again, the database starts
 * anew, environments are stopped and woken, keys change. No byte is wrong, no connection ends but those whose
 * environment did, and each login and connection is recorded once.
 *
 * With BERTH_TEST_FULL=1 it takes ten minutes with fifty clients.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { pathOf, routes } from '@berth/contract';
import type { AuditRecord, CreatedEnvironment, Connection } from '@berth/contract';
import { TestBerth, skipWithoutDocker } from '../harness/berth.ts';
import { startPostgres } from '../harness/postgres.ts';
import { type Finished, eventually, execute, makeKey } from '../harness/ssh.ts';
import { Door, sshWays } from '../harness/ways.ts';

const full = process.env['BERTH_TEST_FULL'] === '1';
const clients = full ? 50 : 12;
const environments = full ? 5 : 3;
const loadMs = full ? 600_000 : 40_000;
const killEveryMs = full ? 20_000 : 8_000;
const fileBytes = 3 * 1024 * 1024 + 7;

/** From when to when something was so that ends connections, or refuses newcomers. */
interface Span {
  from: number;
  to: number;
}

/** One who moves a file each way on one connection after another, and checks each byte. */
interface Tally {
  served: number;
  /** Ended or refused while its environment was being stopped. */
  excused: number;
  /** Told to try again, since the server was away. */
  toldToTryAgain: number;
}

it(
  'loses no byte, no record and no connection while server, database and environments fail',
  {
    skip: skipWithoutDocker,
  },
  async (context) => {
    const postgres = await startPostgres();
    if (postgres === null) return context.skip('needs PostgreSQL (package postgresql)');
    const folder = mkdtempSync(join(tmpdir(), 'berth-chaos-'));
    let berth: TestBerth | undefined;
    const doors: Door[] = [];
    const ending = new AbortController();
    let busy: Promise<void>[] = [];
    try {
      berth = await TestBerth.start({
        gateway: true,
        databaseUrl: postgres.url,
        // All clients are one address here.
        settings: {
          BERTH_LOCKOUT_FAILURES: '1000',
          BERTH_BAN_FAILURES: '10000',
          BERTH_LIMITS_CONNECTIONS_PER_SECOND: '1000',
          BERTH_LIMITS_UNAUTHENTICATED_PER_SOURCE: '1000',
        },
      });
      const jumper = await makeKey(folder, 'jumper');
      await addKey(berth, 'jumper', jumper);
      const made = await Promise.all(
        Array.from({ length: environments }, (_, index) => running(berth as TestBerth, `chaos-${index}`)),
      );
      const file = join(folder, 'file');
      writeFileSync(file, randomBytes(fileBytes));
      const sum = await digest(file);

      const stops = new Map<string, Span[]>(made.map(({ env_id }) => [env_id, []]));
      const faults: string[] = [];
      const tallies: Tally[] = [];
      for (let index = 0; index < clients; index += 1) {
        const environment = made[index % made.length] as CreatedEnvironment;
        const key = await makeKey(folder, `client-${index}`);
        await addKey(berth, `client-${index}`, key);
        const door = new Door(sshWays[index % sshWays.length] ?? 'own port', {
          access: await berth.ssh(environment.env_id),
          sharedPort: berth.sharedPort,
          key,
          jumper: { key: jumper, account: 'admin' },
        });
        doors.push(door);
      }
      busy = doors.map(async (door, index) => {
        const environment = made[index % made.length] as CreatedEnvironment;
        const tally: Tally = { served: 0, excused: 0, toldToTryAgain: 0 };
        tallies.push(tally);
        while (!ending.signal.aborted) {
          const from = Date.now();
          const mark = randomBytes(6).toString('hex');
          const moved = await moveBothWays(door, folder, file, mark);
          const span = { from, to: Date.now() };
          const excuses = stops.get(environment.env_id) ?? [];
          if (moved.code === 0) {
            if (moved.stdout.trim() === sum) tally.served += 1;
            else faults.push(`wrong bytes by ${door.way}: ${moved.stdout}`);
          } else if (excuses.some((each) => each.from < span.to && span.from < each.to)) tally.excused += 1;
          else if (/try again/i.test(moved.stderr)) tally.toldToTryAgain += 1;
          else
            faults.push(
              `exit ${moved.code} by ${door.way} at ${new Date(from).toISOString()}: ${moved.stderr.slice(-400)}`,
            );
        }
      });

      const until = Date.now() + loadMs;
      let kills = 0;
      let restarts = 0;
      const killing = async () => {
        while (Date.now() < until) {
          await pause(killEveryMs);
          await (berth as TestBerth).kill();
          assert.ok(await (berth as TestBerth).up(), (berth as TestBerth).log.slice(-2000));
          kills += 1;
          if (kills % 3 === 0) {
            await postgres.restart();
            restarts += 1;
          }
        }
      };
      const stopping = async () => {
        while (Date.now() < until) {
          await pause(killEveryMs * 0.7);
          const { env_id } = made[randomInt(made.length)] as CreatedEnvironment;
          const span = { from: Date.now(), to: Infinity };
          stops.get(env_id)?.push(span);
          await asked(() =>
            (berth as TestBerth).call('POST', pathOf(routes.environmentStop, { id: env_id })),
          );
          // Those who were connected do not wake it: somebody has to.
          await asked(() =>
            (berth as TestBerth).call('POST', pathOf(routes.environmentStart, { id: env_id })),
          );
          await eventually(
            () => (berth as TestBerth).show(env_id).catch(() => null),
            (environment) => environment?.status === 'running',
            60_000,
          );
          span.to = Date.now() + 1_000;
        }
      };
      await Promise.all([killing(), stopping()]);
      ending.abort();
      await Promise.all(busy);
      assert.deepEqual(faults, []);

      const total = (of: (tally: Tally) => number) => tallies.reduce((sum, each) => sum + of(each), 0);
      context.diagnostic(
        `${kills} kills of the server, ${restarts} restarts of the database, ${total(({ served }) => served)} served, ` +
          `${total(({ excused }) => excused)} excused, ${total(({ toldToTryAgain }) => toldToTryAgain)} told to try again`,
      );
      assert.ok(tallies.every(({ served }) => served > 0));
      // Each of those that were served was let in once and is over, in both records. What was written while the
      // server was away arrives from the gateway's journal, the audit log's part and the connection's each in its turn.
      const { inner, connections } = await eventually(
        async () => {
          const connections = await all<Connection>(berth as TestBerth, `${routes.connections}?`);
          const accepted = await all<AuditRecord>(
            berth as TestBerth,
            `${routes.audit}?action=ssh.login&outcome=done`,
          );
          return { inner: accepted.filter(({ detail }) => detail['way'] !== 'jump-login'), connections };
        },
        ({ inner, connections }) =>
          connections.every(({ ended_at }) => ended_at !== null) &&
          connections.every(({ id }) => inner.some(({ detail }) => detail['connection'] === id)),
        60_000,
      );
      assert.equal(new Set(inner.map(({ detail }) => detail['connection'])).size, inner.length);
      // Whoever was let in has a connection, but for those whose environment was stopped at that moment.
      const begun = new Set(connections.map(({ id }) => id));
      const without = inner.filter(({ detail }) => !begun.has(String(detail['connection'])));
      const unexplained = without.filter(
        ({ at, target }) =>
          !(stops.get(target ?? '') ?? []).some(
            ({ from, to }) => from <= Date.parse(at) && Date.parse(at) <= to,
          ),
      );
      assert.deepEqual(unexplained, []);
      assert.ok(inner.length >= total(({ served }) => served));
    } catch (error) {
      context.diagnostic(`the server said last:\n${berth?.log.slice(-4000) ?? ''}`);
      throw error;
    } finally {
      ending.abort();
      await Promise.all(busy);
      for (const each of doors) each.remove();
      await berth?.remove();
      await postgres.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

/** Sends the file, has it summed there, and reads it back: prints the sum where all three are one. */
async function moveBothWays(door: Door, folder: string, file: string, mark: string): Promise<Finished> {
  const back = join(folder, `back-${mark}`);
  const command = `cat > /tmp/${mark} && sha256sum < /tmp/${mark} >&2 && cat /tmp/${mark}; code=$?; rm -f /tmp/${mark}; exit $code`;
  const shell = `ssh -F ${door.config} target '${command}' < ${file} > ${back}`;
  const moved = await execute('sh', ['-c', shell], { timeoutMs: 120_000 });
  const there = /^([0-9a-f]{64})/m.exec(moved.stderr)?.[1] ?? '';
  const here = moved.code === 0 ? await digest(back) : '';
  rmSync(back, { force: true });
  return { ...moved, stdout: there === here ? here : `${there} there, ${here} here` };
}

async function running(berth: TestBerth, name: string): Promise<CreatedEnvironment> {
  return berth.createRunning({ name, resources: { cpu: 1, memory: 0.5 } });
}

async function addKey(berth: TestBerth, name: string, file: string): Promise<void> {
  const public_key = readFileSync(`${file}.pub`, 'utf8').trim();
  await asked(() => berth.call('POST', routes.sshKeys, { name, public_key }));
}

/** Asks until there is an answer that is no fault of the server's: it may be down just now. */
async function asked(ask: () => Promise<{ status: number }>): Promise<void> {
  await eventually(
    () => ask().catch(() => ({ status: 503 })),
    ({ status }) => status < 500,
    60_000,
  );
}

async function all<T>(berth: TestBerth, path: string): Promise<T[]> {
  const rows: T[] = [];
  for (let cursor = ''; ;) {
    const { body } = await berth.call<{ items: T[]; next_cursor: string | null }>(
      'GET',
      `${path}&limit=1000${cursor}`,
    );
    rows.push(...body.items);
    if (body.next_cursor === null) return rows;
    cursor = `&cursor=${encodeURIComponent(body.next_cursor)}`;
  }
}

async function digest(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
