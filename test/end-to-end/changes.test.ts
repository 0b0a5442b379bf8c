/** What an environment is made of can be changed: its variables, its resources, its user's name, whose files it has. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Environment, KeptStoragePage, Platform } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { TestBerth, docker, skipWithoutDocker } from '../harness/berth.ts';
import { Login, eventually } from '../harness/ssh.ts';

const gibibyte = 1024 ** 3;

describe('an environment that is changed', { skip: skipWithoutDocker }, () => {
  let berth: TestBerth;
  const logins: Login[] = [];

  before(async () => {
    berth = await TestBerth.start();
  });

  after(async () => {
    for (const login of logins) login.remove();
    await berth?.remove();
  });

  const loginTo = async (id: string): Promise<Login> => {
    const login = new Login(await berth.ssh(id));
    logins.push(login);
    return login;
  };
  const act = async (id: string, template: string, body?: object): Promise<void> => {
    const answer = await berth.call('POST', pathOf(template, { id }), body);
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
  };
  const change = async (id: string, body: object): Promise<Environment> => {
    const answer = await berth.call<Environment>('PATCH', pathOf(routes.environment, { id }), body);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body;
  };
  const stop = async (id: string): Promise<void> => {
    await act(id, routes.environmentStop);
    await berth.until(id, 'stopped');
  };
  const start = async (id: string, body?: object): Promise<Environment> => {
    await act(id, routes.environmentStart, body);
    return (await berth.until(id, 'running')) as Environment;
  };
  const restart = async (id: string): Promise<Environment> => {
    await act(id, routes.environmentRestart);
    return (await berth.until(id, 'running')) as Environment;
  };
  const remove = async (id: string, query = ''): Promise<void> => {
    assert.equal((await berth.call('DELETE', pathOf(routes.environment, { id }) + query)).status, 202);
    await berth.until(id, 'gone');
  };
  const limitsOf = async (id: string): Promise<[memory: number, cpus: number]> => {
    const { HostConfig } = await docker.getContainer(id).inspect();
    return [(HostConfig.Memory ?? 0) / gibibyte, (HostConfig.NanoCpus ?? 0) / 1e9];
  };

  it('gives its sessions the variables that it was asked to, which the engine does not know', async () => {
    const env_vars: Record<string, string> = {
      SECRET: 'geheim 7f3k',
      TRICKY: `it's "quoted" \\ $HOME \`x\` 数据`,
      LINES_OF_TEXT: '-----BEGIN KEY-----\nabc\n-----END KEY-----\n',
    };
    const { env_id: id } = await berth.createRunning({ name: 'variables', env_vars });
    const login = await loginTo(id);
    const seen = async (command: string) => {
      const { stdout, stderr } = await login.ssh(command);
      assert.equal(stderr, '');
      return new Map(stdout.split('\0').map((pair) => [pair.split('=')[0], pair.replace(/^[^=]*=/, '')]));
    };
    for (const command of ['env -0', 'bash -lc "env -0"', 'bash -ic "env -0" 2>/dev/null']) {
      const variables = await seen(command);
      for (const [name, value] of Object.entries(env_vars)) assert.equal(variables.get(name), value, name);
    }
    const notebook = JSON.stringify({
      cells: [
        {
          cell_type: 'code',
          execution_count: null,
          id: 'a',
          metadata: {},
          outputs: [],
          source: 'import os; open("seen", "w").write(os.environ["LINES_OF_TEXT"])',
        },
      ],
      metadata: { kernelspec: { name: 'python3', display_name: 'Python 3' } },
      nbformat: 4,
      nbformat_minor: 5,
    });
    const ran = await login.ssh('cat > a.ipynb && jupyter execute a.ipynb >&2 && cat seen', {
      input: notebook,
    });
    assert.equal(ran.stdout, env_vars['LINES_OF_TEXT'], ran.stderr);

    assert.doesNotMatch(JSON.stringify(await docker.getContainer(id).inspect()), /geheim/);
    assert.doesNotMatch(berth.log, /geheim/);

    await change(id, { env_vars: { SECRET: 'another', TRICKY: null } });
    assert.equal((await seen('env -0')).get('SECRET'), 'geheim 7f3k', 'a change holds from the next start');
    await restart(id);
    const variables = await seen('bash -lc "env -0"');
    assert.equal(variables.get('SECRET'), 'another');
    assert.equal(variables.has('TRICKY'), false);
    assert.equal(variables.get('LINES_OF_TEXT'), env_vars['LINES_OF_TEXT']);
    await remove(id);
  });

  it('has other resources from the next start, and others again for one run only', async () => {
    const { env_id: id } = await berth.createRunning({ name: 'sizes', resources: { cpu: 1, memory: 0.5 } });
    const changed = await change(id, { name: 'renamed', resources: { memory: 0.75 } });
    assert.equal(changed.name, 'renamed');
    assert.deepEqual([changed.resources.memory, changed.running_resources?.memory], [0.75, 0.5]);
    assert.deepEqual(await limitsOf(id), [0.5, 1]);
    assert.equal((await restart(id)).running_resources, null);
    assert.deepEqual(await limitsOf(id), [0.75, 1]);

    const refused = await berth.call('POST', pathOf(routes.environmentStart, { id }), {
      resources: { cpu: 0.5 },
    });
    assert.equal(refused.status, 409);
    await stop(id);
    const once = await start(id, { resources: { cpu: 0.5 } });
    assert.deepEqual([once.resources.cpu, once.running_resources?.cpu], [1, 0.5]);
    assert.deepEqual(await limitsOf(id), [0.75, 0.5]);
    await docker.getContainer(id).remove({ force: true });
    await eventually(
      () =>
        docker
          .getContainer(id)
          .inspect()
          .catch(() => null),
      (container) => container?.State.Running === true,
    );
    await berth.until(id, 'running');
    assert.deepEqual(await limitsOf(id), [0.75, 0.5], 'a repair is the same run');
    await stop(id);
    assert.equal((await start(id)).running_resources, null);
    assert.deepEqual(await limitsOf(id), [0.75, 1]);
    await remove(id);
  });

  it('leaves its files to another, which finds them where they were', async () => {
    const { env_id: first } = await berth.createRunning({ name: 'first' });
    const files = ['/gemini/code/kept', '/gemini/output/kept', '/home/developer/kept'];
    const write = `for file in ${files.join(' ')}; do echo "of ${first}" > $file; done`;
    assert.equal((await (await loginTo(first)).ssh(write)).code, 0);
    await remove(first, '?keep_storage=true');
    const volumes = [`volume ${first}-code`, `volume ${first}-home`, `volume ${first}-output`];
    assert.deepEqual(await berth.things(), volumes);
    const { items } = (await berth.call<KeptStoragePage>('GET', routes.keptStorage)).body;
    assert.deepEqual(
      items.map(({ env_id }) => env_id),
      [first],
    );
    // What is kept is nobody's by mistake, also after a new start.
    await berth.kill('SIGKILL');
    assert.equal(await berth.up(), true);
    const ready = () => berth.call('GET', routes.ready);
    await eventually(ready, ({ status }) => status === 200);
    assert.deepEqual((await berth.call<Platform>('GET', routes.platform)).body.unclaimed, []);

    const { env_id: second } = await berth.createRunning({ name: 'second', adopt_storage: first });
    const { stdout } = await (
      await loginTo(second)
    ).ssh(`cat ${files.join(' ')}; stat -c %U ${files.join(' ')}`);
    assert.deepEqual(stdout.trim().split('\n'), [
      ...files.map(() => `of ${first}`),
      ...files.map(() => 'developer'),
    ]);
    assert.deepEqual(await berth.things(), [`container ${second}`, ...volumes]);
    const twice = await berth.call('POST', routes.environments, { name: 'third', adopt_storage: first });
    assert.equal(twice.status, 409);
    await remove(second, '?keep_storage=true');
    assert.deepEqual(await berth.things(), volumes);
    const dropped = await berth.call('DELETE', pathOf(routes.keptStorageOf, { id: second }));
    assert.equal(dropped.status, 202);
    await eventually(
      () => berth.things(),
      (things) => things.length === 0,
    );
  });
});

describe('an environment whose user is named after its customer', { skip: skipWithoutDocker }, () => {
  it('lets that user in, and keeps its home', async () => {
    const berth = await TestBerth.start({ settings: { BERTH_USER_NAME: 'customer' } });
    let login: Login | undefined;
    try {
      const { env_id: id, ssh_username, customer_id } = await berth.createRunning({ name: 'named' });
      assert.equal(ssh_username, `user${customer_id}`);
      login = new Login(await berth.ssh(id));
      const made = await login.ssh('id -un; id -gn; pwd; touch ~/kept; ls ~/.bashrc; sudo -n id -un');
      const home = `/home/${ssh_username}`;
      const lines = [ssh_username, ssh_username, home, `${home}/.bashrc`, 'root'];
      assert.deepEqual(made.stdout.trim().split('\n'), lines, made.stderr);
      const before = await docker.getContainer(id).inspect();
      await docker.getContainer(id).remove({ force: true });
      await eventually(
        () =>
          docker
            .getContainer(id)
            .inspect()
            .catch(() => null),
        (container) => container !== null && container.Id !== before.Id,
      );
      await berth.until(id, 'running');
      assert.equal((await login.ssh('ls ~/kept')).stdout, `${home}/kept\n`);
    } finally {
      login?.remove();
      await berth.remove();
    }
  });
});
