/**
 * From the request to the first successful login of the stock client, in turn with the floor: `docker run` of the same
 * image, with the same kind of secrets, until the same client has logged in.
 *
 * With Berth the client is started when the timeline says running, which `berth create --wait` follows too. With `docker run` it is
 * started when sshd's greeting comes, looked for every five milliseconds after the command has ended. (Looking for it
 * earlier would not be the floor: a connection to a published port whose container has no network yet waits for the
 * kernel to ask for its address again, which takes a second.)
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathOf, routes } from '@berth/contract';
import { generateHostKey, knownHostsLine } from '@berth/ssh';
import { encrypt } from 'unixcrypt';
import { TestBerth, docker, environmentImage, freePortRange } from '../test/harness/berth.ts';
import { Login, eventually, execute } from '../test/harness/ssh.ts';
import { Stream } from '../test/harness/stream.ts';
import type { Figure } from './main.ts';
import { progress, quantile } from './statistics.ts';

const runs = 20;
const warmUps = 2;

export async function create(): Promise<Figure[]> {
  const image = await environmentImage();
  const berth = await TestBerth.start({ portCount: runs + warmUps + 5 });
  const floorMs: number[] = [];
  const berthMs: number[] = [];
  const runningMs: number[] = [];
  try {
    for (let run = -warmUps; run < runs; run += 1) {
      const floor = await timeFloor(image);
      const ours = await timeBerth(berth, `bench-${run + warmUps}`);
      progress(
        `${run < 0 ? 'warm-up' : `run ${run + 1} of ${runs}`}: docker run ${floor.toFixed(0)} ms, berth ${ours.loginMs.toFixed(0)} ms`,
      );
      if (run < 0) continue;
      floorMs.push(floor);
      berthMs.push(ours.loginMs);
      runningMs.push(ours.runningMs);
    }
  } finally {
    await berth.remove();
  }
  const [floor50, floor95] = [quantile(floorMs, 0.5), quantile(floorMs, 0.95)];
  const [berth50, berth95] = [quantile(berthMs, 0.5), quantile(berthMs, 0.95)];
  const ratios = berthMs.map((ms, index) => ms / (floorMs[index] ?? NaN));
  return [
    { name: 'docker run to first login, p50', value: floor50, unit: 'ms' },
    { name: 'docker run to first login, p95', value: floor95, unit: 'ms' },
    { name: 'berth create to first login, p50', value: berth50, unit: 'ms' },
    { name: 'berth create to first login, p95', value: berth95, unit: 'ms' },
    { name: 'berth create to status running, p50', value: quantile(runningMs, 0.5), unit: 'ms' },
    { name: 'ratio of the p50', value: berth50 / floor50, unit: 'x', target: '<= 1.3' },
    { name: 'median of the ratios, pair by pair', value: quantile(ratios, 0.5), unit: 'x' },
  ];
}

async function timeBerth(berth: TestBerth, name: string): Promise<{ loginMs: number; runningMs: number }> {
  const began = performance.now();
  const created = await berth.create({ name });
  const timeline = await Stream.open(
    berth.socketPath,
    pathOf(routes.environmentEvents, { id: created.env_id }),
    { accept: 'text/event-stream' },
  );
  await eventually(
    () => timeline.text,
    (text) => text.includes('"status":"running"'),
    60_000,
    2,
  );
  timeline.close();
  const login = new Login(await berth.ssh(created.env_id));
  await logIn(login);
  const loginMs = performance.now() - began;
  const environment = await berth.until(created.env_id, 'running');
  const runningMs = Date.parse(environment?.started_at ?? '') - Date.parse(environment?.created_at ?? '');
  login.remove();
  await berth.call('DELETE', `/api/environments/${created.env_id}`);
  await berth.until(created.env_id, 'gone');
  return { loginMs, runningMs };
}

async function timeFloor(image: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-bench-'));
  const password = 'a-password-of-the-bench';
  const hostKey = generateHostKey();
  const files: Record<string, string> = {
    password_hash: `${encrypt(password, '$6$abcdefghijklmnop')}\n`,
    authorized_keys: '',
    ssh_host_ed25519_key: hostKey.privateKeyOpenSsh,
    'trusted_user_ca.pub': '',
    principals: '',
  };
  chmodSync(folder, 0o700);
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(folder, name), content, { mode: 0o600 });
  const { first: port } = await freePortRange(1);
  const login = new Login({
    env_id: 'floor',
    ssh_host: '127.0.0.1',
    ssh_port: port,
    ssh_username: 'developer',
    ssh_password: password,
    password_changed_at: '',
    password_expires_at: null,
    ssh_command: null,
    vscode_config: null,
    sftp_url: null,
    host_keys: [],
    known_hosts: knownHostsLine('127.0.0.1', port, hostKey.publicLine),
    shared_port: null,
    shared_port_command: null,
    shared_known_hosts: null,
    jump_command: null,
    jump_known_hosts: null,
  });
  const began = performance.now();
  const started = await execute('docker', [
    'run',
    '--detach',
    '--env=BERTH_ENVIRONMENT=floor',
    `--publish=127.0.0.1:${port}:22`,
    `--volume=${folder}:/etc/berth:ro`,
    '--memory=512m',
    image,
  ]);
  if (started.code !== 0) throw new Error(`docker run failed: ${started.stderr}`);
  await greeting(port);
  await logIn(login);
  const took = performance.now() - began;
  await docker.getContainer(started.stdout.trim()).remove({ force: true });
  login.remove();
  rmSync(folder, { recursive: true, force: true });
  return took;
}

/** Waits until sshd has sent its first bytes, asking every few milliseconds. */
async function greeting(port: number): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const greeted = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('data', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('close', () => resolve(false));
      socket.once('data', () => socket.destroy());
    });
    if (greeted) return;
    if (Date.now() > deadline) throw new Error(`nothing answered on port ${port}`);
    await pause(5);
  }
}

async function logIn(login: Login): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const result = await login.ssh('true');
    if (result.code === 0) return;
    if (Date.now() > deadline) throw new Error(`the login failed: ${result.stderr}`);
  }
}
