/** The supervisor with real worker processes: what survives their replacement, their crash, and the server's. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { route, settings } from '../testing/control-double.ts';
import { TestGateway, echo, echoMain, freePorts, greeted, leave } from '../testing/gateway.ts';
import type { Greeted } from '../testing/gateway.ts';
import { until } from '../testing/until.ts';

const isRoot = process.getuid?.() === 0;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** The system's code of what goes wrong. */
function codeOf(action: Promise<unknown>): Promise<string | undefined> {
  return action.then(
    () => undefined,
    ({ code }: NodeJS.ErrnoException) => code,
  );
}

test('of 20,000 connections none is refused or reset while workers are replaced 20 times', async () => {
  const ports = await freePorts(2);
  await using gateway = await TestGateway.start(ports, 2);
  const failures: string[] = [];
  const pids = new Set<number>();
  let made = 0;
  let replaced = 0;
  const clients = Array.from({ length: 40 }, async (_, client) => {
    while (made < 20_000 || replaced < 20) {
      made += 1;
      try {
        const connection = await greeted(ports[made % 2] ?? 0, `127.0.1.${client + 1}`);
        pids.add(connection.pid);
        await leave(connection);
      } catch (error) {
        failures.push(String(error));
      }
    }
  });
  while (replaced < 20) {
    await gateway.supervisor.replace();
    replaced += 1;
  }
  await Promise.all(clients);
  assert.deepEqual(failures, []);
  assert.ok(made >= 20_000, `${made} connections`);
  assert.ok(pids.size >= 22, `${pids.size} workers served`);
  await until('the old workers are gone', () => gateway.supervisor.pids.length === 2);
  // Each was recorded once, by whichever worker, and ended.
  const ends = () =>
    gateway.server.records.filter((each) => each.type === 'connection' && each.ended_at !== null);
  await until(
    'each connection has its end',
    () => new Set(ends().map((each) => 'id' in each && each.id)).size === made,
  );
});

test('a connection that is open when its worker is replaced goes on until it ends', async () => {
  const [port = 0] = await freePorts(1);
  await using gateway = await TestGateway.start([port]);
  const old = await greeted(port);
  await gateway.supervisor.replace();
  const fresh = await greeted(port);
  assert.notEqual(fresh.pid, old.pid);
  assert.equal(await echo(old, 'still here'), 'still here');
  assert.deepEqual(
    (await gateway.supervisor.connections()).map(({ environment, source }) => [environment, source]),
    [
      ['demo-0', '127.0.0.1'],
      ['demo-0', '127.0.0.1'],
    ],
  );
  await leave(old);
  await until('the old worker has ended', () => !isAlive(old.pid));
  assert.equal(await echo(fresh, 'here too'), 'here too');
});

test('a worker that is killed loses its own connections only, and another is started', async () => {
  const [port = 0] = await freePorts(1);
  await using gateway = await TestGateway.start([port], 2);
  const connections: Greeted[] = [];
  while (new Set(connections.map(({ pid }) => pid)).size < 2) connections.push(await greeted(port));
  const victim = connections[0]?.pid ?? 0;
  for (const { socket } of connections) socket.on('error', () => {});
  const ends = connections.filter(({ pid }) => pid === victim).map(({ socket }) => once(socket, 'close'));
  process.kill(victim, 'SIGKILL');
  await Promise.all(ends);
  for (const connection of connections.filter(({ pid }) => pid !== victim)) {
    assert.equal(await echo(connection, 'alive'), 'alive');
  }
  await until('it is told', () => gateway.log.length === 1);
  assert.match(gateway.log[0] ?? '', /a gateway worker ended unexpectedly \(SIGKILL\)/);
  await until('there are two workers again', () => gateway.supervisor.pids.length === 2);
});

test('who waits in the queue of the only worker when it is killed is served by the next', async () => {
  const [port = 0] = await freePorts(1);
  await using gateway = await TestGateway.start([port]);
  const [pid = 0] = gateway.supervisor.pids;
  process.kill(pid, 'SIGSTOP');
  const waiting = Array.from({ length: 50 }, () => greeted(port));
  process.kill(pid, 'SIGKILL');
  const served = await Promise.all(waiting);
  assert.ok(served.every((each) => each.pid !== pid));
});

