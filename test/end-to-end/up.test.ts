/** `berth up` as a person runs it: server and gateway side by side, each going on while the other is away or replaced. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { pathOf, routes } from '@berth/contract';
import { TestBerth, skipWithoutDocker } from '../harness/berth.ts';
import { Login, eventually } from '../harness/ssh.ts';

/** Process ids of the children of a process whose command line contains the text. */
function childrenOf(parent: number, text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const status = readFileSync(`/proc/${name}/status`, 'utf8');
        return (
          new RegExp(`^PPid:\\s${parent}$`, 'm').test(status) &&
          readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text)
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}

describe('berth up', { skip: skipWithoutDocker }, () => {
  let berth: TestBerth;
  let login: Login;
  let id: string;
  const sessions: ChildProcess[] = [];

  before(async () => {
    berth = await TestBerth.make({ gateway: true });
    assert.ok(await berth.up({ command: true }), berth.log);
    ({ env_id: id } = await berth.createRunning({ name: 'demo' }));
    login = new Login(await berth.ssh(id));
  });
  after(async () => {
    for (const session of sessions) session.kill('SIGKILL');
    login?.remove();
    await berth?.remove();
  });

  /** A session in which `cat` answers. */
  function openSession(): {
    say(line: string): Promise<string>;
    child: ChildProcess;
    gone: Promise<unknown>;
  } {
    const child = spawn(
      'sshpass',
      ['-f', `${login.folder}/password`, 'ssh', ...login.options, '-p', login.port, login.target, 'cat'],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    sessions.push(child);
    return {
      child,
      gone: once(child, 'exit').then(([code]: unknown[]) => code),
      async say(line) {
        const answer = once(child.stdout, 'data', { signal: AbortSignal.timeout(30_000) });
        child.stdin.write(line);
        return String((await answer)[0]);
      },
    };
  }

  test('both ports lead in, and the greeting has named the shared one', async () => {
    const own = await login.ssh('echo by the own port');
    assert.equal(own.stdout, 'by the own port\n', own.stderr);
    const shared = await login.run('ssh', [
      ...['-F', 'none', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
      ...['-p', String(berth.sharedPort), `${id}@127.0.0.1`, 'echo by the shared port'],
    ]);
    assert.equal(shared.stdout, 'by the shared port\n', shared.stderr);
  });

  test('a server that is killed cuts no connection and is started again', async () => {
    const session = openSession();
    assert.equal(await session.say('before'), 'before');
    const [server = 0] = childrenOf(berth.pid, 'server/src/main.ts');
    process.kill(server, 'SIGKILL');
    assert.equal(await session.say('meanwhile'), 'meanwhile');
    await eventually(
      () => berth.call('GET', routes.health).catch(() => null),
      (answer) => answer?.status === 200,
      60_000,
    );
    assert.equal(await session.say('after'), 'after');
    assert.match(berth.log, /berth: the server ended unexpectedly \(exit code 137\)/);
    const again = await eventually(
      () => login.ssh('echo a newcomer'),
      ({ code }) => code === 0,
      60_000,
    );
    assert.equal(again.stdout, 'a newcomer\n');
    session.child.kill('SIGKILL');
  });

  test('SIGHUP puts new workers in the place of the old ones', async () => {
    const session = openSession();
    assert.equal(await session.say('before'), 'before');
    const old = childrenOf(berth.pid, 'gateway/src/main.ts');
    process.kill(berth.pid, 'SIGHUP');
    await eventually(
      () => berth.log,
      (log) => log.includes('the gateway has new workers'),
      30_000,
    );
    assert.notDeepEqual(childrenOf(berth.pid, 'gateway/src/main.ts'), old);
    assert.equal(await session.say('after'), 'after');
    assert.equal((await login.ssh('echo a newcomer')).stdout, 'a newcomer\n');
    session.child.kill('SIGKILL');
  });

  test('Ctrl-C takes no newcomers, says who is connected, and ends when they have gone', async () => {
    const session = openSession();
    assert.equal(await session.say('before'), 'before');
    process.kill(berth.pid, 'SIGINT');
    await eventually(
      () => berth.log,
      (log) => log.includes('Press Ctrl-C again'),
    );
    assert.match(
      berth.log,
      new RegExp(
        `One SSH connection is still there:\n  ${id} from \\S+ since \\d{4}-\\d\\d-\\d\\d [\\d:]+ UTC\n`,
      ),
    );
    const newcomer = await login.ssh('true');
    assert.match(newcomer.stderr, /Connection refused/);
    assert.equal(await session.say('still here'), 'still here');
    assert.ok(berth.isUp);
    session.child.stdin?.end();
    await berth.ended();
    assert.deepEqual(childrenOf(berth.pid, 'main.ts'), []);
  });

  test('a second Ctrl-C ends at once, and after the next start the connections are over', async () => {
    assert.ok(await berth.up({ command: true }), berth.log);
    await berth.until(id, 'running');
    const session = openSession();
    assert.equal(await session.say('before'), 'before');
    const told = berth.log.length;
    process.kill(berth.pid, 'SIGINT');
    await eventually(
      () => berth.log.slice(told),
      (log) => log.includes('Press Ctrl-C again'),
    );
    // Only one that comes later than those of npm and the shell counts.
    await eventually(
      () => {
        if (berth.isUp) process.kill(berth.pid, 'SIGINT');
        return berth.isUp;
      },
      (isUp) => !isUp,
      10_000,
      400,
    );
    assert.equal(await session.gone, 255);
    assert.ok(await berth.up({ command: true }), berth.log);
    const live = () =>
      berth.call<{ items: { env_id: string; ended_at: string | null }[] }>(
        'GET',
        `${routes.connections}?limit=100`,
      );
    const { body } = await eventually(live, ({ body: { items } }) =>
      items.every((each) => each.ended_at !== null),
    );
    assert.ok(body.items.length >= 4, 'all of them are in the history');
    process.kill(berth.pid, 'SIGTERM');
    await berth.ended();
    assert.equal(
      (await berth.call('GET', pathOf(routes.environment, { id })).catch(() => null)) ?? null,
      null,
    );
  });
});
