/** Which files of an environment outlive what, and that a deleted one leaves nothing. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Platform } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { TestBerth, docker, skipWithoutDocker } from '../harness/berth.ts';
import { Login, eventually } from '../harness/ssh.ts';

const lasting = ['/gemini/code/kept', '/gemini/output/kept', '/home/developer/kept'];
const passing = '/opt/installed';

describe('the files of an environment', { skip: skipWithoutDocker }, () => {
  let berth: TestBerth;
  let id: string;
  let login: Login;

  before(async () => {
    berth = await TestBerth.start();
    id = (await berth.createRunning({ name: 'files' })).env_id;
    login = new Login(await berth.ssh(id));
    const { code, stderr } = await login.ssh(
      `for file in ${lasting.join(' ')}; do echo "$file of ${id}" > $file; chmod 640 $file; done;
       echo installed | sudo tee ${passing}`,
    );
    assert.equal(code, 0, stderr);
  });

  after(async () => {
    login?.remove();
    await berth?.remove();
  });

  async function act(template: string): Promise<void> {
    const { status } = await berth.call('POST', pathOf(template, { id }));
    assert.equal(status, 202);
  }

  /** What is read over SSH, and whether what does not last is still there. */
  async function mustBeThere(alsoPassing: boolean): Promise<void> {
    const { code, stdout, stderr } = await login.ssh(
      `cat ${lasting.join(' ')}; stat -c '%U %a' ${lasting.join(' ')}; cat ${passing} 2>/dev/null || echo gone`,
    );
    assert.equal(code, 0, stderr);
    assert.deepEqual(stdout.trim().split('\n'), [
      ...lasting.map((file) => `${file} of ${id}`),
      ...lasting.map(() => 'developer 640'),
      alsoPassing ? 'installed' : 'gone',
    ]);
  }

  it('are all there after stop and start', async () => {
    await act(routes.environmentStop);
    await berth.until(id, 'stopped');
    await act(routes.environmentStart);
    await berth.until(id, 'running');
    await mustBeThere(true);
  });

  it('are all there after a restart', async () => {
    await act(routes.environmentRestart);
    await berth.until(id, 'running');
    await mustBeThere(true);
  });

  it('are all there after the server was killed and started again', async () => {
    await berth.kill('SIGKILL');
    assert.equal(await berth.up(), true);
    await berth.until(id, 'running');
    await mustBeThere(true);
  });

  it('are there in the folders that last, and only there, after the container was removed', async () => {
    const before = await docker.getContainer(id).inspect();
    await docker.getContainer(id).remove({ force: true });
    await eventually(
      async () =>
        (
          await docker
            .getContainer(id)
            .inspect()
            .catch(() => null)
        )?.Id ?? before.Id,
      (container) => container !== before.Id,
    );
    await berth.until(id, 'running');
    await mustBeThere(false);
  });

  it('are gone with a deleted environment, and so is everything else of it', async () => {
    const { ssh_port: port } = login.access;
    assert.ok(port !== null);
    const secrets = join(berth.dataDir, 'environments', id);
    assert.deepEqual(await berth.things(), [
      `container ${id}`,
      `volume ${id}-code`,
      `volume ${id}-home`,
      `volume ${id}-output`,
    ]);
    assert.equal(existsSync(secrets), true);

    assert.equal((await berth.call('DELETE', pathOf(routes.environment, { id }))).status, 202);
    await berth.until(id, 'gone');
    assert.deepEqual(await berth.things(), []);
    assert.equal(existsSync(secrets), false);
    assert.equal(await answers(port), false);
  });

  it('a deleted environment is not found by any of its paths', async () => {
    for (const [method, template] of [
      ['GET', routes.environment],
      ['GET', routes.environmentSsh],
      ['GET', routes.environmentEvents],
      ['GET', routes.environmentLogs],
      ['POST', routes.environmentStart],
      ['POST', routes.environmentStop],
      ['POST', routes.environmentRestart],
      ['POST', routes.environmentResetPassword],
      ['DELETE', routes.environment],
    ] as const) {
      const { status } = await berth.call(method, pathOf(template, { id }));
      assert.equal(status, 404, `${method} ${template}`);
    }
    const list = await berth.call<{ items: unknown[] }>('GET', routes.environments);
    assert.deepEqual(list.body.items, []);
  });

  it('the port of a deleted environment rests: the next one gets another', async () => {
    const { ports } = (await berth.call<Platform>('GET', routes.platform)).body;
    assert.deepEqual([ports.used, ports.resting], [0, 1]);
    const next = await berth.createRunning({ name: 'next' });
    assert.notEqual(next.ssh_port, login.access.ssh_port);
  });
});

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