test('a worker that crashes again and again is started with growing pauses', async () => {
  const [port = 0] = await freePorts(1);
  await using gateway = await TestGateway.start([port]);
  for (const expected of ['at once', 'in 0.1 s', 'in 0.2 s', 'in 0.4 s']) {
    await until('there is a worker', () => gateway.supervisor.pids.length === 1);
    const told = gateway.log.length;
    process.kill(gateway.supervisor.pids[0] ?? 0, 'SIGKILL');
    await until('it is told', () => gateway.log.length > told);
    const last = gateway.log.at(-1) ?? '';
    assert.ok(last.endsWith(expected), last);
  }
  await (await greeted(port)).socket.destroy();
});

test('without its server a new worker serves from the last state', async () => {
  const [port = 0, later = 0] = await freePorts(2);
  await using gateway = await TestGateway.start([port]);
  gateway.server.set(route('later', later));
  await until('the second port is open', () => gateway.supervisor.ports.includes(later));
  await gateway.server.stop();
  // What the workers tell every two seconds reaches the supervisor at the latest when one is told to end.
  await gateway.supervisor.replace();
  await gateway.supervisor.replace();
  await leave(await greeted(port));
  await leave(await greeted(later));
});

test('ports are opened and closed with the state', async () => {
  const [first = 0, second = 0] = await freePorts(2);
  await using gateway = await TestGateway.start([first]);
  const stays = await greeted(first);
  const startedMs = Date.now();
  gateway.server.set(route('second', second));
  await until('the second port is open', () => gateway.supervisor.ports.includes(second));
  await leave(await greeted(second));
  gateway.server.unset('demo-0');
  await until('the first is closed', () => !gateway.supervisor.ports.includes(first));
  // Some 100 ms; a machine that is busy is slower.
  assert.ok(Date.now() - startedMs < 5000, `${Date.now() - startedMs} ms`);
  await assert.rejects(greeted(first), { code: 'ECONNREFUSED' });
  assert.equal(await echo(stays, 'stays'), 'stays');
});

test('a port that something else has is told with a sentence, and the others are opened', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  try {
    const taken = (other.address() as { port: number }).port;
    const [port = 0] = await freePorts(1);
    await using gateway = await TestGateway.start([port]);
    gateway.server.set(route('taken', taken));
    const record = () => gateway.server.records.find(({ type }) => type === 'port-taken');
    await until('the record', () => record() !== undefined);
    assert.deepEqual(record(), {
      type: 'port-taken',
      environment: 'taken',
      port: taken,
      message: `Port ${taken} on 127.0.0.1 is in use by another program.`,
    });
    await leave(await greeted(port));
  } finally {
    other.close();
  }
});

test('with the address :: both families are served on one port', async () => {
  const [port = 0] = await freePorts(1);
  const gateway = new TestGateway();
  try {
    gateway.server.settings = { ...settings, address: '::' };
    gateway.server.environments.set('demo-0', route('demo-0', port));
    gateway.supervise(1);
    await gateway.server.start();
    await until('it is open', () => gateway.supervisor.ports.includes(port));
    for (const host of ['127.0.0.1', '::1']) {
      const socket = connect(port, host);
      await once(socket, 'data');
      socket.destroy();
    }
  } finally {
    await gateway[Symbol.asyncDispose]();
  }
});

test('a gateway that ends takes no newcomers and waits for those who are there', async () => {
  const [port = 0] = await freePorts(1);
  await using gateway = await TestGateway.start([port], 2);
  const last = await greeted(port);
  const notice = once(last.socket, 'data');
  const drained = gateway.supervisor.drain('Berth is ending.');
  assert.equal(String((await notice)[0]), 'Berth is ending.\n');
  await until(
    'newcomers are refused',
    async () => (await codeOf(greeted(port).then(leave))) === 'ECONNREFUSED',
  );
  const [connection] = await gateway.supervisor.connections();
  assert.equal(connection?.environment, 'demo-0');
  assert.equal(connection?.source, '127.0.0.1');
  assert.match(connection?.since ?? '', /^\d{4}-\d\d-\d\dT/);
  assert.equal(await echo(last, 'a while'), 'a while');
  await leave(last);
  await drained;
  assert.deepEqual(gateway.supervisor.pids, []);
  const ended = gateway.server.records.filter((each) => each.type === 'gateway' && each.ended);
  assert.equal(ended.length, 2, 'each worker has told that it ends');
});

