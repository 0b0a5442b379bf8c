/** The Docker engine killed in the middle of each operation, away while requests come in, and back again. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { CreatedEnvironment, Environment, OwnPortMode, Readiness } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { ensureGuard, ensureNetwork } from '../../packages/server/src/runtime/docker/network.ts';
import { addressAt, defaultPools, freeSubnets } from '../../packages/server/src/runtime/docker/subnet.ts';
import { TestBerth, environmentImage, skipWithoutDocker } from '../harness/berth.ts';
import { Login, eventually, execute } from '../harness/ssh.ts';
import { Stream } from '../harness/stream.ts';
import { TestEngine, engineIsMissing } from './engine.ts';
import { survey } from './survey.ts';
import type { Promised } from './survey.ts';

const bridgeName = 'com.docker.network.bridge.name';

/** From the moment at which the engine answers again. */
const withinMs = 10_000;

describe('the Docker engine', { skip: skipWithoutDocker || engineIsMissing() }, () => {
  let engine: TestEngine;
  let berth: TestBerth;
  const promised = new Map<string, Promised>();

  before(async () => {
    const image = await environmentImage();
    engine = await TestEngine.start(image);
    berth = await TestBerth.start({
      image,
      docker: engine.docker,
      launcher: engine.launcher,
      settings: { DOCKER_HOST: `unix://${engine.socket}`, BERTH_PORT_ADDRESS: '0.0.0.0' },
      portCount: 40,
    });
  });

  after(async () => {
    await berth?.remove().catch(() => undefined);
    await engine?.remove();
  });

  async function create(name: string, ownPort: OwnPortMode = 'auto'): Promise<string> {
    const created = await berth.create({ name, own_port: ownPort, resources: { cpu: 1, memory: 0.25 } });
    promised.set(created.env_id, { port: created.ssh_port, password: created.ssh_password });
    return created.env_id;
  }

  async function act(id: string, template: string): Promise<Environment> {
    const { status, body } = await berth.call<Environment>(
      template === routes.environment ? 'DELETE' : 'POST',
      pathOf(template, { id }),
    );
    assert.equal(status, template === routes.environmentResetPassword ? 200 : 202, JSON.stringify(body));
    if (template === routes.environment) promised.delete(id);
    return body;
  }

  async function mustLogIn(id: string): Promise<void> {
    const login = new Login(await berth.ssh(id));
    try {
      const [program = '', ...commandLine] = engine.launcher;
      const ssh = [...login.options, '-p', login.port, login.target, 'hostname'];
      const password = join(login.folder, 'password');
      const ran = await execute(program, [...commandLine, 'sshpass', '-f', password, 'ssh', ...ssh]);
      assert.equal(ran.stdout, `${id}\n`, ran.stderr);
    } finally {
      login.remove();
    }
  }

  /** The line of the timeline with which a step begins. */
  async function stepOf(id: string, after: number, step: string): Promise<void> {
    const path = `${pathOf(routes.environmentEvents, { id })}?after=${after}`;
    const timeline = await Stream.open(berth.socketPath, path, { accept: 'text/event-stream' });
    try {
      await eventually(
        () => timeline.events.some((event) => event.step === step),
        (seen) => seen || timeline.ended,
        10_000,
        2,
      );
    } finally {
      timeline.close();
    }
  }

  /**
   * Docker 20.10, killed while it publishes a port, holds that port against everybody until it is stopped in good
   * order. Then another one is right, if the timeline says so.
   */
  async function settled(): Promise<{ tookMs: number; moved: boolean }> {
    const began = Date.now();
    let moved = false;
    await eventually(
      async () => {
        for (const [id, { port }] of promised) {
          const environment = await berth.show(id);
          if (!environment || environment.ssh_port === port) continue;
          const lines = (await berth.events(id)).map(({ message }) => message);
          if (!lines.some((line) => line.startsWith(`Port ${port} was passed over`))) continue;
          promised.set(id, { ...promised.get(id), port: environment.ssh_port } as Promised);
          moved = true;
        }
        return survey(berth, promised).catch((error: Error) => [error.message]);
      },
      (faults) => faults.length === 0,
      withinMs,
    );
    return { tookMs: Date.now() - began, moved };
  }

  const lastEvent = async (id: string) => (await berth.events(id)).at(-1)?.id ?? 0;

  const moments: { operation: string; step: string; laterMs: number }[] = [
    ...['image', 'storage', 'container', 'handshake'].map((step) => ({
      operation: 'create',
      step,
      laterMs: 0,
    })),
    { operation: 'create', step: 'container', laterMs: 100 },
    { operation: 'create', step: 'container', laterMs: 250 },
    ...[0, 50, 200].map((laterMs) => ({ operation: 'stop', step: 'stop', laterMs })),
    ...['storage', 'container', 'handshake'].map((step) => ({ operation: 'start', step, laterMs: 0 })),
    { operation: 'start', step: 'container', laterMs: 150 },
    ...[0, 100, 300].map((laterMs) => ({ operation: 'delete', step: 'remove', laterMs })),
  ];

  for (const [index, { operation, step, laterMs }] of moments.entries()) {
    it(`killed ${laterMs} ms after the step ${step} of ${operation} loses and leaves nothing`, async (context) => {
      let id: string;
      if (operation === 'create') {
        id = await create(`killed-${index}`);
        await stepOf(id, 0, step);
      } else {
        id = await create(`killed-${index}`);
        await berth.until(id, 'running');
        if (operation === 'start') {
          await act(id, routes.environmentStop);
          await berth.until(id, 'stopped');
        }
        const before = await lastEvent(id);
        const template = {
          stop: routes.environmentStop,
          start: routes.environmentStart,
          delete: routes.environment,
        }[operation];
        assert.ok(template);
        await act(id, template);
        await stepOf(id, before, step);
      }
      await new Promise((resolve) => setTimeout(resolve, laterMs));
      await engine.kill();
      await engine.up();
      const { tookMs, moved } = await settled();
      const environment = await berth.show(id);
      const expected = { create: 'running', start: 'running', stop: 'stopped', delete: undefined }[operation];
      assert.equal(environment?.status, expected);
      if (expected === 'running') await mustLogIn(id);
      context.diagnostic(
        `settled ${tookMs} ms after the engine answered${moved ? ', with another port' : ''}`,
      );
      if (environment) {
        await act(id, routes.environment);
        await berth.until(id, 'gone');
      }
    });
  }

  it('killed so that it can never start a container again has it made anew, with its files', async () => {
    // Without a port of its own: one that hangs would have the container made anew for another reason.
    const id = await create('left-over', 'no');
    await berth.until(id, 'running');
    const container = engine.docker.getContainer(id);
    await inside(id, 'touch /gemini/code/kept');
    await act(id, routes.environmentStop);
    await berth.until(id, 'stopped');
    const before = (await container.inspect()).Id;
    const shim = engine.shimOf(before);
    await act(id, routes.environmentStart);
    await shim;
    await engine.kill();
    await engine.up();
    await settled();
    assert.equal((await berth.show(id))?.status, 'running');
    assert.notEqual((await container.inspect()).Id, before);
    assert.match(await inside(id, 'ls /gemini/code'), /kept/);
  });

  it('killed so that it forgot whose a new volume is has it made anew, or removed', async () => {
    await engine.kill();
    const [comes, goes] = [await create('forgotten'), await create('forgotten-and-gone')];
    await berth.kill();
    await engine.up();
    // Docker makes a volume's folder first and writes its labels down after; killed in between, it finds the folder.
    for (const id of [comes, goes]) await engine.docker.createVolume({ Name: `${id}-home` });
    assert.ok(await berth.up());
    await act(goes, routes.environment);
    await settled();
    assert.equal((await berth.show(comes))?.status, 'running');
    const { Volumes } = await engine.docker.listVolumes();
    assert.deepEqual(
      Volumes.map(({ Name }) => Name).filter((name) => name.startsWith(goes)),
      [],
    );
  });

  it('killed so that a dead container goes on answering at an address has the environment moved away', async () => {
    const id = await create('misled');
    await berth.until(id, 'running');
    const container = engine.docker.getContainer(id);
    const endpoint = async () => Object.values((await container.inspect()).NetworkSettings.Networks)[0];
    const before = await endpoint();
    const { IPAMConfig, MacAddress } = before as {
      IPAMConfig?: { IPv4Address?: string };
      MacAddress: string;
    };
    const address = IPAMConfig?.IPv4Address;
    const network = await engine.docker.getNetwork(`berth-${berth.installationId.slice(0, 8)}`).inspect();
    const [, prefix] = network.IPAM?.Config?.[0]?.Subnet?.split('/') ?? [];
    await act(id, routes.environmentStop);
    await berth.until(id, 'stopped');
    // What such an engine leaves: a namespace of a container that it forgot, with its address, on the bridge.
    await engine.run(`ip netns add dead
ip link add dead0 type veth peer name eth0 netns dead address ${MacAddress}
ip link set dead0 master ${network.Options?.[bridgeName]} up
ip -n dead addr add ${address}/${prefix} dev eth0
ip -n dead link set eth0 up`);
    await act(id, routes.environmentStart);
    await settled();
    assert.notEqual((await endpoint())?.IPAddress, address);
    await mustLogIn(id);
    await engine.run('ip link del dead0; ip netns del dead');
  });

  it('killed so that it forgot a network but for its bridge gives another bridge, away from what the host uses', async () => {
    await eventually(
      () => berth.call<Readiness>('GET', routes.ready),
      ({ status }) => status === 200,
      withinMs,
    );
    const installationId = randomUUID();
    const name = `berth-${installationId.slice(0, 8)}`;
    const subnets = async () =>
      (await engine.docker.listNetworks()).flatMap(({ IPAM }) =>
        (IPAM?.Config ?? []).map((each) => each.Subnet),
      );
    await engine.docker.createNetwork({ Name: 'in-the-way', Options: { [bridgeName]: name } });
    const [next] = freeSubnets(defaultPools, [...(await subnets()), '172.16.0.0/13'] as string[]);
    await engine.run(`ip link add in-use type bridge
ip addr add ${addressAt(next ?? '', 300)}/24 dev in-use
ip link set in-use up
ip route add 172.16.0.0/13 dev in-use`);
    const taken = [...(await subnets()), '172.16.0.0/13', next] as string[];
    try {
      await ensureGuard(engine.docker, installationId, berth.environment['BERTH_ENVIRONMENT_IMAGE'] ?? '');
      const made = await ensureNetwork(engine.docker, installationId);
      assert.equal(made.subnet, [...freeSubnets(defaultPools, taken)][1]);
      const { Options } = await engine.docker.getNetwork(name).inspect();
      assert.equal(Options?.[bridgeName], `${name}2`);
      assert.deepEqual(await ensureNetwork(engine.docker, installationId), made);
    } finally {
      await engine.docker.getContainer(`${name}-guard`).remove({ force: true });
      for (const each of [name, 'in-the-way']) await engine.docker.getNetwork(each).remove();
      await engine.run('ip link del in-use');
    }
  });

  async function inside(id: string, command: string): Promise<string> {
    const container = engine.docker.getContainer(id);
    const run = await container.exec({ Cmd: ['bash', '-c', command], AttachStdout: true });
    let text = '';
    for await (const chunk of await run.start({})) text += String(chunk);
    return text;
  }

  it('away: says so, takes requests, and carries them out when it is back', async (context) => {
    const [stops, starts, goes, renews] = await Promise.all(
      ['stops', 'starts', 'goes', 'renews'].map(async (name) => {
        const id = await create(name);
        await berth.until(id, 'running');
        return id;
      }),
    );
    assert.ok(stops && starts && goes && renews);
    await act(starts, routes.environmentStop);
    await berth.until(starts, 'stopped');
    await engine.kill();
    const readiness = () => berth.call<Readiness>('GET', routes.ready);
    const away = await eventually(readiness, ({ status }) => status === 503, 2000);
    assert.equal(away.body.status, 'not_ready');
    assert.notEqual(away.body.checks.runtime, 'ok');
    assert.equal(away.body.checks.database, 'ok');

    const comes = await create('comes');
    await act(stops, routes.environmentStop);
    await act(starts, routes.environmentStart);
    await act(goes, routes.environment);
    const renewed = await act(renews, routes.environmentResetPassword);
    const { ssh_password: password } = renewed as unknown as CreatedEnvironment;
    promised.set(renews, { port: promised.get(renews)?.port ?? null, password });
    assert.equal((await berth.show(comes))?.status, 'creating');
    await new Promise((resolve) => setTimeout(resolve, 5000));
    assert.equal((await readiness()).status, 503);
    assert.equal((await berth.show(comes))?.status, 'creating');

    await engine.up();
    context.diagnostic(`settled ${(await settled()).tookMs} ms after the engine answered`);
    assert.equal((await readiness()).status, 200);
    const statuses = await Promise.all([comes, stops, starts, goes, renews].map((id) => berth.show(id)));
    assert.deepEqual(
      statuses.map((each) => each?.status),
      ['running', 'stopped', 'running', undefined, 'running'],
    );
    for (const id of [comes, starts, renews]) await mustLogIn(id);
  });

  it('stopped and started brings environments and the guard back without Berth', async () => {
    const id = await create('survives');
    await berth.until(id, 'running');
    await berth.kill();
    await engine.stop();
    await engine.up();
    await eventually(guardIsInForce, Boolean, withinMs);
    const runs = async () => (await engine.docker.getContainer(id).inspect()).State.Running;
    await eventually(runs, Boolean, withinMs);
    assert.ok(await berth.up());
    await settled();
    await mustLogIn(id);
  });

  it('killed and started has the guard back without Berth, and environments as soon as Berth looks', async () => {
    const id = await create('comes-back');
    await berth.until(id, 'running');
    await berth.kill();
    await engine.kill();
    await engine.up();
    await eventually(guardIsInForce, Boolean, withinMs);
    assert.ok(await berth.up());
    await settled();
    await mustLogIn(id);
  });

  const guard = () => engine.docker.getContainer(`berth-${berth.installationId.slice(0, 8)}-guard`);

  /** Whether the guard runs and has put its rules in force since it was started last. */
  async function guardIsInForce(): Promise<boolean> {
    const { State } = await guard().inspect();
    if (!State.Running) return false;
    const since = Date.parse(State.StartedAt) / 1000;
    const log = await guard().logs({ stdout: true, stderr: true, since });
    return log.toString('utf8').includes('guard in force');
  }
});
