/**
 * `berth firewall` with real packets: a machine of the test's own with what Berth opens on it, and a client beside it, each a
 * network namespace; the command is run on that machine and asks the server through its socket.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Background } from '../../../test/harness/background.ts';
import { skipWithoutHostNetwork } from '../../../test/harness/host-network.ts';
import { eventually } from '../../../test/harness/ssh.ts';
import { fullServer, platform } from './testing/full-server.ts';
import { berth, runProgram } from './testing/run.ts';
import { json } from './testing/server-double.ts';
import type { ServerDouble } from './testing/server-double.ts';

const entry = fileURLToPath(new URL('../bin/berth.mjs', import.meta.url));
const table = 'berth_ports_01234567';

test('print shows the rules for the ports in force, and what it made them of', async () => {
  await using server = await fullServer();
  const sources = ['203.0.113.0/24', '::ffff:192.0.2.7', '2001:DB8::/32', '203.0.113.0/24'];
  const asked = ['firewall', 'print', ...sources.flatMap((each) => ['--source', each])];
  const { stdout } = await berth(asked, { server });
  assert.match(stdout, /elements = \{ 203\.0\.113\.0\/24, 192\.0\.2\.7\/32 \}/);
  assert.match(stdout, /elements = \{ 2001:db8::\/32 \}/);
  assert.match(stdout, /tcp dport \{ 30000-32767, 2222 \}/);
  const document = JSON.parse((await berth([...asked, '--json'], { server })).stdout) as object;
  assert.deepEqual(document, {
    table,
    ports: ['30000-32767', '2222'],
    sources: ['203.0.113.0/24', '192.0.2.7/32', '2001:db8::/32'],
    rules: stdout,
  });
});

test('a server cannot write rules of its own, and without a shared port there is none', async () => {
  await using server = await fullServer();
  const set = (name: string, value: unknown, id = platform.installation_id) =>
    server.answers.set(
      'GET /api/platform',
      json({
        ...platform,
        installation_id: id,
        settings: [{ name, value, source: 'file' }, ...platform.settings],
      }),
    );
  const print = () => berth(['firewall', 'print', '--source', '::1'], { server });
  for (const wrong of [
    () => set('portRange', '1-2 } accept; #'),
    () => set('sharedPort', '2222'),
    () => set('sharedPort', 70_000),
    () => set('', null, 'x { }'),
  ]) {
    wrong();
    const { exitCode, stderr } = await print();
    assert.equal(exitCode, 1);
    assert.match(stderr, /The server named .+; no rules were made/);
  }
  set('sharedPort', 0);
  assert.match((await print()).stdout, /tcp dport \{ 30000-32767 \}/);
  set('sharedPort', 30_100);
  assert.match((await print()).stdout, /tcp dport \{ 30000-32767 \}/);
});

const run = (program: string, ...args: string[]) => {
  const { status, stderr, stdout } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
  return stdout;
};

const skip =
  skipWithoutHostNetwork ||
  (spawnSync('nft', ['--version']).error !== undefined && 'needs nft (package nftables)');

describe('the rules in force', { skip }, () => {
  const name = `berth-${randomBytes(3).toString('hex')}`;
  const [machine, client, container] = [`${name}m`, `${name}c`, `${name}k`];
  const [own, shared, published, other] = [30_001, 2222, 30_002, 8022];
  const here = { 4: '198.51.100.1', 6: '2001:db8:1::1' } as const;
  const friends = { 4: '198.51.100.7', 6: '2001:db8:1::7' } as const;
  const strangers = { 4: '198.51.100.8', 6: '2001:db8:1::8' } as const;
  let server: ServerDouble;
  const listeners: Background[] = [];

  const within = (namespace: string, ...command: string[]) =>
    run('ip', 'netns', 'exec', namespace, ...command);
  /** On all addresses of both families. */
  const listen = async (namespace: string, port: number, says: string) => {
    const script = `require('node:net').createServer((socket) => socket.on('error', () => {}).end('${says}'))
      .listen(${port}, '::', () => console.log('listens'))`;
    const listener = new Background('ip', ['netns', 'exec', namespace, process.execPath, '-e', script]);
    listeners.push(listener);
    await listener.says(/listens/);
  };
  const firewall = (...args: string[]) =>
    runProgram('ip', ['netns', 'exec', machine, process.execPath, entry, 'firewall', ...args], {
      ...process.env,
      BERTH_DATA_DIR: server.folder,
    });
  /** What is heard; a connection that is not made within two seconds is dropped on the way. */
  const heard = async (namespace: string, from: string, to: string, port: number, localPort = 0) => {
    const script = `const socket = require('node:net').connect({ host: '${to}', port: ${port}, localAddress: '${from}', localPort: ${localPort} });
      setTimeout(() => { console.log('dropped'); process.exit(); }, 2000);
      socket.on('data', (data) => { console.log(String(data)); process.exit(); });
      socket.on('error', (error) => { console.log(error.code); process.exit(); });`;
    const { stdout } = await runProgram(
      'ip',
      ['netns', 'exec', namespace, process.execPath, '-e', script],
      process.env,
    );
    return stdout.trim();
  };
  const families = [4, 6] as const;
  const heardBy = async (who: typeof friends | typeof strangers, port: number) =>
    Promise.all(families.map((family) => heard(client, who[family], here[family], port)));

  before(async () => {
    server = await fullServer();
    for (const each of [machine, client, container]) run('ip', 'netns', 'add', each);
    within(machine, 'ip', 'link', 'set', 'lo', 'up');
    const join = (namespace: string, device: string) => {
      run(
        'ip',
        '-netns',
        machine,
        'link',
        'add',
        device,
        'type',
        'veth',
        'peer',
        'name',
        'eth0',
        'netns',
        namespace,
      );
      within(machine, 'ip', 'link', 'set', device, 'up');
      within(namespace, 'ip', 'link', 'set', 'eth0', 'up');
    };
    const address = (namespace: string, device: string, ...addresses: string[]) => {
      for (const each of addresses)
        within(
          namespace,
          'ip',
          'address',
          'add',
          each,
          'dev',
          device,
          ...(each.includes(':') ? ['nodad'] : []),
        );
    };
    join(client, 'world');
    join(container, 'docker');
    address(machine, 'world', `${here[4]}/24`, `${here[6]}/64`);
    address(client, 'eth0', ...[friends, strangers].flatMap((each) => [`${each[4]}/24`, `${each[6]}/64`]));
    address(machine, 'docker', '172.30.0.1/24', 'fd00:30::1/64');
    address(container, 'eth0', '172.30.0.2/24', 'fd00:30::2/64');
    within(container, 'ip', 'route', 'add', 'default', 'via', '172.30.0.1');
    within(container, 'ip', '-6', 'route', 'add', 'default', 'via', 'fd00:30::1');
    within(machine, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
    // As Docker publishes a port.
    within(
      machine,
      'nft',
      `table inet docker { chain prerouting { type nat hook prerouting priority dstnat; policy accept;
        fib daddr type local meta nfproto ipv4 tcp dport ${published} dnat ip to 172.30.0.2:22
        fib daddr type local meta nfproto ipv6 tcp dport ${published} dnat ip6 to [fd00:30::2]:22
      }
}`,
    );
    await Promise.all([
      listen(machine, own, 'own'),
      listen(machine, shared, 'shared'),
      listen(machine, other, 'other'),
      listen(container, 22, 'published'),
      listen(client, own, 'beyond'),
    ]);
    // Without rules everybody gets everywhere, as soon as the interfaces have found each other.
    await eventually(
      () => heardBy(strangers, published),
      (said) => said.every((each) => each === 'published'),
    );
  });
  after(async () => {
    for (const each of listeners) await each.stop();
    for (const each of [machine, client, container]) spawnSync('ip', ['netns', 'delete', each]);
    await server[Symbol.asyncDispose]();
  });

  test('let allowed sources to every port of Berth and nobody else, over IPv4 and IPv6', async () => {
    const applied = await firewall('apply', '--source', `${friends[4]}/32`, '--source', friends[6]);
    assert.equal(applied.exitCode, 0, applied.stderr);
    assert.match(
      applied.stdout,
      new RegExp(`^The table inet ${table} is in force: the ports 30000-32767 and 2222`),
    );
    const ports = [
      [own, 'own'],
      [shared, 'shared'],
      [published, 'published'],
    ] as const;
    const each = async ([port, says]: (typeof ports)[number]) => {
      assert.deepEqual(await heardBy(friends, port), [says, says]);
      assert.deepEqual(await heardBy(strangers, port), ['dropped', 'dropped'], says);
    };
    await Promise.all(ports.map(each));
    assert.deepEqual(await heardBy(strangers, other), ['other', 'other'], 'a port that is not of Berth');
  });

  test('leave alone what comes from the machine, and what goes out from it', async () => {
    for (const address of ['127.0.0.1', '::1', ...families.map((family) => here[family])])
      assert.equal(await heard(machine, address, address, own), 'own', address);
    // To a port of that number elsewhere, also from a container that is none of the sources.
    assert.equal(await heard(machine, here[4], strangers[4], own), 'beyond');
    assert.equal(await heard(machine, here[4], strangers[4], own, 30_500), 'beyond', 'from a port of Berth');
    within(client, 'ip', 'route', 'add', '172.30.0.0/24', 'via', here[4]);
    assert.equal(await heard(container, '172.30.0.2', strangers[4], own), 'beyond');
  });

  test('take the place of those before, as a whole, and go without a trace', async () => {
    const everybody = await firewall(
      'apply',
      '--source',
      '0.0.0.0/0',
      '--source',
      '10.0.0.0/8',
      '--source',
      '::/0',
    );
    assert.equal(everybody.exitCode, 0, everybody.stderr);
    assert.deepEqual(await heardBy(strangers, shared), ['shared', 'shared']);
    const onlyIPv6 = await firewall('apply', '--source', '::/0');
    assert.equal(onlyIPv6.exitCode, 0, onlyIPv6.stderr);
    assert.deepEqual(await heardBy(strangers, shared), ['dropped', 'shared']);
    for (let twice = 0; twice < 2; twice += 1) {
      const removed = await firewall('apply', '--remove');
      assert.equal(removed.exitCode, 0, removed.stderr);
      assert.match(removed.stdout, new RegExp(`^The table inet ${table} is gone`));
    }
    assert.deepEqual(await heardBy(strangers, shared), ['shared', 'shared']);
    assert.doesNotMatch(within(machine, 'nft', 'list', 'tables'), /berth/);
  });

  test('are only put in force on the machine of the Berth that is asked, by root', async () => {
    const remote = await berth(['firewall', 'apply', '--source', '::1'], {
      environment: { BERTH_URL: 'http://127.0.0.1:1', BERTH_TOKEN: 'x' },
    });
    assert.equal(remote.exitCode, 2);
    assert.match(remote.stderr, /rules are put in force on this machine/);
    const unprivileged = spawnSync(
      process.execPath,
      [entry, 'firewall', 'apply', '--source', '::1', '--data-dir', server.folder],
      { uid: 65_534, gid: 65_534, encoding: 'utf8', env: {} },
    );
    assert.equal(unprivileged.status, 5, unprivileged.stderr);
    assert.match(unprivileged.stderr, /Only root may change the rules/);
  });
});
