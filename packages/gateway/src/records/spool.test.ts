/** What a gateway owes its server gets there: over crashes of either side, a server away, a full disk. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AttemptRecord, ConnectionRecord, GatewayRecordLine } from '@berth/contract';
import { Requests } from '../control/requests.ts';
import { ControlDouble } from '../testing/control-double.ts';
import { TestGateway, freePorts, greeted, leave } from '../testing/gateway.ts';
import { until } from '../testing/until.ts';
import { Delivery } from './delivery.ts';
import { Journal } from './journal.ts';
import { Spool } from './spool.ts';

const newId = () => randomBytes(10).toString('hex');
const at = '2026-02-03T04:05:06.000Z';

function attempt(id = newId()): AttemptRecord {
  return {
    type: 'attempt',
    id,
    at,
    connection: newId(),
    way: 'own-port',
    target: 'demo-7f3k',
    jumper: null,
    user: 'developer',
    source: '192.0.2.7',
    source_port: 50_000,
    client: 'SSH-2.0-OpenSSH_10.0',
    method: 'password',
    accepted: true,
    reason: null,
    fingerprint: null,
    account: null,
    customer: 1,
    count: 1,
  };
}

function connection(id: string, bytes_in: number, ended_at: string | null = null): ConnectionRecord {
  return {
    type: 'connection',
    id,
    gateway: 'aaaaaaaaaaaaaaaa',
    environment: 'demo-7f3k',
    customer: 1,
    account: null,
    method: 'password',
    fingerprint: null,
    key_name: null,
    way: 'own-port',
    source: '192.0.2.7',
    source_port: 50_000,
    client: 'SSH-2.0-OpenSSH_10.0',
    started_at: at,
    bytes_in,
    bytes_out: 0,
    channels: 1,
    open_channels: 1,
    ended_at,
    end_reason: ended_at && 'closed',
  };
}

/** A spool whose server is on a socket in the same folder. */
class Owing implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), 'berth-spool-'));
  readonly folder = join(this.root, 'spool');
  readonly server = new ControlDouble({ path: join(this.root, 'control.sock') });
  readonly log: string[] = [];
  readonly #requests = new Requests({ kind: 'unix', path: join(this.root, 'control.sock') });
  readonly #spools: Spool[] = [];

  constructor() {
    mkdirSync(this.folder);
  }

  async open(gateway = newId()): Promise<Spool> {
    const log = (line: string) => this.log.push(line);
    const spool = await Spool.open({
      folder: this.folder,
      gateway,
      version: '0.1.0',
      delivery: new Delivery(this.#requests, log),
      log,
      numbers: () => ({ connections: 0, draining: false, metrics: { berth_gateway_connections: 0 } }),
    });
    this.#spools.push(spool);
    return spool;
  }

  /** Of this connection, the newest. */
  last(id: string): ConnectionRecord | undefined {
    return this.server.records.findLast(
      (each) => each.type === 'connection' && each.id === id,
    ) as ConnectionRecord;
  }

  /** As if its process had been killed with this in it. */
  async leftBehind(lines: GatewayRecordLine[], gateway = newId()): Promise<string> {
    const journal = await Journal.open(this.folder, gateway);
    assert.ok(journal);
    journal.append(lines);
    journal.close();
    return gateway;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#spools.map((spool) => spool.stop()));
    this.#requests.close();
    await this.server.stop();
    rmSync(this.root, { recursive: true, force: true });
  }
}

test('records reach the server within a second, and leave nothing behind', async () => {
  await using owing = new Owing();
  await owing.server.start();
  const spool = await owing.open();
  const id = newId();
  const startedMs = Date.now();
  spool.record(attempt(id));
  await until('it is there', () => owing.server.attemptRecords().includes(id));
  assert.ok(Date.now() - startedMs < 1000);
  await spool.stop();
  const told = owing.server.records.filter((each) => each.type === 'gateway');
  assert.deepEqual([told.at(0)?.ended, told.at(-1)?.ended], [false, true]);
  const { berth_gateway_unsent_bytes: unsent, ...own } = told.at(-1)?.metrics ?? {};
  assert.deepEqual(own, { berth_gateway_connections: 0 });
  assert.ok(unsent !== undefined && unsent >= 0);
  assert.deepEqual(readdirSync(owing.folder), []);
});

