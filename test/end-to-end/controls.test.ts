/**
 * Every control on every way in, with stock clients on a whole Berth. The table below has a row for each control and a
 * column for each way in that there is: one without a test fails here.
 *
 * Clients come from addresses of the loopback network, each test from its own, so that none meets another's lockout.
 */
import assert from 'node:assert/strict';
import { readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathOf, routes, waysIn } from '@berth/contract';
import type { AuditRecord, CreatedEnvironment, Environment, Connection, WayIn } from '@berth/contract';
import { Background } from '../harness/background.ts';
import { TestBerth, skipWithoutDocker } from '../harness/berth.ts';
import { type Finished, eventually, execute, makeKey } from '../harness/ssh.ts';
import { Door, type SshWay } from '../harness/ways.ts';

/** Ways in that people's SSH clients take, and the word that records have for each. */
const columns = {
  'own port': 'own-port',
  'shared port': 'shared-port',
  jump: 'jump',
} as const satisfies Record<SshWay, WayIn>;
/** The outer session of a jump is tested with the inner one; the others are not SSH and have tests of their own. */
const elsewhere: readonly WayIn[] = ['jump-login', 'terminal', 'jupyter'];

interface Scene {
  berth: TestBerth;
  environment: CreatedEnvironment;
  way: SshWay;
  /** Where the clients of this test come from. */
  source: string;
  /** `ssh target COMMAND` from there; by the key unless told otherwise. */
  ssh(command: string, options?: { by?: Credential; flags?: string[]; source?: string }): Promise<Finished>;
  /** A client that stays. */
  stay(flags: string[], command?: string): Background;
}

type Credential = 'key' | 'password' | 'wrong password' | 'strange key';

