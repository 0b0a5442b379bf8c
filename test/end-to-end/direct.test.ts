/**
 * The controls where an environment's port leads straight to its container's sshd: counted from what sshd says, and
 * enforced by the host's firewall. The clients come from a network namespace of their own, since what comes from the
 * host itself passes through Docker's proxy.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathOf, routes } from '@berth/contract';
import type { AuditRecord, CreatedEnvironment, Connection } from '@berth/contract';
import { Background } from '../harness/background.ts';
import { TestBerth, skipWithoutDocker } from '../harness/berth.ts';
import { Beyond, skipWithoutHostNetwork } from '../harness/host-network.ts';
import { type Finished, eventually, execute, makeKey } from '../harness/ssh.ts';

const neighbour = '198.51.100.77';

describe('a port that leads straight to sshd', { skip: skipWithoutDocker || skipWithoutHostNetwork }, () => {
  let berth: TestBerth;
  let environment: CreatedEnvironment;
  let beyond: Beyond;
  let folder: string;
  let key: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-direct-'));
    key = await makeKey(folder);
    beyond = await Beyond.open([neighbour]);
    berth = await TestBerth.start({ settings: { BERTH_PORT_ADDRESS: '0.0.0.0', BERTH_EXPOSURE: 'direct' } });
    const public_key = readFileSync(`${key}.pub`, 'utf8').trim();
    assert.equal((await berth.call('POST', routes.sshKeys, { name: 'mine', public_key })).status, 201);
    environment = await berth.createRunning({ name: 'direct' });
  });

  after(async () => {
    await berth?.remove();
    await beyond?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function options(source: string): string[] {
    return [
      ...['-F', 'none', '-p', String(environment.ssh_port), '-b', source, '-o', 'ConnectTimeout=3'],
      ...['-o', 'StrictHostKeyChecking=no', '-o', `UserKnownHostsFile=${join(folder, 'known_hosts')}`],
      ...['-o', 'ServerAliveInterval=1', '-o', 'ServerAliveCountMax=2', '-o', 'NumberOfPasswordPrompts=1'],
    ];
  }

  const target = () => `${environment.ssh_username}@${beyond.host}`;
  const byKey = () => ['-i', key, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes'];

  function ssh(command: string, source = beyond.address): Promise<Finished> {
    const [program = '', ...prefix] = beyond.prefix;
    return execute(program, [...prefix, 'ssh', ...options(source), ...byKey(), target(), command]);
  }

  function guess(source = beyond.address): Promise<Finished> {
    const [program = '', ...prefix] = beyond.prefix;
    const by = ['-o', 'PubkeyAuthentication=no', '-o', 'PreferredAuthentications=password'];
    return execute(program, [
      ...prefix,
      'sshpass',
      '-p',
      'wrong',
      'ssh',
      ...options(source),
      ...by,
      target(),
      'true',
    ]);
  }

  async function untilIn(source = beyond.address): Promise<void> {
    await eventually(
      () => ssh('echo in', source),
      ({ stdout }) => stdout === 'in\n',
    );
  }

  it('is recorded as others are: logins with their keys, connections with their bytes', async () => {
    const result = await ssh('head -c 1000000 /dev/zero');
    assert.equal(result.stdout.length, 1_000_000, result.stderr);
    const [login] = await eventually(
      async () =>
        (
          await berth.call<{ items: AuditRecord[] }>(
            'GET',
            `${routes.audit}?action=ssh.login&target=${environment.env_id}`,
          )
        ).body.items,
      (items) => items.length > 0,
    );
    assert.equal(login?.source, beyond.address);
    assert.equal(login?.account, 'admin');
    const path = `${routes.connections}?env_id=${environment.env_id}`;
    const [connection] = await eventually(
      async () => (await berth.call<{ items: Connection[] }>('GET', path)).body.items,
      (items) => items[0]?.ended_at != null,
    );
    assert.equal(connection?.source, beyond.address);
    assert.equal(connection?.account, 'admin');
    assert.ok((connection?.bytes_out ?? 0) > 1_000_000 && (connection?.bytes_out ?? 0) < 1_200_000);
    assert.ok((connection?.bytes_in ?? 0) > 1_000 && (connection?.bytes_in ?? 0) < 200_000);
  });

  it('five wrong passwords shut out their address, and no other', async () => {
    for (let count = 0; count < 5; count += 1) assert.match((await guess()).stderr, /Permission denied/);
    await eventually(
      () => ssh('echo in'),
      ({ stderr }) => /timed out/i.test(stderr),
      20_000,
    );
    assert.equal((await ssh('echo in', neighbour)).stdout, 'in\n');
    await berth.unlock(beyond.address);
    await untilIn();
  });

  it('an allowlist shuts out who is not in it, and cuts who is connected', async () => {
    const [program = '', ...prefix] = beyond.prefix;
    const inside = new Background(program, [
      ...[...prefix, 'ssh', ...options(beyond.address), ...byKey(), target()],
      'echo in; sleep 60',
    ]);
    try {
      await inside.says(/in/);
      const added = await berth.call<{ id: number }>('POST', routes.allowlist, {
        network: `${neighbour}/32`,
        env_id: environment.env_id,
      });
      assert.equal(added.status, 201, JSON.stringify(added.body));
      await eventually(() => inside.ended, Boolean);
      assert.match((await ssh('echo in')).stderr, /timed out/i);
      assert.equal((await ssh('echo in', neighbour)).stdout, 'in\n');
      await berth.call('DELETE', pathOf(routes.allowlistEntry, { id: String(added.body.id) }));
      await untilIn();
    } finally {
      await inside.stop();
    }
  });
});