test('of the numbers of a connection only the newest are sent, and its end last', async () => {
  await using owing = new Owing();
  await owing.server.start();
  const spool = await owing.open();
  const id = newId();
  for (let bytes = 0; bytes <= 1000; bytes += 1) spool.record(connection(id, bytes));
  await until('the newest are there', () => owing.last(id)?.bytes_in === 1000);
  assert.ok(owing.server.records.filter(({ type }) => type === 'connection').length <= 4);
  spool.record(connection(id, 1001));
  spool.record(connection(id, 1002, at));
  await spool.flush();
  assert.equal(owing.last(id)?.ended_at, at);
  assert.equal(owing.last(id)?.bytes_in, 1002);
});

test('while the server is away everything waits, and the numbers of connections stay bounded', async () => {
  await using owing = new Owing();
  const spool = await owing.open();
  const attempts = Array.from({ length: 2000 }, () => attempt());
  const ids = Array.from({ length: 200 }, newId);
  for (const id of ids) spool.record(connection(id, 0));
  for (let bytes = 1; bytes <= 500; bytes += 1) for (const id of ids) spool.record(connection(id, bytes));
  for (const each of attempts) spool.record(each);
  for (const id of ids) spool.record(connection(id, 501, at));
  await spool.flush();
  const bytes = readdirSync(owing.folder).map((name) => statSync(join(owing.folder, name)).size);
  assert.ok(Math.max(...bytes) < 3_000_000, `${bytes} bytes, where all 100,000 would be 40 MB`);
  await owing.server.start();
  await until('the last is there', () => ids.every((id) => owing.last(id)?.ended_at === at), 20_000);
  assert.deepEqual(
    owing.server.attemptRecords(),
    attempts.map(({ id }) => id),
  );
  assert.ok(ids.every((id) => owing.last(id)?.bytes_in === 501));
});

test('a journal at its bound drops numbers of connections that have newer ones, and nothing else', async () => {
  await using owing = new Owing();
  const gateway = newId();
  const journal = await Journal.open(owing.folder, gateway, 100_000);
  assert.ok(journal);
  const attempts = Array.from({ length: 300 }, () => attempt());
  const [alive, over] = [newId(), newId()];
  journal.append([connection(alive, 0), connection(over, 0), connection(over, 1, at)]);
  for (const [index, each] of attempts.entries()) {
    journal.append([each, ...Array.from({ length: 20 }, () => connection(alive, index))]);
  }
  assert.ok(journal.sizeBytes < 800_000, `${journal.sizeBytes} bytes of 2.6 million`);
  journal.close();
  await owing.server.start();
  await owing.open();
  await until('what was left has arrived', () => owing.last(alive)?.end_reason === 'gateway ended');
  assert.deepEqual(
    owing.server.attemptRecords(),
    attempts.map(({ id }) => id),
  );
  assert.equal(owing.last(alive)?.bytes_in, 299);
  assert.equal(owing.last(over)?.ended_at, at);
});

test('a journal is written anew while a batch is on its way, without losing a record or sending half of one', async () => {
  await using owing = new Owing();
  const journal = await Journal.open(owing.folder, newId());
  assert.ok(journal);
  const sent: string[] = [];
  const written: string[] = [];
  for (let round = 0; round < 200; round += 1) {
    const records = Array.from({ length: 30 }, () => attempt());
    journal.append([connection('aaaaaaaaaaaaaaaaaaaa', round), ...records.slice(0, 15)]);
    const batch = journal.next(16_384);
    journal.append(records.slice(15));
    written.push(...records.map(({ id }) => id));
    if (batch === undefined) continue;
    if (round % 3 === 0) {
      journal.release();
      continue;
    }
    sent.push(...batch.lines.map((line) => JSON.parse(line) as AttemptRecord).map(({ id }) => id));
    journal.acknowledge(batch.end);
  }
  for (let batch = journal.next(); batch !== undefined; batch = journal.next()) {
    sent.push(...batch.lines.map((line) => JSON.parse(line) as AttemptRecord).map(({ id }) => id));
    journal.acknowledge(batch.end);
  }
  assert.deepEqual(
    sent.filter((id) => id !== 'aaaaaaaaaaaaaaaaaaaa'),
    written,
  );
  assert.ok(journal.sizeBytes < 600_000, `${journal.sizeBytes} bytes`);
  journal.remove();
});

