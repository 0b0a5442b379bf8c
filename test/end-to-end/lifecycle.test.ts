/** An environment from its creation to its end: what the API shows, and what comes of what others do to its container. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { CreatedEnvironment, Environment, EnvironmentEvent, Platform, Status } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { TestBerth, docker, environmentImage, skipWithoutDocker } from '../harness/berth.ts';
import { databases } from '../harness/databases.ts';
import { Login, eventually } from '../harness/ssh.ts';
import { Stream } from '../harness/stream.ts';

const small = { resources: { cpu: 1, memory: 0.125 } };
const noticedMs = 5000;

for (const database of databases) {
  describe(
    `the life of an environment, on ${database.name}`,
    { skip: skipWithoutDocker || database.skip },
    () => {
      let berth: TestBerth;
      const logins: Login[] = [];

      before(async () => {
        berth = await TestBerth.start({ databaseUrl: await database.create(), portCount: 40 });
      });

      after(async () => {
        for (const each of logins) each.remove();
        await berth?.remove();
      });

      const create = (name: string, more: Record<string, unknown> = {}) =>
        berth.createRunning({ name, ...small, ...more });

      async function act(id: string, template: string): Promise<Environment> {
        const method = template === routes.environment ? 'DELETE' : 'POST';
        const { status, body } = await berth.call<Environment>(method, pathOf(template, { id }));
        assert.equal(status, 202, JSON.stringify(body));
        return body;
      }

      async function stop(id: string): Promise<void> {
        await act(id, routes.environmentStop);
        await berth.until(id, 'stopped');
      }

      async function remove(id: string): Promise<void> {
        await act(id, routes.environment);
        await berth.until(id, 'gone');
      }

      async function login(id: string): Promise<Login> {
        const made = new Login(await berth.ssh(id));
        logins.push(made);
        return made;
      }

      async function mustLogIn(id: string): Promise<void> {
        const { stdout, stderr } = await (await login(id)).ssh('hostname');
        assert.equal(stdout, `${id}\n`, stderr);
      }

      const startedAt = async (id: string) => (await docker.getContainer(id).inspect()).State.StartedAt;

      it('shows each status on the way, in the answers and in the timeline as it happens', async () => {
        const created = await berth.create({ name: 'statuses', ...small });
        const id = created.env_id;
        const timeline = await Stream.open(berth.socketPath, pathOf(routes.environmentEvents, { id }), {
          accept: 'text/event-stream',
        });
        assert.match(timeline.contentType, /^text\/event-stream/);
        const seen: Status[] = [created.status];
        const ask = async (template: string, then: Status | 'gone') => {
          seen.push((await act(id, template)).status);
          const environment = await berth.until(id, then);
          if (environment) seen.push(environment.status);
        };
        const running = await berth.until(id, 'running');
        assert.ok(
          running && running.started_at !== null && running.step === null && running.failure === null,
        );
        seen.push(running.status);
        await ask(routes.environmentStop, 'stopped');
        await ask(routes.environmentStart, 'running');
        await ask(routes.environmentRestart, 'running');
        await ask(routes.environment, 'gone');
        const expected: Status[] = [
          ...(['creating', 'running', 'stopping', 'stopped', 'starting', 'running'] as const),
          ...(['restarting', 'running', 'deleting'] as const),
        ];
        assert.deepEqual(seen, expected);

        await timeline.has(/^event: gone$/m);
        await eventually(() => timeline.ended, Boolean);
        const { events } = timeline;
        const streamed = events.flatMap(({ status }) => (status === null ? [] : [status]));
        assert.deepEqual(streamed, expected);
        assert.ok(
          events.some(({ message }) => message.startsWith('Deleted')),
          'the last line came too',
        );
        const ids = events.map((event) => event.id);
        assert.deepEqual(
          ids,
          [...new Set(ids)].sort((a, b) => a - b),
        );
        const steps = events.slice(
          0,
          events.findIndex(({ status }) => status === 'running'),
        );
        assert.deepEqual(
          steps.flatMap(({ step }) => step ?? []),
          ['image', 'storage', 'container', 'handshake'],
        );
      });

      it('takes a timeline up again where it was left', async () => {
        const { env_id: id } = await create('timeline');
        const before = await berth.events(id);
        const last = before.at(-1)?.id ?? 0;
        await act(id, routes.environmentStop);
        const timeline = await Stream.open(berth.socketPath, pathOf(routes.environmentEvents, { id }), {
          accept: 'text/event-stream',
          'last-event-id': String(last),
        });
        await timeline.has(/"status":"stopped"/);
        assert.ok(timeline.events.every((event) => event.id > last));
        timeline.close();
        await remove(id);
      });

      it('leaves a running environment alone when it is started', async () => {
        const { env_id: id } = await create('started twice');
        const [started, events] = [await startedAt(id), (await berth.events(id)).length];
        assert.equal((await act(id, routes.environmentStart)).status, 'running');
        assert.equal(await startedAt(id), started);
        assert.equal((await berth.events(id)).length, events);
        await remove(id);
      });

      describe('what others do to its container', () => {
        let id: string;

        before(async () => {
          ({ env_id: id } = await create('drift', { sudo: true }));
        });

        after(async () => {
          if (id) await remove(id);
        });

        for (const [what, disturb] of [
          ['docker stop', () => docker.getContainer(id).stop({ t: 1 })],
          ['docker kill', () => docker.getContainer(id).kill()],
          ['docker rm -f', () => docker.getContainer(id).remove({ force: true })],
          ['docker pause', () => docker.getContainer(id).pause()],
          ['docker restart', () => docker.getContainer(id).restart({ t: 1 })],
          ['the end of process 1, by its own user', async () => (await login(id)).ssh('sudo kill 1')],
        ] as [string, () => Promise<unknown>][]) {
          it(`is noticed and repaired within five seconds: ${what}`, async () => {
            const last = (await berth.events(id)).at(-1)?.id ?? 0;
            await disturb();
            const done = Date.now();
            const events = await eventually(
              async () => (await berth.events(id)).filter((event) => event.id > last),
              (lines) => lines.some(({ status }) => status === 'running'),
              noticedMs,
            );
            assert.ok(Date.now() - done <= noticedMs);
            assert.ok(
              events.some(({ kind }) => kind === 'drift'),
              JSON.stringify(events),
            );
            assert.equal((await berth.show(id))?.status, 'running');
            await mustLogIn(id);
          });
        }
      });

      it('stays stopped when others start its container', async () => {
        const { env_id: id } = await create('stays stopped');
        await stop(id);
        await docker.getContainer(id).start();
        await eventually(
          async () => (await docker.getContainer(id).inspect()).State.Running,
          (running) => !running,
          noticedMs + 3000,
        );
        assert.equal((await berth.show(id))?.status, 'stopped');
        await remove(id);
      });

      it('shows what its sshd says: the last lines, and each new one to whoever follows', async () => {
        const { env_id: id } = await create('log');
        const path = pathOf(routes.environmentLogs, { id });
        const whole = await berth.call<string>('GET', path);
        assert.match(String(whole.headers['content-type']), /^text\/plain/);
        assert.match(whole.body, new RegExp(`${id} accepts SSH for developer`));
        const lines = whole.body.trimEnd().split('\n');
        assert.ok(lines.length > 1);
        const last = await berth.call<string>('GET', `${path}?tail=1`);
        assert.equal(last.body.trimEnd().split('\n').length, 1);
        const follow = await Stream.open(berth.socketPath, `${path}?tail=1&follow=true`);
        assert.equal(await follow.has(/\n/), last.body);
        await mustLogIn(id);
        await follow.has(/Accepted password for developer/);
        follow.close();
        await remove(id);
      });

      it('takes the next port when another program took its own while it was stopped', async () => {
        const { env_id: id, ssh_port: port } = await create('port');
        assert.ok(port !== null);
        await stop(id);
        const holder = await hold(port);
        try {
          await act(id, routes.environmentStart);
          const running = await berth.until(id, 'running');
          assert.ok(running?.ssh_port !== null && running?.ssh_port !== port);
          const lines = (await berth.events(id)).filter(({ kind }) => kind === 'port');
          assert.ok(
            lines.some(({ message }) => message.includes(`Port ${port} was passed over: another program`)),
          );
          assert.ok(lines.some(({ message }) => message.includes(`Port ${running?.ssh_port} is its own.`)));
          await mustLogIn(id);
        } finally {
          await close(holder);
        }
        await remove(id);
      });

      it('goes without a port when it shall have none', async () => {
        const created = await create('without port', { own_port: 'no' });
        assert.equal(created.ssh_port, null);
        const { HostConfig, NetworkSettings } = await docker.getContainer(created.env_id).inspect();
        assert.deepEqual(HostConfig.PortBindings, {});
        assert.deepEqual(
          Object.values(NetworkSettings.Ports).flatMap((bindings) => bindings ?? []),
          [],
        );
        const access = await berth.ssh(created.env_id);
        assert.equal(access.ssh_command, access.shared_port_command);
        assert.equal(access.known_hosts, access.shared_known_hosts);
        await remove(created.env_id);
      });

      it('touches no container of somebody else that has its name', async () => {
        const { env_id: id } = await create('name of a container');
        await stop(id);
        await docker.getContainer(id).remove();
        const foreign = await docker.createContainer({
          name: id,
          Image: await environmentImage(),
          Entrypoint: ['sleep', '600'],
          HostConfig: { NetworkMode: 'none' },
        });
        try {
          await foreign.start();
          const before = await foreign.inspect();
          await act(id, routes.environmentStart);
          const failed = await berth.until(id, 'failed');
          assert.equal(failed?.failure?.code, 'not_ours');
          assert.match(failed?.failure?.cause ?? '', new RegExp(`container ${id} is there already`));
          assert.match(failed?.failure?.cure ?? '', /Remove it by hand/);
          await remove(id);
          const now = await foreign.inspect();
          assert.deepEqual([now.Id, now.State], [before.Id, before.State]);
        } finally {
          await foreign.remove({ force: true });
        }
      });

      it('touches no volume of somebody else that has the name of one of its own', async () => {
        const { env_id: id } = await create('name of a volume');
        await stop(id);
        await docker.getContainer(id).remove();
        const name = `${id}-code`;
        await docker.getVolume(name).remove();
        await docker.createVolume({ Name: name, Labels: { of: 'somebody else' } });
        const before = await docker.getVolume(name).inspect();
        try {
          await act(id, routes.environmentStart);
          const failed = await berth.until(id, 'failed');
          assert.equal(failed?.failure?.code, 'not_ours');
          assert.match(failed?.failure?.cause ?? '', new RegExp(`volume ${name} is there already`));
          await remove(id);
          assert.deepEqual(await docker.getVolume(name).inspect(), before);
        } finally {
          await docker.getVolume(name).remove();
        }
      });

      it('finds its environments again after it was down, and brings back those that ended meanwhile', async () => {
        const names = ['untouched', 'stopped meanwhile', 'killed meanwhile', 'removed meanwhile'];
        const made = await Promise.all(names.map((name) => create(name)));
        const [untouched, stopped, killed, removed] = made.map(({ env_id }) => env_id);
        assert.ok(untouched && stopped && killed && removed);
        const started = await startedAt(untouched);
        const lastEvent = new Map<string, number>();
        for (const { env_id } of made) lastEvent.set(env_id, (await berth.events(env_id)).at(-1)?.id ?? 0);

        await berth.kill('SIGKILL');
        const unclaimed = `berth-test-nobody-${berth.installationId.slice(0, 6)}`;
        const volume = { Name: `${unclaimed}-home`, Labels: ofInstallation(berth, unclaimed) };
        await Promise.all([
          docker.getContainer(stopped).stop({ t: 0 }),
          docker.getContainer(killed).kill(),
          docker.getContainer(removed).remove({ force: true }),
          docker.createVolume(volume),
        ]);
        assert.equal(await berth.up(), true);

        for (const id of [stopped, killed, removed]) {
          await eventually(
            async () => (await berth.events(id)).filter((event) => event.id > (lastEvent.get(id) ?? 0)),
            (events) => events.some(isDrift) && events.some(({ status }) => status === 'running'),
          );
        }
        for (const id of [untouched, stopped, killed, removed]) await mustLogIn(id);
        assert.equal(await startedAt(untouched), started);
        assert.equal((await berth.events(untouched)).some(isDrift), false);

        const platform = await eventually(
          async () => (await berth.call<Platform>('GET', routes.platform)).body,
          (body) => body.unclaimed.length > 0,
        );
        assert.deepEqual(platform.unclaimed, [
          { kind: 'storage', name: `${unclaimed}-home`, env_id: unclaimed },
        ]);
        await Promise.all(made.map(({ env_id }) => remove(env_id)));
        assert.deepEqual(await berth.things(), [`volume ${unclaimed}-home`], 'reported, never deleted');
        await docker.getVolume(volume.Name).remove();
      });

      it('brings twenty environments up at once, each on a port of its own, and deletes them again', async () => {
        const made = await Promise.all(
          Array.from({ length: 20 }, (_, index) => berth.create({ name: `crowd ${index}`, ...small })),
        );
        await Promise.all(made.map(({ env_id }) => berth.until(env_id, 'running', 60_000)));
        assert.equal(new Set(made.map(({ ssh_port }) => ssh_port)).size, 20);
        assert.equal(new Set(made.map(({ env_id }) => env_id)).size, 20);
        const shown = await Promise.all(made.map(({ env_id }) => berth.show(env_id)));
        assert.deepEqual(
          shown.map((environment) => environment?.ssh_port),
          made.map(({ ssh_port }) => ssh_port),
        );
        await Promise.all([made[0], made[19]].map((each) => mustLogIn(each?.env_id ?? '')));
        await Promise.all(made.map(({ env_id }) => remove(env_id)));
        assert.deepEqual(await berth.things(), []);
      });
    },
  );
}

describe('an environment whose image is wrong', { skip: skipWithoutDocker }, () => {
  const broken = `berth-test-broken:${process.pid}`;
  let berth: TestBerth | undefined;

  before(async () => {
    const container = await docker.createContainer({ Image: await environmentImage() });
    try {
      const [repo, tag] = broken.split(':');
      const script = 'echo the first line; echo nothing serves SSH here >&2; exit 7';
      const changes = `ENTRYPOINT ${JSON.stringify(['/bin/bash', '-c', script])}`;
      await container.commit({ repo, tag, changes });
    } finally {
      await container.remove();
    }
  });

  after(async () => {
    await berth?.remove();
    await docker.getImage(broken).remove();
  });

  async function failure(image: string): Promise<{ created: CreatedEnvironment; failed: Environment }> {
    await berth?.remove();
    berth = await TestBerth.start({ image });
    const created = await berth.create({ name: 'wrong image', ...small });
    const failed = await berth.until(created.env_id, 'failed');
    assert.ok(failed?.failure);
    const { events, things } = { events: await berth.events(created.env_id), things: await berth.things() };
    assert.deepEqual(things, []);
    assert.equal(existsSync(join(berth.dataDir, 'environments', created.env_id)), false);
    assert.equal(failed.ssh_port, null);
    const line = events.find((event) => event.status === 'failed');
    assert.match(line?.message ?? '', /Nothing was left behind\.$/);
    return { created, failed };
  }

  it('fails with cause and cure when the image is not there, and leaves nothing behind', async () => {
    const { failed } = await failure('127.0.0.1:1/berth/nowhere:none');
    assert.equal(failed.failure?.code, 'image_missing');
    assert.match(failed.failure?.cause ?? '', /127\.0\.0\.1:1\/berth\/nowhere:none is not on this host/);
    assert.match(failed.failure?.cure ?? '', /docker pull/);
  });

  it('fails with the last lines of the log when no sshd comes, and leaves nothing behind', async () => {
    const { created, failed } = await failure(broken);
    assert.match(failed.failure?.cause ?? '', /ended with exit code 7/);
    assert.match(failed.failure?.cause ?? '', /nothing serves SSH here/);
    assert.match(failed.failure?.cure ?? '', /log/);

    // It is started again once the image is right.
    assert.ok(berth);
    await berth.kill('SIGTERM');
    assert.equal(
      await berth.up({ environment: { BERTH_ENVIRONMENT_IMAGE: await environmentImage() } }),
      true,
    );
    const again = await berth.call('POST', pathOf(routes.environmentStart, { id: created.env_id }));
    assert.equal(again.status, 202);
    const running = await berth.until(created.env_id, 'running');
    assert.equal(running?.failure, null);
    assert.notEqual(running?.ssh_port, null);
    assert.ok(readFileSync(join(berth.dataDir, 'environments', created.env_id, 'password_hash')).length > 0);
  });
});

const isDrift = ({ kind }: EnvironmentEvent) => kind === 'drift';

function ofInstallation(berth: TestBerth, id: string): Record<string, string> {
  return { 'berth.installation': berth.installationId, 'berth.environment': id };
}

async function hold(port: number): Promise<Server> {
  const server = createServer();
  server.listen({ port, host: '127.0.0.1', exclusive: true });
  await once(server, 'listening');
  return server;
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  await closed;
}
