/** Images and data sets with real containers: what a check sees, what an environment mounts and may do with it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import type { Dataset, Image, ImageFinding, Problem, SshKey, SshKeyPage } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { TestBerth, docker, environmentImage, skipWithoutDocker } from '../harness/berth.ts';
import { Login, eventually, makeKey } from '../harness/ssh.ts';

const small = { resources: { cpu: 1, memory: 0.125 } };

describe('the catalogues, with containers', { skip: skipWithoutDocker }, () => {
  let berth: TestBerth;
  let folder: string;
  let ours: string;
  const tag = `berth-test-catalogue-${process.pid}`;
  const built: string[] = [];
  const volumes: string[] = [];
  const logins: Login[] = [];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-catalogue-'));
    ours = await environmentImage();
    berth = await TestBerth.start();
  });
  after(async () => {
    for (const login of logins) login.remove();
    await berth?.remove();
    for (const reference of built) await docker.getImage(reference).remove({ force: true });
    for (const name of volumes) await docker.getVolume(name).remove();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Builds an image from a Dockerfile without a network. */
  async function build(name: string, dockerfile: string): Promise<string> {
    const context = join(folder, `context-${name}`);
    mkdirSync(context);
    writeFileSync(join(context, 'Dockerfile'), dockerfile);
    const archive = await promisify(execFile)('tar', ['-C', context, '-c', '.'], { encoding: 'buffer' });
    const reference = `${tag}:${name}`;
    const stream = await docker.buildImage(archive.stdout as unknown as NodeJS.ReadableStream, {
      t: reference,
      networkmode: 'none',
      forcerm: true,
    });
    await new Promise<void>((resolve, reject) =>
      docker.modem.followProgress(stream, (error) => (error ? reject(error) : resolve())),
    );
    built.push(reference);
    return reference;
  }

  async function added(name: string, dockerfile: string): Promise<Image> {
    const reference = await build(name, dockerfile);
    const { status } = await berth.call('POST', routes.images, { name, reference });
    assert.equal(status, 201);
    return checked(name);
  }

  async function checked(name: string): Promise<Image> {
    const answer = await berth.call<Image>('POST', pathOf(routes.imageCheck, { name }));
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body;
  }

  const amiss = ({ check }: Image, result: ImageFinding['result']) =>
    (check?.findings ?? []).filter((finding) => finding.result === result).map(({ what }) => what);

  async function ssh(id: string, command: string) {
    const login = new Login(await berth.ssh(id));
    logins.push(login);
    return login.ssh(command);
  }

  async function offered(name: string, more: object): Promise<Dataset> {
    const answer = await berth.call<Dataset>('POST', routes.datasets, { name, ...more });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body;
  }

  it("finds nothing amiss in Berth's own image", async () => {
    const { check } = await checked('default');
    assert.deepEqual(
      check?.findings.filter(({ result }) => result !== 'ok'),
      [],
    );
    assert.equal(check?.usable, true);
  });

  it('lets people in to an image of their own that passes the check', async () => {
    const image = await added('own', `FROM ${ours}\nRUN echo ours > /etc/own-image\n`);
    assert.equal(image.check?.usable, true, JSON.stringify(image.check));
    const { env_id: id } = await berth.createRunning({ name: 'own image', image: 'own', ...small });
    const { stdout, stderr } = await ssh(id, 'cat /etc/own-image; id -un');
    assert.equal(stdout, 'ours\ndeveloper\n', stderr);
  });

  it('says what an image lacks, and starts nothing from it', async () => {
    const image = await added('no-sshd', `FROM ${ours}\nRUN rm /usr/sbin/sshd /usr/bin/sudo\n`);
    assert.deepEqual(amiss(image, 'missing'), ['sshd']);
    assert.deepEqual(amiss(image, 'warning'), ['sudo']);
    const { status, body } = await berth.call<Problem>('POST', routes.environments, {
      name: 'no way in',
      image: 'no-sshd',
      ...small,
    });
    assert.equal(status, 422);
    assert.equal(body.code, 'unusable_image');
    assert.match(body.detail, /\/usr\/sbin\/sshd/);
  });

  it('finds settings of sshd that are not for an environment, a start of its own, and a missing user', async () => {
    const image = await added(
      'others',
      `FROM ${ours}\nRUN rm /etc/ssh/sshd_config && userdel developer\nENTRYPOINT ["/bin/bash"]\nUSER nobody\n`,
    );
    assert.deepEqual(amiss(image, 'missing'), ['entrypoint', 'sshd', 'user']);
    const old = await added(
      'old-sshd',
      `FROM ${ours}\nRUN echo 'OptionOfTomorrow yes' >> /etc/ssh/sshd_config\n`,
    );
    assert.match(
      old.check?.findings.find(({ what }) => what === 'sshd')?.detail ?? '',
      /Bad configuration option: OptionOfTomorrow/,
    );
    const closed = await added('root-only', `FROM ${ours}\nRUN chmod 600 /etc/ssh/sshd_config\n`);
    assert.deepEqual([amiss(closed, 'missing'), amiss(closed, 'warning')], [[], ['rootless']]);
    assert.match(
      closed.check?.findings.find(({ what }) => what === 'rootless')?.detail ?? '',
      /sshd_config: Permission denied/,
    );
  });

  it('takes an image without a shell, and one that is nowhere, for findings and not for errors', async () => {
    const image = await added('no-shell', 'FROM scratch\nCOPY Dockerfile /\nCMD ["/Dockerfile"]\n');
    assert.deepEqual(amiss(image, 'missing'), ['shell']);
    await berth.call('POST', routes.images, { name: 'nowhere', reference: '127.0.0.1:9/nowhere:1' });
    assert.deepEqual(amiss(await checked('nowhere'), 'missing'), ['image']);
  });

  it('leaves no container of a check behind', async () => {
    const label = [`berth.installation=${berth.installationId}`, 'berth.image-check'];
    assert.deepEqual(await docker.listContainers({ all: true, filters: { label } }), []);
  });

  it('mounts folders and volumes, and lets nobody write where it is read-only', async () => {
    const paths = { read: join(folder, 'read'), write: join(folder, 'write') };
    for (const path of Object.values(paths)) {
      mkdirSync(path, { mode: 0o777 });
      writeFileSync(join(path, 'there'), 'from the host\n');
    }
    await promisify(execFile)('chmod', ['0777', ...Object.values(paths)]);
    const volume = `${tag}-volume`;
    volumes.push(volume);
    await docker.createVolume({ Name: volume });
    await offered('read', { kind: 'folder', source: paths.read });
    await offered('write', { kind: 'folder', source: paths.write, read_only: false });
    await offered('volume', { kind: 'volume', source: volume, read_only: false });
    const { env_id: id, datasets } = await berth.createRunning({
      name: 'with data',
      datasets: ['read', 'write', 'volume'],
      ...small,
    });
    assert.deepEqual(datasets, ['read', 'write', 'volume']);
    const read = await ssh(id, 'cat /gemini/data-read/there /gemini/data-write/there');
    assert.equal(read.stdout, 'from the host\nfrom the host\n', read.stderr);
    for (const command of ['touch', 'sudo touch', 'sudo mount -o remount,rw /gemini/data-read; sudo touch']) {
      const refused = await ssh(id, `${command} /gemini/data-read/mine`);
      assert.notEqual(refused.code, 0, command);
    }
    assert.equal(existsSync(join(paths.read, 'mine')), false);
    const written = await ssh(
      id,
      'echo mine > /gemini/data-write/mine && sudo touch /gemini/data-volume/mine && ls /gemini/data-volume',
    );
    assert.equal(written.stdout, 'mine\n', written.stderr);
    assert.equal(readFileSync(join(paths.write, 'mine'), 'utf8'), 'mine\n');
    await berth.call('DELETE', pathOf(routes.environment, { id }));
    await berth.until(id, 'gone');
    assert.equal(
      readFileSync(join(paths.write, 'mine'), 'utf8'),
      'mine\n',
      'a data set outlives environments',
    );
    await docker.getVolume(volume).inspect();
  });

  it('keeps file systems that are mounted beneath a data set out of it', async (context) => {
    if (process.getuid?.() !== 0) return context.skip('needs root, to mount a file system');
    const source = join(folder, 'deep');
    const below = join(source, 'below');
    mkdirSync(below, { recursive: true });
    await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', 'mode=777', 'tmpfs', below]);
    try {
      writeFileSync(join(below, 'there'), '');
      await offered('deep', { kind: 'folder', source });
      const { env_id: id } = await berth.createRunning({ name: 'deep', datasets: ['deep'], ...small });
      const { stdout } = await ssh(
        id,
        'ls /gemini/data-deep /gemini/data-deep/below; sudo touch /gemini/data-deep/below/mine || echo refused',
      );
      assert.equal(stdout, '/gemini/data-deep:\nbelow\n\n/gemini/data-deep/below:\nrefused\n');
      assert.equal(existsSync(join(below, 'mine')), false);
    } finally {
      await promisify(execFile)('umount', [below]);
    }
  });

  it('starts nothing on a data set that is gone or was replaced, and makes none up', async () => {
    const source = join(folder, 'fleeting');
    mkdirSync(source);
    await offered('fleeting', { kind: 'folder', source });
    const { env_id: id } = await berth.createRunning({ name: 'fleeting', datasets: ['fleeting'], ...small });
    const restarted = async () => {
      await berth.call('POST', pathOf(routes.environmentStop, { id }));
      await berth.until(id, 'stopped');
    };
    const fails = async (cause: RegExp) => {
      await berth.call('POST', pathOf(routes.environmentStart, { id }));
      const environment = await berth.until(id, 'failed');
      assert.equal(environment?.failure?.code, 'dataset_missing');
      assert.match(environment?.failure?.cause ?? '', cause);
      assert.match(environment?.failure?.cure ?? '', /^[A-Z].*\.$/);
    };
    await restarted();
    renameSync(source, `${source}-away`);
    await fails(/is not there for Berth \(ENOENT\)/);
    assert.equal(existsSync(source), false);
    symlinkSync('/etc', source);
    await fails(/has become a symbolic link to \/etc/);
    rmSync(source);
    renameSync(`${source}-away`, source);
    await berth.call('POST', pathOf(routes.environmentStart, { id }));
    await berth.until(id, 'running');
  });

  it("takes neither an environment's own volume, nor a file, nor what is not there as a data set", async () => {
    const { env_id: id } = await berth.createRunning({ name: 'victim', ...small });
    const file = join(folder, 'file');
    writeFileSync(file, '');
    symlinkSync(berth.dataDir, join(folder, 'link'));
    const bad: [number, object][] = [
      [422, { kind: 'volume', source: `${id}-home` }],
      [422, { kind: 'volume', source: `${tag}-nowhere` }],
      [422, { kind: 'folder', source: file }],
      [422, { kind: 'folder', source: join(folder, 'nowhere') }],
      [422, { kind: 'folder', source: join(folder, 'file', 'in-a-file') }],
      [400, { kind: 'folder', source: join(folder, 'link') }],
    ];
    for (const [expected, more] of bad) {
      const { status, body } = await berth.call<Problem>('POST', routes.datasets, { name: 'bad', ...more });
      assert.equal(status, expected, JSON.stringify(body));
      assert.equal(body.field, 'source');
    }
  });

  it('shows when a key last opened an environment', async () => {
    const file = await makeKey(folder);
    const public_key = readFileSync(`${file}.pub`, 'utf8');
    const added = await berth.call<SshKey>('POST', routes.sshKeys, { name: 'laptop', public_key });
    assert.equal(added.body.last_used_at, null);
    const { env_id: id } = await berth.createRunning({ name: 'with a key', ...small });
    const began = Date.now();
    const login = new Login(await berth.ssh(id), file);
    logins.push(login);
    const { stdout, stderr } = await login.ssh('hostname');
    assert.equal(stdout, `${id}\n`, stderr);
    const used = await eventually(
      async () =>
        (await berth.call<SshKeyPage>('GET', routes.sshKeys)).body.items.find(
          (key) => key.id === added.body.id,
        )?.last_used_at,
      (at) => typeof at === 'string',
    );
    assert.ok(Date.parse(used ?? '') >= began - 1000);
  });
});