test('what a dead worker left is brought along, its connections are ended, and it is told to be gone', async () => {
  await using owing = new Owing();
  await owing.server.start();
  const [lost, over] = [newId(), newId()];
  const left = attempt();
  const gateway: GatewayRecordLine = {
    type: 'gateway',
    id: newId(),
    host: 'here',
    version: '0.1.0',
    started_at: at,
    connections: 1,
    draining: false,
    ended: false,
    metrics: {},
  };
  const dead = await owing.leftBehind([
    gateway,
    connection(lost, 1),
    left,
    connection(over, 7),
    connection(lost, 4711),
    connection(over, 8, at),
  ]);
  // The process died in the middle of a write.
  writeFileSync(join(owing.folder, `${dead}.journal`), '{"type":"attempt","id":"ha', { flag: 'a' });
  await owing.open();
  await until('it has arrived', () => owing.last(lost)?.ended_at !== null && owing.last(lost) !== undefined);
  const end = owing.last(lost);
  assert.equal(end?.end_reason, 'gateway ended');
  assert.equal(end?.bytes_in, 4711);
  assert.equal(end?.open_channels, 0);
  assert.ok(Math.abs(Date.parse(end?.ended_at ?? '') - Date.now()) < 60_000);
  assert.equal(owing.last(over)?.end_reason, 'closed');
  assert.deepEqual(owing.server.attemptRecords(), [left.id]);
  const last = owing.server.records.findLast((each) => each.type === 'gateway' && each.id === gateway.id);
  assert.equal(last?.type === 'gateway' && last.ended, true);
  await until(
    'its journal is removed',
    () => !readdirSync(owing.folder).some((name) => name.startsWith(dead)),
  );
});

test('the journal of a worker that lives is left alone', async () => {
  await using owing = new Owing();
  await owing.server.start();
  const first = await owing.open();
  const id = newId();
  first.record(connection(id, 1));
  await first.flush();
  const second = await owing.open();
  second.adoptOrphans();
  second.record(attempt());
  await second.flush();
  assert.equal(owing.last(id)?.ended_at, null);
  first.record(connection(id, 2, at));
  await first.flush();
  assert.equal(owing.last(id)?.end_reason, 'closed');
});

test('records that the server has taken before it died come twice, with the same id', async () => {
  await using owing = new Owing();
  await owing.server.start();
  const spool = await owing.open();
  await until('the gateway is known', () => owing.server.records.length > 0);
  owing.server.breaksOff = true;
  const sent = attempt();
  spool.record(sent);
  await until('it has come once', () => owing.server.attemptRecords().length > 0);
  owing.server.breaksOff = false;
  await until('it comes again', () => owing.server.attemptRecords().length > 1);
  assert.deepEqual([...new Set(owing.server.attemptRecords())], [sent.id]);
});

test('a record that the server refuses is told and dropped, and the others arrive', async () => {
  await using owing = new Owing();
  await owing.server.start();
  const records = Array.from({ length: 50 }, () => attempt());
  const bad = records[23]?.id;
  owing.server.refuses = (record) => record.type === 'attempt' && record.id === bad;
  const spool = await owing.open();
  for (const each of records) spool.record(each);
  await until('the others are there', () => owing.server.attemptRecords().length === 49);
  assert.ok(owing.log.some((line) => line.startsWith('a record was refused') && line.includes(bad ?? '-')));
});