const controls: Record<string, (scene: Scene) => Promise<void>> = {
  'five failures lock the pair of environment and source, and say until when': async (scene) => {
    const { berth, ssh } = scene;
    for (let count = 0; count < 5; count += 1) assertRefused(await ssh('true', { by: 'wrong password' }));
    const locked = await ssh('true', { by: 'password' });
    assertRefused(locked);
    assert.match(locked.stderr, /(Locked until|try again after) \d{4}-\d\d-\d\d \d\d:\d\d UTC/);
    assertRefused(await ssh('true', { by: 'key' }));
    const elsewhere = await ssh('echo in', { by: 'key', source: neighbourOf(scene.source) });
    assert.equal(elsewhere.stdout, 'in\n', elsewhere.stderr);
    await berth.unlock(scene.source);
    const cleared = await ssh('echo in', { by: 'password' });
    assert.equal(cleared.stdout, 'in\n', cleared.stderr);
  },
  'keys merely offered lock nobody out': async ({ ssh }) => {
    for (let count = 0; count < 7; count += 1) assertRefused(await ssh('true', { by: 'strange key' }));
    assert.equal((await ssh('echo in', { by: 'key' })).stdout, 'in\n');
  },
  'an allowlist shuts others out, and cuts those who are in': async ({
    berth,
    environment,
    ssh,
    source,
    stay,
  }) => {
    const inside = stay([], 'echo in; sleep 60');
    await inside.says(/in/);
    const entry = { network: `${neighbourOf(source)}/32`, env_id: environment.env_id };
    const added = await berth.call<{ id: number }>('POST', routes.allowlist, entry);
    assert.equal(added.status, 201, JSON.stringify(added.body));
    try {
      await eventually(() => inside.ended, Boolean);
      assertRefused(await ssh('true'));
      assert.equal((await ssh('echo in', { source: neighbourOf(source) })).stdout, 'in\n');
    } finally {
      await berth.call('DELETE', pathOf(routes.allowlistEntry, { id: String(added.body.id) }));
    }
    await eventually(
      () => ssh('echo in'),
      ({ stdout }) => stdout === 'in\n',
    );
  },
  'a key that was deleted opens nothing any more': async ({ berth, ssh }) => {
    const { items } = (
      await berth.call<{ items: { id: number; name: string; public_key: string }[] }>('GET', routes.sshKeys)
    ).body;
    const row = items.find(({ name }) => name === 'control');
    assert.ok(row);
    assert.equal((await ssh('echo in')).stdout, 'in\n');
    assert.equal((await berth.call('DELETE', pathOf(routes.sshKey, { id: String(row.id) }))).status, 204);
    assertRefused(await ssh('true'));
    await berth.call('POST', routes.sshKeys, { name: 'control', public_key: row.public_key });
    await eventually(
      () => ssh('echo in'),
      ({ stdout }) => stdout === 'in\n',
    );
  },
  'a password that was reset opens nothing any more': async ({ berth, environment, ssh }) => {
    assert.equal((await ssh('echo in', { by: 'password' })).stdout, 'in\n');
    const path = pathOf(routes.environmentResetPassword, { id: environment.env_id });
    assert.equal((await berth.call('POST', path)).status, 200);
    // The door still has the old one.
    assertRefused(await ssh('true', { by: 'password' }));
  },
  'passwords can be switched off': async ({ berth, environment, ssh }) => {
    await patch(berth, environment, { password_login: false });
    try {
      assertRefused(await ssh('true', { by: 'password' }));
      assert.equal((await ssh('echo in')).stdout, 'in\n');
    } finally {
      await patch(berth, environment, { password_login: true });
    }
  },
  'forwarding of each kind can be switched off': async ({ berth, environment, ssh, stay }) => {
    await patch(berth, environment, {
      forwarding: { local: false, remote: false, agent: false, x11: false, sftp: false },
    });
    try {
      const local = await ssh('true', { flags: ['-W', '127.0.0.1:22'] });
      assert.notEqual(local.code, 0);
      assert.match(local.stderr, /administratively prohibited|not allowed|switched off/);
      const remote = stay(['-N', '-o', 'ExitOnForwardFailure=yes', '-R', '0:127.0.0.1:9']);
      await eventually(() => remote.ended, Boolean);
      const agent = await ssh('echo "agent $SSH_AUTH_SOCK"', { flags: ['-A'] });
      assert.equal(agent.stdout, 'agent \n', agent.stderr);
      const x11 = await ssh('echo "display $DISPLAY"', { flags: ['-Y'] });
      assert.equal(x11.stdout, 'display \n', x11.stderr);
      assert.notEqual((await ssh('sftp', { flags: ['-s'] })).code, 0);
      assert.equal((await ssh('echo in')).stdout, 'in\n');
    } finally {
      await patch(berth, environment, {
        forwarding: { local: true, remote: true, agent: true, x11: true, sftp: true },
      });
    }
  },
  'each attempt stands in the audit log, accepted or refused, with why, method, key and source': async (
    scene,
  ) => {
    const { berth, environment, ssh, source, way } = scene;
    assert.equal((await ssh('echo in')).stdout, 'in\n');
    assertRefused(await ssh('true', { by: 'wrong password' }));
    const { items } = await eventually(
      async () => (await berth.call<{ items: AuditRecord[] }>('GET', auditOf(environment, source))).body,
      (page) => page.items.length >= 2,
    );
    const accepted = items.find(({ outcome }) => outcome === 'done');
    const refused = items.find(({ outcome }) => outcome === 'refused');
    assert.equal(accepted?.detail['method'], 'publickey');
    assert.match(String(accepted?.detail['fingerprint']), /^SHA256:/);
    assert.equal(accepted?.account, 'admin');
    assert.equal(refused?.detail['method'], 'password');
    assert.equal(refused?.detail['reason'], 'wrong_password');
    for (const record of [accepted, refused]) assert.equal(record?.detail['way'], columns[way]);
  },
  'a live connection is seen with its bytes within two seconds, and can be ended': async (scene) => {
    const { berth, environment, source, way, stay } = scene;
    const inside = stay([], 'head -c 300000 /dev/zero; echo; echo there >&2; sleep 60');
    await inside.says(/there/);
    const seen = await eventually(
      async () => await liveOf(berth, environment, source),
      (found) => (found?.bytes_out ?? 0) > 300_000,
      2_000,
    );
    assert.equal(seen?.way, columns[way]);
    assert.equal(seen?.account, 'admin');
    assert.equal(seen?.ended_at, null);
    const killed = await berth.call('DELETE', pathOf(routes.connection, { id: seen?.id ?? '' }));
    assert.equal(killed.status, 202, JSON.stringify(killed.body));
    await eventually(() => inside.ended, Boolean, 2_000);
    await eventually(
      () => liveOf(berth, environment, source),
      (found) => found === undefined,
    );
  },
  'a login with right credentials starts a stopped environment and is served': async (scene) => {
    const { berth, environment, ssh } = scene;
    await eventually(
      () => connectedWithin(berth, environment, 6_000),
      (count) => count === 0,
      20_000,
    );
    await berth.call('POST', pathOf(routes.environmentStop, { id: environment.env_id }));
    await berth.until(environment.env_id, 'stopped');
    assertRefused(await ssh('true', { by: 'wrong password' }));
    assert.equal((await berth.show(environment.env_id))?.status, 'stopped');
    const woken = await ssh('echo in', { source: strangerTo(scene.source) });
    assert.equal(woken.stdout, 'in\n', woken.stderr);
    assert.match(woken.stderr, /start/i);
  },
  'who was connected when a person stopped it does not start it again without a terminal': async (scene) => {
    const { berth, environment, ssh, stay } = scene;
    const inside = stay([], 'echo in; sleep 60');
    await inside.says(/in/);
    await berth.call('POST', pathOf(routes.environmentStop, { id: environment.env_id }));
    await berth.until(environment.env_id, 'stopped');
    const editor = await ssh('echo in');
    assert.equal(editor.stdout, '');
    assert.match(editor.stderr, /stopped/);
    assert.equal((await berth.show(environment.env_id))?.status, 'stopped');
    const person = await ssh('echo in', { flags: ['-tt'] });
    assert.match(person.stdout, /in\r?\n/, person.stderr);
    assert.equal((await berth.show(environment.env_id))?.status, 'running');
  },
  'the address of the person is in BERTH_CLIENT, and nobody can say another': async ({ ssh, source }) => {
    const result = await ssh('echo "$BERTH_CLIENT"', { flags: ['-o', 'SetEnv=BERTH_CLIENT=198.51.100.1'] });
    assert.equal(result.stdout.trim().split(' ')[0], source, result.stderr);
  },
};

