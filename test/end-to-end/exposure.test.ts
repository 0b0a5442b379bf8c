/**
 * What the Docker runtime makes of an environment's exposure: real containers on the network of the environments, with
 * real volumes and secrets, reached by the stock client as the gateway reaches them, from the host and by certificate.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import Docker from 'dockerode';
import {
  cleanUp,
  hashOf,
  keyFile,
  log,
  prepare,
  publicKeyOf,
  run,
  withKey,
} from '../../image/testing/environment.ts';
import { waitForSsh } from '../../packages/server/src/reconciler/handshake.ts';
import { DockerRuntime } from '../../packages/server/src/runtime/docker/docker-runtime.ts';
import type {
  ObservedWorkload,
  SecretFiles,
  WorkloadSpec,
} from '../../packages/server/src/runtime/runtime.ts';
import {
  docker,
  environmentImage,
  freePortRange,
  removeInstallation,
  skipWithoutDocker,
} from '../harness/berth.ts';
import { Beyond, skipWithoutHostNetwork } from '../harness/host-network.ts';

const principal = 'demo-7f3k';
const installationId = randomBytes(16).toString('hex');
const secretsFolder = mkdtempSync(join(tmpdir(), 'berth-exposure-test-'));

describe('exposure on Docker', { skip: skipWithoutDocker }, () => {
  let runtime: DockerRuntime;
  let image: string;
  let files: SecretFiles;
  let publicPort: number;

  before(async () => {
    image = await environmentImage();
    await prepare();
    files = {
      password_hash: '*\n',
      authorized_keys: '',
      ssh_host_ed25519_key: readFileSync(keyFile('host'), 'utf8'),
      'trusted_user_ca.pub': publicKeyOf('ca'),
      principals: `${principal}\n`,
      variables: 'TOLD=to nobody else\0',
    };
    publicPort = (await freePortRange(1)).first;
    runtime = runtimeOn(docker);
    await runtime.prepare();
  });

  after(async () => {
    await removeInstallation(installationId);
    rmSync(secretsFolder, { recursive: true, force: true });
    await cleanUp();
  });

  function runtimeOn(engine: Docker): DockerRuntime {
    return new DockerRuntime({
      docker: engine,
      installationId,
      secretsFolder,
      portAddress: '0.0.0.0',
      guardImage: image,
    });
  }

  function specOf(id: string, changes: Partial<WorkloadSpec> = {}): WorkloadSpec {
    return {
      id,
      storageId: id,
      imageReference: image,
      username: 'developer',
      sudo: false,
      resources: { cpu: 1, memory: 0.5, gpu: 0, storage: 1 },
      newSince: null,
      exposure: 'gateway',
      publicPort: null,
      datasets: [],
      ...changes,
    };
  }

  const newId = (name: string) => `${name}-${randomBytes(3).toString('hex')}`;

  /** Makes it run as the spec says, from its next start, and waits until its sshd has proved its host key. */
  async function start(
    spec: WorkloadSpec,
    secrets: Partial<SecretFiles> = {},
    on = runtime,
  ): Promise<ObservedWorkload> {
    await on.stop(spec.id, 3);
    await on.ensureStorage(spec);
    await on.writeSecrets(spec.id, { ...files, ...secrets });
    const started = await on.run(spec);
    const mustNotMove = () => Promise.reject(new Error('its address does not lead to it'));
    const deadline = Date.now() + 20_000;
    return waitForSsh(
      on,
      spec.id,
      started,
      publicKeyOf('host'),
      mustNotMove,
      deadline,
      AbortSignal.timeout(20_000),
    );
  }

  /** As the gateway does. */
  async function within(
    { address }: ObservedWorkload,
    command: string,
    username = 'developer',
  ): Promise<string> {
    assert.ok(address);
    const to = { address: address.host, port: address.port };
    const { stdout, stderr, status } = await withKey(to, 'certified', command, username);
    assert.equal(status, 0, stderr);
    return stdout;
  }

  it('gateway: no port is published, and the host dials the container’s own address', async () => {
    const id = newId('closed');
    const { exposure, address } = await start(specOf(id, { publicPort }));
    assert.deepEqual([exposure, address?.port], ['gateway', 2222]);
    const { HostConfig, NetworkSettings, Config } = await docker.getContainer(id).inspect();
    assert.deepEqual(HostConfig.PortBindings, {});
    assert.deepEqual(Object.values(NetworkSettings.Ports).filter(Boolean), []);
    assert.equal(Config.Labels['berth.exposure'], 'gateway');
    assert.equal(await connects('127.0.0.1', publicPort), false);
    assert.ok(address && (await connects(address.host, address.port)));
    assert.equal((await runtime.observe(id))?.exposure, 'gateway');
  });

  it('gateway with sudo: nothing is published either, and sshd is on port 22', async () => {
    const id = newId('sudo');
    const workload = await start(specOf(id, { publicPort, sudo: true }));
    assert.deepEqual([workload.exposure, workload.address?.port], ['gateway', 22]);
    assert.equal(await connects('127.0.0.1', publicPort), false);
    assert.equal(await within(workload, 'sudo -n id -u'), '0\n');
  });

  it('direct: the port leads straight to sshd', async () => {
    const id = newId('open');
    const spec = specOf(id, { exposure: 'direct', publicPort });
    const { exposure, address } = await start(spec, { password_hash: hashOf('correct-horse-1') });
    assert.deepEqual([exposure, address?.port], ['direct', 22]);
    const scan = await run('ssh-keyscan', ['-p', String(publicPort), '-t', 'ed25519', '127.0.0.1']);
    assert.ok(scan.stdout.includes(publicKeyOf('host').split(' ')[1] ?? 'no key'));
    await runtime.removeWorkload(id, 1);
  });

  it('a container that an older Berth made is direct', async () => {
    const id = newId('older');
    const labels = { 'berth.installation': installationId, 'berth.environment': id };
    await docker.createContainer({ name: id, Image: image, Labels: labels });
    assert.equal((await runtime.observe(id))?.exposure, 'direct');
  });

  it(
    'gateway: is reached neither by another environment nor from beyond the host, whatever its firewall lets through',
    { skip: skipWithoutHostNetwork },
    async () => {
      const [one, two] = await Promise.all([start(specOf(newId('one'))), start(specOf(newId('two')))]);
      assert.ok(one.address && two.address);
      const dial = `timeout 2 bash -c "echo > /dev/tcp/${two.address.host}/${two.address.port}" 2>/dev/null && echo in || echo out`;
      assert.equal(await within(one, dial), 'out\n');

      const beyond = await Beyond.open([]);
      const plain = await plainContainer(image);
      const letThrough = [two.address.host, plain].map((address) => [
        'DOCKER-USER',
        '-d',
        address,
        '-j',
        'ACCEPT',
      ]);
      try {
        for (const rule of letThrough) iptables('-I', ...rule);
        assert.equal(beyond.reaches(plain, 80), true, 'a container that is not of Berth is reached');
        assert.equal(beyond.reaches(two.address.host, two.address.port), false);
      } finally {
        for (const rule of letThrough) iptables('-D', ...rule);
        await beyond.close();
      }
      assert.ok(await connects(two.address.host, two.address.port), 'the host itself reaches it');
    },
  );

  it(
    'direct: is reached from beyond the host on its published port only',
    { skip: skipWithoutHostNetwork },
    async () => {
      const id = newId('published');
      const { address } = await start(specOf(id, { exposure: 'direct', publicPort }));
      assert.ok(address);
      const beyond = await Beyond.open([]);
      const rule = ['DOCKER-USER', '-d', address.host, '-j', 'ACCEPT'];
      try {
        iptables('-I', ...rule);
        assert.equal(beyond.reaches(beyond.hostAddress, publicPort), true);
        assert.equal(beyond.reaches(address.host, 22), false);
      } finally {
        iptables('-D', ...rule);
        await beyond.close();
        await runtime.removeWorkload(id, 1);
      }
    },
  );

  describe('without root', () => {
    it('the user has the name that the customer’s has, a home of that name, and his folders', async () => {
      const id = newId('named');
      const spec = specOf(id, { username: 'user42', newSince: new Date() });
      const look =
        'id -un; id -gn; pwd; echo $HOME $USER; stat -c "%U:%G %n" ~ ~/.bashrc /gemini/code /gemini/output; stat -c "%U %a" /etc/passwd; touch ~/x /gemini/code/x /gemini/output/x; chmod 750 ~';
      const seen = await within(await start(spec), look, 'user42');
      assert.deepEqual(seen.trim().split('\n'), [
        ...['user42', 'user42', '/home/user42', '/home/user42 user42'],
        ...['user42:user42 /home/user42', 'user42:user42 /home/user42/.bashrc'],
        ...['user42:user42 /gemini/code', 'user42:user42 /gemini/output'],
        'root 644',
      ]);
      assert.match(await log(docker.getContainer(id)), /accepts SSH for user42 on port 2222/);
      assert.equal(await within(await start(spec), 'stat -c "%U %a" ~; ls ~', 'user42'), 'user42 750\nx\n');
      // Made anew, with the same folders.
      const changed = { ...spec, resources: { ...spec.resources, memory: 0.75 } };
      assert.equal(
        await within(await start(changed), 'stat -c "%U %a" ~; ls ~', 'user42'),
        'user42 750\nx\n',
      );
    });

    it('is made ready again by whoever finds it made and never started', async () => {
      const id = newId('half');
      const spec = specOf(id, { username: 'user42', newSince: new Date() });
      const engine = new Docker();
      const real = engine.getContainer.bind(engine);
      engine.getContainer = (name: string) =>
        Object.assign(real(name), { putArchive: () => Promise.reject(new Error('the server ended here')) });
      await assert.rejects(start(spec, {}, runtimeOn(engine)), /the server ended here/);
      assert.equal((await runtime.observe(id))?.runId, null, 'made, and never started');
      assert.equal(await within(await start(spec), 'id -un; touch ~/x', 'user42'), 'user42\n');
    });

    it('its secrets are read by its user and by no other of the host, and changes are taken over', async () => {
      const id = newId('secret');
      const workload = await start(specOf(id));
      assert.equal(await within(workload, 'printenv TOLD'), 'to nobody else\n');
      const folder = join(secretsFolder, id);
      assert.equal(statSync(secretsFolder).mode & 0o777, 0o700);
      if (process.getuid?.() === 0) {
        for (const user of ['1000', '65534']) {
          const other = [
            '--reuid',
            user,
            '--regid',
            user,
            '--clear-groups',
            'cat',
            join(folder, 'variables'),
          ];
          const { status, stdout } = spawnSync('setpriv', other, { encoding: 'utf8' });
          assert.deepEqual([status, stdout], [1, ''], `user ${user} of the host`);
        }
      }
      await runtime.writeSecrets(id, { ...files, principals: 'other-9xyz\n' });
      await until(async () => (await withCertificate(workload)).status !== 0);
      await runtime.writeSecrets(id, files);
      await until(async () => (await withCertificate(workload)).status === 0);
    });

    it('what root has taken from the user in an earlier life is his again', async () => {
      const id = newId('taken');
      const powerful = await start(specOf(id, { sudo: true }));
      await within(
        powerful,
        'echo mine > ~/mine; chmod 710 ~; sudo -n chown root:root ~ /gemini/code /gemini/output',
      );
      const workload = await start(specOf(id));
      const seen = await within(
        workload,
        'stat -c "%U:%G %a" ~ /gemini/code /gemini/output; cat ~/mine; touch ~/more',
      );
      assert.equal(seen, 'developer:developer 710\ndeveloper:developer 755\ndeveloper:developer 755\nmine\n');
    });
  });

  it('a switch holds from the next start, and keeps host key, files and their owners', async () => {
    const id = newId('switched');
    const direct = { password_hash: hashOf('correct-horse-1'), authorized_keys: publicKeyOf('user') };
    const kinds: [Partial<WorkloadSpec>, Partial<SecretFiles>][] = [
      [{ exposure: 'direct' }, direct],
      [{ exposure: 'gateway' }, {}],
      [{ exposure: 'gateway', sudo: true }, {}],
      [{ exposure: 'gateway' }, {}],
      [{ exposure: 'direct' }, direct],
    ];
    for (const [index, [changes, secrets]] of kinds.entries()) {
      // What runs is left as it is: only the stop in between makes the change.
      const before = index === 0 ? null : await runtime.run(specOf(id, changes));
      if (before) assert.equal(before.exposure, kinds[index - 1]?.[0].exposure);
      const workload = await start(specOf(id, changes), secrets);
      assert.equal(workload.exposure, changes.exposure);
      const rootless = changes.exposure === 'gateway' && changes.sudo !== true;
      assert.equal(
        statSync(join(secretsFolder, id, 'ssh_host_ed25519_key')).mode & 0o777,
        rootless ? 0o644 : 0o600,
      );
      const owners = await within(
        workload,
        `touch ~/file-${index} /gemini/code/file-${index}; stat -c %u:%g ~ ~/.bashrc ~/file-* /gemini/code /gemini/code/file-* /gemini/output`,
      );
      assert.equal(owners, '1000:1000\n'.repeat(4 + 2 * (index + 1)));
      const { address } = workload;
      assert.ok(address);
      const person = await withKey({ address: address.host, port: address.port }, 'user', 'true');
      assert.equal(person.status === 0, changes.exposure === 'direct', person.stderr);
    }
    await runtime.removeWorkload(id, 1);
    assert.equal(existsSync(join(secretsFolder, id)), false);
  });

  async function withCertificate({ address }: ObservedWorkload) {
    assert.ok(address);
    return withKey({ address: address.host, port: address.port }, 'certified', 'true');
  }
});

/** A container on Docker's own network that is not of Berth, with something on port 80. */
async function plainContainer(image: string): Promise<string> {
  const container = await docker.createContainer({
    Image: image,
    Entrypoint: ['python3', '-m', 'http.server', '80'],
    Labels: { 'berth.installation': installationId },
  });
  await container.start();
  const { NetworkSettings } = await container.inspect();
  const address = NetworkSettings.Networks['bridge']?.IPAddress ?? '';
  await until(() => connects(address, 80));
  return address;
}

function iptables(...commandLine: string[]): void {
  const { status, stderr } = spawnSync('iptables', ['-w', ...commandLine], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

async function until(look: () => Promise<boolean>, withinMs = 5_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await look())) {
    assert.ok(Date.now() < deadline, `not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function connects(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1500 });
    const end = (connected: boolean) => {
      socket.destroy();
      resolve(connected);
    };
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
    socket.once('connect', () => end(true));
  });
}