test('a full disk loses no attempt and stops nobody', async (context) => {
  await using owing = new Owing();
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', owing.folder]);
  if (mounted.status !== 0) return context.skip('needs the right to mount');
  try {
    const spool = await owing.open();
    const ballast = join(owing.folder, 'ballast');
    assert.throws(() => writeFileSync(ballast, Buffer.alloc(1_000_000)), { code: 'ENOSPC' });
    const attempts = Array.from({ length: 1000 }, () => attempt());
    const id = newId();
    spool.record(connection(id, 0));
    for (const [index, each] of attempts.entries()) {
      spool.record(each);
      spool.record(connection(id, index));
    }
    await spool.flush();
    assert.match(owing.log.join('\n'), /records stay in memory, since they cannot be written: ENOSPC/);
    await owing.server.start();
    await until('all are there', () => owing.server.attemptRecords().length === 1000);
    assert.deepEqual(
      owing.server.attemptRecords(),
      attempts.map(({ id: each }) => each),
    );
    rmSync(ballast);
    spool.record(connection(id, 1000, at));
    await until('the end is there', () => owing.last(id)?.ended_at === at);
    await spool.stop();
  } finally {
    spawnSync('umount', ['--lazy', owing.folder]);
  }
});

test('of a worker and a server that are killed in turn, 100 times under load, no attempt and no end is lost', async () => {
  const [port = 0] = await freePorts(1);
  await using gateway = await TestGateway.start([port]);
  const served: string[] = [];
  let isOver = false;
  const clients = Array.from({ length: 4 }, async () => {
    while (!isOver) {
      try {
        const each = await greeted(port);
        served.push(each.id);
        each.socket.on('error', () => {});
        await leave(each);
      } catch {
        // Those of a worker that was killed.
      }
    }
  });
  try {
    for (let round = 0; round < 100; round += 1) {
      const before = served.length;
      if (round % 2 === 0) {
        process.kill(gateway.supervisor.pids.at(-1) ?? 0, 'SIGKILL');
        // Not after the pause that crashes one after another get.
        await gateway.supervisor.replace();
      } else {
        await gateway.server.stop();
        await gateway.server.start();
      }
      await until('there is load', () => served.length > before + 5);
    }
  } finally {
    isOver = true;
    await Promise.all(clients);
  }
  const known = () => {
    const { records } = gateway.server;
    const attempts = new Set(
      records.flatMap((each) => (each.type === 'attempt' ? (each.connection ?? []) : [])),
    );
    const ends = new Set(
      records.flatMap((each) => (each.type === 'connection' && each.ended_at ? each.id : [])),
    );
    return served.filter((id) => !attempts.has(id) || !ends.has(id));
  };
  // A journal whose adopter was killed too is found when the next one looks again.
  await until('nothing is missing', () => known().length === 0, 60_000).catch(() => {});
  assert.deepEqual(known(), []);
  assert.ok(served.length > 500, `${served.length} connections`);
});

test('a journal holds what write(2) took when its process is killed', async () => {
  await using owing = new Owing();
  const id = newId();
  const program = `
    import { Journal } from ${JSON.stringify(new URL('journal.ts', import.meta.url))};
    const journal = await Journal.open(${JSON.stringify(owing.folder)}, 'bbbbbbbbbbbbbbbbbbbb');
    journal.append([${JSON.stringify(attempt(id))}]);
    process.kill(process.pid, 'SIGKILL');`;
  const killed = spawnSync(process.execPath, ['--input-type=module', '--eval', program]);
  assert.equal(killed.signal, 'SIGKILL');
  assert.match(readFileSync(join(owing.folder, 'bbbbbbbbbbbbbbbbbbbb.journal'), 'utf8'), new RegExp(id));
  const next = await Journal.open(owing.folder, 'bbbbbbbbbbbbbbbbbbbb');
  assert.equal(next?.next()?.lines.length, 1, 'and its lock is gone');
  next?.close();
});