describe('every control on every way in', { skip: skipWithoutDocker }, () => {
  let berth: TestBerth;
  let environment: CreatedEnvironment;
  let folder: string;
  let key: string;
  let jumperKey: string;
  let strangeKey: string;
  const started: { stop(): Promise<void> }[] = [];
  const doors: Door[] = [];
  let sources = 0;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-controls-'));
    key = await makeKey(folder, 'control');
    jumperKey = await makeKey(folder, 'jumper');
    strangeKey = await makeKey(folder, 'strange');
    berth = await TestBerth.start({ gateway: true });
    environment = await berth.createRunning({ name: 'controls' });
    for (const [name, file] of [
      ['control', key],
      ['jumper', jumperKey],
    ] as const) {
      const public_key = readFileSync(`${file}.pub`, 'utf8').trim();
      assert.equal((await berth.call('POST', routes.sshKeys, { name, public_key })).status, 201);
    }
  });

  after(async () => {
    await Promise.all(started.map((each) => each.stop()));
    for (const each of doors) each.remove();
    await berth?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  async function scene(way: SshWay): Promise<Scene> {
    sources += 4;
    const source = `127.0.${1 + (sources >> 8)}.${sources & 255}`;
    // Whatever the test before left.
    await berth.call('POST', pathOf(routes.environmentStart, { id: environment.env_id }));
    await berth.until(environment.env_id, 'running', 20_000);
    const where = {
      access: await berth.ssh(environment.env_id),
      sharedPort: berth.sharedPort,
      jumper: { key: jumperKey, account: 'admin' },
    };
    const by = {
      key: new Door(way, { ...where, key }),
      password: new Door(way, { ...where, key: null }),
      'wrong password': new Door(way, {
        ...where,
        access: { ...where.access, ssh_password: 'not the password' },
        key: null,
      }),
      'strange key': new Door(way, { ...where, key: strangeKey }),
    };
    doors.push(...Object.values(by));
    return {
      berth,
      environment,
      way,
      source,
      ssh: (command, options = {}) => {
        const door = by[options.by ?? 'key'];
        return execute(
          'sshpass',
          [
            ...door.passwordPrefix,
            'ssh',
            ...door.from(options.source ?? source),
            ...(options.flags ?? []),
            'target',
            command,
          ],
          { timeoutMs: 60_000 },
        );
      },
      stay: (flags, command) => {
        const more = command === undefined ? [] : [command];
        const client = new Background('ssh', [...by.key.from(source), ...flags, 'target', ...more]);
        started.push(client);
        return client;
      },
    };
  }

  it('has a column for each way in', () => {
    const known: readonly WayIn[] = [...Object.values(columns), ...elsewhere];
    assert.deepEqual(known.toSorted(), waysIn.toSorted());
  });

  for (const way of Object.keys(columns) as SshWay[]) {
    describe(way, () => {
      for (const [name, holds] of Object.entries(controls)) it(name, async () => holds(await scene(way)));
    });
  }
});

function assertRefused({ code, stdout, stderr }: Finished): void {
  assert.notEqual(code, 0, stderr);
  assert.equal(stdout, '');
}

/** Another source of the same test. */
function neighbourOf(source: string): string {
  const [a, b, c, d] = source.split('.');
  return [a, b, c, Number(d) + 1].join('.');
}

function strangerTo(source: string): string {
  return neighbourOf(neighbourOf(source));
}

function auditOf({ env_id }: CreatedEnvironment, source: string): string {
  return `${routes.audit}?action=ssh.login&target=${env_id}&source=${source}`;
}

async function liveOf(
  berth: TestBerth,
  { env_id }: CreatedEnvironment,
  source: string,
): Promise<Connection | undefined> {
  const path = `${routes.connections}?live=true&env_id=${env_id}&source=${source}`;
  return (await berth.call<{ items: Connection[] }>('GET', path)).body.items[0];
}

/** How many connections there were within that time. */
async function connectedWithin(
  berth: TestBerth,
  { env_id }: CreatedEnvironment,
  ms: number,
): Promise<number> {
  const since = new Date(Date.now() - ms).toISOString();
  const path = `${routes.connections}?env_id=${env_id}&since=${since}`;
  return (await berth.call<{ items: Connection[] }>('GET', path)).body.items.length;
}

async function patch(berth: TestBerth, { env_id }: CreatedEnvironment, change: object): Promise<void> {
  const answer = await berth.call<Environment>('PATCH', pathOf(routes.environment, { id: env_id }), change);
  assert.ok(answer.status < 300, JSON.stringify(answer.body));
}