test('a gateway that ends with nobody connected ends at once', async () => {
  const [port = 0] = await freePorts(1);
  await using gateway = await TestGateway.start([port]);
  const startedMs = Date.now();
  await gateway.supervisor.drain('Berth is ending.');
  assert.ok(Date.now() - startedMs < 5000, `${Date.now() - startedMs} ms`);
});

test('whoever is still connected after drainSeconds is cut off', async () => {
  const [port = 0] = await freePorts(1);
  await using gateway = await TestGateway.start([port]);
  gateway.server.settings = { ...settings, drainSeconds: 1 };
  gateway.server.tell({ type: 'settings', settings: gateway.server.settings });
  const connection = await greeted(port);
  const closed = once(connection.socket, 'close');
  connection.socket.resume();
  await gateway.supervisor.drain('Berth is ending.');
  await closed;
});

test('a worker that has lost its supervisor serves what it has, and frees the ports', async () => {
  const [port = 0] = await freePorts(1);
  await using gateway = await TestGateway.start([port]);
  await gateway.supervisor.drain('The first one ends.');
  const program = `
    import { Supervisor } from ${JSON.stringify(new URL('supervisor.ts', import.meta.url))};
    new Supervisor({
      workers: 1, folder: ${JSON.stringify(join(gateway.folder, 'gateway'))}, user: 'nobody', certificates: null,
      server: { kind: 'unix', path: 'control.sock' }, log() {}, main: ${JSON.stringify(echoMain)},
    });`;
  const supervisor = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  let connection: Greeted | undefined;
  try {
    await until(
      'it serves',
      async () => (connection = await greeted(port).catch(() => undefined)) !== undefined,
    );
    assert.ok(connection);
    const gone = once(supervisor, 'exit');
    supervisor.kill('SIGKILL');
    await gone;
    await until(
      'newcomers are refused',
      async () => (await codeOf(greeted(port).then(leave))) === 'ECONNREFUSED',
    );
    assert.equal(await echo(connection, 'goes on'), 'goes on');
    await leave(connection);
    const { pid } = connection;
    await until('it has ended', () => !isAlive(pid));
  } finally {
    supervisor.kill('SIGKILL');
    if (connection !== undefined && isAlive(connection.pid)) process.kill(connection.pid, 'SIGKILL');
  }
});

test(
  'a worker has no rights of root and cannot read the secrets',
  { skip: !isRoot && 'needs root' },
  async () => {
    const [port = 0] = await freePorts(1);
    await using gateway = await TestGateway.start([port]);
    const secret = join(gateway.folder, 'secret.key');
    writeFileSync(secret, 'secret', { mode: 0o600 });
    const { pid } = await greeted(port);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const line = (name: string) =>
      new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]?.split(/\s+/) ?? [];
    const uid = spawnSync('id', ['-u', 'nobody'], { encoding: 'utf8' }).stdout.trim();
    const gid = spawnSync('id', ['-g', 'nobody'], { encoding: 'utf8' }).stdout.trim();
    assert.deepEqual(line('Uid'), [uid, uid, uid, uid]);
    assert.deepEqual(line('Gid'), [gid, gid, gid, gid]);
    assert.deepEqual(line('Groups').filter(Boolean), [gid]);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) assert.match(line(set)[0] ?? '', /^0+$/, set);
    assert.deepEqual(line('NoNewPrivs'), ['1']);
    // As that account, from that folder, in every way that its path allows.
    for (const path of [secret, '../secret.key', `/proc/${pid}/cwd/../secret.key`]) {
      const read = spawnSync('cat', [path], {
        cwd: join(gateway.folder, 'gateway'),
        uid: Number(uid),
        gid: Number(gid),
        encoding: 'utf8',
      });
      assert.match(read.stderr, /Permission denied/, path);
      assert.equal(read.stdout, '');
    }
  },
);

test('an account that there is not is named, and root is refused', { skip: !isRoot && 'needs root' }, () => {
  const gateway = new TestGateway();
  for (const [user, sentence] of [
    ['nobody-here', /setting gatewayUser is "nobody-here"; there is no such account/],
    ['root', /the gateway must not run as root/],
  ] as const) {
    assert.throws(() => gateway.supervise(1, user), sentence);
  }
  rmSync(gateway.folder, { recursive: true, force: true });
});
