/**
 * The diagnosis, with each fault made for real: the right code is found, and nothing else. What clients print is recorded
 * from clients that meet the fault, explained, and joined with what the server finds.
 *
 * One Berth with two environments, one behind the gateway and one whose port leads straight to its sshd. Clients come
 * from addresses of the loopback network, each fault from its own, or from a network namespace beyond the host.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pathOf, routes } from '@berth/contract';
import type {
  CheckResult,
  CreatedEnvironment,
  Diagnosis,
  Environment,
  FindingCode,
  SshAccess,
} from '@berth/contract';
import { explainFor, keyInQuestion } from '@berth/contract/explain';
import type { ClientFindingCode, Explanation } from '@berth/contract/explain';
import { Background } from '../harness/background.ts';
import { TestBerth, docker, environmentImage, skipWithoutDocker } from '../harness/berth.ts';
import { Beyond, skipWithoutHostNetwork } from '../harness/host-network.ts';
import { type Finished, eventually, execute, makeKey } from '../harness/ssh.ts';

const command = fileURLToPath(new URL('../../packages/cli/bin/berth.mjs', import.meta.url));
const image = 'berth-test/ends-at-once';

interface Query {
  source?: string;
  fingerprint?: string;
  certificate?: string;
}

describe('the diagnosis of an environment', { skip: skipWithoutDocker || skipWithoutHostNetwork }, () => {
  let berth: TestBerth;
  let beyond: Beyond;
  let folder: string;
  /** Opens both environments; nobody knows the other one. */
  let key: string;
  let strangeKey: string;
  let gated: CreatedEnvironment;
  let direct: CreatedEnvironment;
  let access: SshAccess;
  let knownHosts: string;
  let sources = 0;
  const failing = new Map<string, CreatedEnvironment>();

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-diagnosis-'));
    key = await makeKey(folder, 'known');
    strangeKey = await makeKey(folder, 'strange');
    beyond = await Beyond.open([]);
    berth = await TestBerth.start({
      gateway: true,
      settings: { BERTH_PORT_ADDRESS: '0.0.0.0', BERTH_BAN_FAILURES: '8', BERTH_WAKE_QUIET_MINUTES: '0' },
    });
    const public_key = readFileSync(`${key}.pub`, 'utf8').trim();
    assert.equal((await berth.call('POST', routes.sshKeys, { name: 'known', public_key })).status, 201);
    [gated, direct] = await Promise.all([
      berth.createRunning({ name: 'gated', resources: { cpu: 1, memory: 0.25 } }),
      berth.createRunning({ name: 'direct', exposure: 'direct' }),
    ]);
    await beginFailures();
    access = await berth.ssh(gated.env_id);
    knownHosts = join(folder, 'known_hosts');
    writeFileSync(knownHosts, `${access.known_hosts}\n${access.shared_known_hosts}\n`);
  });

  /** Environments that shall fail, each in its own way; they do while other faults are looked for. */
  async function beginFailures(): Promise<void> {
    const container = await docker.createContainer({ Image: await environmentImage() });
    const entrypoints = {
      short: ['/bin/sh', '-c', 'echo the cellar is empty >&2; exit 3'],
      hungry: ['tail', '/dev/zero'],
    };
    for (const [tag, entrypoint] of Object.entries(entrypoints)) {
      await container.commit({ repo: image, tag, changes: `ENTRYPOINT ${JSON.stringify(entrypoint)}` });
      await berth.call('POST', routes.images, { name: tag, reference: `${image}:${tag}` });
    }
    await container.remove();
    await berth.call('POST', routes.images, { name: 'nowhere', reference: 'nowhere.invalid/none:1' });
    const source = join(folder, 'faces');
    mkdirSync(source);
    await berth.call('POST', routes.datasets, { name: 'faces', kind: 'folder', source });
    rmSync(source, { recursive: true });
    const small = { cpu: 0.1, memory: 0.125 };
    for (const input of [
      { name: 'short', image: 'short', resources: small },
      { name: 'hungry', image: 'hungry', resources: small },
      { name: 'imageless', image: 'nowhere', resources: small },
      { name: 'faceless', datasets: ['faces'], resources: small },
    ])
      failing.set(input.name, await berth.create(input));
  }

  after(async () => {
    await berth?.remove();
    await beyond?.close();
    for (const tag of ['short', 'hungry'])
      await docker
        .getImage(`${image}:${tag}`)
        .remove({ force: true })
        .catch(() => undefined);
    rmSync(folder, { recursive: true, force: true });
  });

  async function ask(id: string, query: Query = {}): Promise<Diagnosis> {
    const path = `${pathOf(routes.environmentDiagnosis, { id })}?${new URLSearchParams({ ...query })}`;
    const { status, body } = await berth.call<Diagnosis>('GET', path);
    assert.equal(status, 200, JSON.stringify(body));
    assert.ok(body.duration_ms < 15_000, `${body.duration_ms} ms`);
    return body;
  }

  /** Whatever is not well, as `check code`. */
  const notWell = ({ checks }: Diagnosis) =>
    checks
      .filter(({ verdict }) => verdict === 'problem' || verdict === 'unknown')
      .map(({ id, code }) => `${id} ${code}`);

  const shown = ({ checks }: Diagnosis) =>
    checks.map(({ verdict, code, cause }) => `${verdict} ${code}: ${cause}`).join('\n');

  /** These problems are found and no others. @returns the check of the first */
  async function assertFinds(
    environment: { env_id: string },
    expected: FindingCode[],
    query: Query = {},
  ): Promise<CheckResult> {
    const diagnosis = await ask(environment.env_id, query);
    const found = diagnosis.checks.filter(({ verdict }) => verdict === 'problem');
    assert.deepEqual(
      found.map(({ code }) => code),
      expected,
      shown(diagnosis),
    );
    assert.equal(diagnosis.healthy, false);
    for (const { cause, cure } of found) {
      assert.match(cause, /[.)]$/);
      assert.ok(cure);
    }
    return found[0] as CheckResult;
  }

  /** Another address of this machine each time, so that none meets another's lockout. */
  function newSource(): string {
    sources += 1;
    return `127.0.7.${sources}`;
  }

  const inside = (environment: { env_id: string }, script: string): Promise<Finished> =>
    execute('docker', ['exec', '--user', 'root', environment.env_id, 'bash', '-c', script]);

  async function restarted(environment: { env_id: string }): Promise<void> {
    await berth.call('POST', pathOf(routes.environmentRestart, { id: environment.env_id }));
    await berth.until(environment.env_id, 'running');
  }

  const patch = (environment: { env_id: string }, body: object) =>
    berth.call('PATCH', pathOf(routes.environment, { id: environment.env_id }), body);

  const options = () => [
    ...['-v', '-F', 'none', '-o', `UserKnownHostsFile=${knownHosts}`, '-o', 'GlobalKnownHostsFile=none'],
    ...['-o', 'StrictHostKeyChecking=yes', '-o', 'ConnectTimeout=3', '-o', 'NumberOfPasswordPrompts=1'],
  ];
  const byKey = (file = key) => ['-i', file, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes'];
  const byPassword = ['-o', 'PubkeyAuthentication=no', '-o', 'PreferredAuthentications=password'];
  const ownPort = (environment = gated) => ['-p', String(environment.ssh_port)];
  const target = 'developer@127.0.0.1';

  /** The stock client, to the environment behind the gateway unless told otherwise. */
  const ssh = (flags: string[], to = target) => execute('ssh', [...flags, ...options(), to, 'true']);
  const guess = (flags: string[], to = target) =>
    execute('sshpass', ['-p', 'wrong', 'ssh', ...options(), ...byPassword, ...flags, to, 'true']);

  interface Told {
    explanation: Explanation;
    env_id: string | null;
    diagnosis: Diagnosis | null;
  }

  /** What `berth diagnose --from -` says of it. */
  async function byCommand(output: string, more: string[] = []): Promise<Told & { exitCode: number | null }> {
    const { code, stdout, stderr } = await execute(
      process.execPath,
      [command, 'diagnose', '--from', '-', '--json', '--data-dir', berth.dataDir, ...more],
      { input: output },
    );
    assert.notEqual(stdout, '', stderr);
    return { ...(JSON.parse(stdout) as Told), exitCode: code };
  }

  /** The same without a process of its own each time, as the console has it. */
  async function told(output: Finished | string, query: Query = {}): Promise<Told> {
    const text = typeof output === 'string' ? output : output.stderr + output.stdout;
    const { items } = (await berth.call<{ items: Environment[] }>('GET', routes.environments)).body;
    const { explanation, environment } = explainFor(text, items);
    const fingerprint = keyInQuestion(explanation);
    const about = { ...query, ...(fingerprint === undefined ? {} : { fingerprint }) };
    const diagnosis = environment === null ? null : await ask(environment, about);
    return { explanation, env_id: environment, diagnosis };
  }

  /** The first of what is told is the cause. */
  async function assertExplains(
    output: Finished | string,
    code: ClientFindingCode,
    query: Query = {},
  ): Promise<Told> {
    const answer = await told(output, query);
    const text = typeof output === 'string' ? output : output.stderr;
    assert.equal(
      answer.explanation.findings[0]?.code,
      code,
      `${JSON.stringify(answer.explanation)}\n${text}`,
    );
    return answer;
  }

  const codeOf = ({ diagnosis }: Told, check: CheckResult['id']) =>
    diagnosis?.checks.find(({ id }) => id === check)?.code;

  it('finds nothing wrong with healthy environments, behind the gateway and direct', async () => {
    const print = await fingerprintOf(key);
    for (const environment of [gated, direct]) {
      for (const source of [beyond.address, '127.0.0.1']) {
        const diagnosis = await ask(environment.env_id, { source, fingerprint: print });
        assert.deepEqual(notWell(diagnosis), [], shown(diagnosis));
        assert.equal(diagnosis.healthy, true);
        assert.equal(diagnosis.source, source);
      }
    }
    const printed = await execute(process.execPath, [
      ...[command, 'diagnose', gated.env_id, '--data-dir', berth.dataDir],
      ...['--source', beyond.address, '--key', `${key}.pub`],
    ]);
    assert.equal(printed.code, 0, printed.stdout + printed.stderr);
    assert.match(printed.stdout, /✓ the sshd inside +It answers as OpenSSH_/);
    assert.match(printed.stdout, /nothing is wrong, looked at for/);
    const worked = await ssh([...ownPort(), ...byKey(), '-b', newSource()]);
    assert.equal(worked.code, 0, worked.stderr);
    const answer = await byCommand(worked.stderr);
    assert.equal(answer.exitCode, 0);
    assert.equal(answer.env_id, gated.env_id);
    assert.deepEqual(
      answer.explanation.findings.map(({ code }) => code),
      ['logged_in'],
    );
  });

  describe('inside', () => {
    it('sshd that hangs', async () => {
      await inside(gated, "pkill -STOP -f '[s]shd: /usr/sbin/sshd'");
      try {
        await assertFinds(gated, ['sshd_silent']);
      } finally {
        await inside(gated, "pkill -CONT -f '[s]shd: /usr/sbin/sshd'");
      }
      await eventually(
        () => ask(gated.env_id),
        ({ healthy }) => healthy,
      );
    });

    it('sshd that does not listen', async () => {
      // Its container ends with its sshd, and is started again: both are held.
      await inside(gated, "pkill -STOP -f '[l]ib/berth/entrypoint'; pkill -f '[s]shd: /usr/sbin/sshd'");
      await assertFinds(gated, ['sshd_not_listening']);
      const refused = await ssh([...ownPort(), ...byKey(), '-b', newSource()]);
      const answer = await assertExplains(refused, 'berth_not_answering');
      assert.equal(codeOf(answer, 'sshd'), 'sshd_not_listening');
      await restarted(gated);
    });

    it('another host key, and files that sshd trusts changed or open to others', async () => {
      await inside(gated, 'echo somebody-else > /run/berth/principals');
      await assertFinds(gated, ['login_refused']);
      await inside(
        gated,
        `printf '${gated.env_id}\\n' > /run/berth/principals; chmod 666 /run/berth/principals`,
      );
      await assertFinds(gated, ['login_refused', 'key_files_open_to_others']);
      await inside(gated, 'chmod 644 /run/berth/principals');
      const before = await fingerprintOf(strangeKey);
      await execute('docker', ['cp', strangeKey, `${gated.env_id}:/run/berth/ssh_host_ed25519_key`]);
      await inside(
        gated,
        "chmod 600 /run/berth/ssh_host_ed25519_key; pkill -HUP -f '[s]shd: /usr/sbin/sshd'",
      );
      const changed = await eventually(
        () => ask(gated.env_id),
        ({ healthy }) => !healthy,
      );
      const check = changed.checks.find(({ verdict }) => verdict === 'problem');
      assert.equal(check?.code, 'host_key_changed', shown(changed));
      assert.equal(check.facts['shown'], before);
      await restarted(gated);
      assert.deepEqual(notWell(await ask(gated.env_id)), []);
    });

    it('a disk that is full, and one without inodes', async () => {
      const { State } = await docker.getContainer(gated.env_id).inspect();
      const mount = (settings: string) =>
        execute('nsenter', [
          ...['-t', String(State.Pid), '-m', 'mount', '-t', 'tmpfs', '-o', `uid=1000,${settings}`, 'small'],
          '/home/developer',
        ]);
      const unmount = () => execute('nsenter', ['-t', String(State.Pid), '-m', 'umount', '/home/developer']);
      assert.equal((await mount('size=20m')).code, 0);
      try {
        await inside(gated, 'head -c 19M /dev/zero > /home/developer/filler');
        const { facts } = await assertFinds(gated, ['disk_full']);
        assert.equal(facts['place'], '/home/developer');
      } finally {
        await unmount();
      }
      assert.equal((await mount('size=64m,nr_inodes=70')).code, 0);
      try {
        await inside(gated, 'for i in {1..20}; do : > /home/developer/$i; done');
        await assertFinds(gated, ['inodes_used_up']);
      } finally {
        await unmount();
      }
    });

    it('programs that ran out of memory', async () => {
      await inside(gated, 'tail /dev/zero');
      const { facts } = await assertFinds(gated, ['memory_ran_out']);
      assert.equal(facts['limit_mib'], 256);
      assert.ok(Number(facts['kills']) >= 1);
      await restarted(gated);
    });

    it('a password and keys that are out of step, where sshd compares them itself', async () => {
      const { password_hash } = {
        password_hash: (await inside(direct, 'grep ^developer: /etc/shadow')).stdout,
      };
      await inside(direct, 'echo developer:changed-by-hand-1 | chpasswd');
      await assertFinds(direct, ['password_out_of_step']);
      await inside(direct, `usermod -p '${password_hash.split(':')[1]}' developer`);
      await inside(direct, 'chage -E 1 developer');
      const { facts } = await assertFinds(direct, ['password_expired_inside']);
      assert.equal(facts['which'], 'account');
      await inside(direct, 'chage -E -1 developer');
      const print = await fingerprintOf(key);
      await inside(direct, 'cp /run/berth/authorized_keys /tmp/; : > /run/berth/authorized_keys');
      await assertFinds(direct, ['key_not_inside'], { fingerprint: print });
      await inside(
        direct,
        'cat /tmp/authorized_keys > /run/berth/authorized_keys; chmod 666 /run/berth/authorized_keys',
      );
      const { facts: open } = await assertFinds(direct, ['key_files_open_to_others'], { fingerprint: print });
      assert.equal(open['mode'], '0666');
      await inside(direct, 'chmod 644 /run/berth/authorized_keys');
      assert.deepEqual(notWell(await ask(direct.env_id, { fingerprint: print })), []);
    });
  });

  describe('who wants in', () => {
    it('a wrong password, then a lockout until its end, then a ban', async () => {
      const source = newSource();
      const wrong = await guess([...ownPort(), '-b', source]);
      await eventually(
        () => ask(gated.env_id, { source }),
        ({ checks }) => checks.some(({ code }) => code === 'wrong_password_lately'),
      );
      const answer = await assertExplains(wrong, 'password_refused', { source });
      assert.equal(answer.env_id, gated.env_id);
      assert.equal(codeOf(answer, 'attempts'), 'wrong_password_lately');
      for (let count = 1; count < 5; count += 1) await guess([...ownPort(), '-b', source]);
      const locked = await ssh([...ownPort(), ...byKey(), '-b', source]);
      const joined = await assertExplains(locked, 'berth_locked', { source });
      assert.equal(joined.explanation.findings[0]?.facts['source'], source);
      const lockout = joined.diagnosis?.checks.find(({ id }) => id === 'lockout');
      assert.equal(lockout?.code, 'locked_out');
      assert.match(String(lockout.facts['until']), /^\d{4}-\d\d-\d\d \d\d:\d\d UTC$/);
      assert.match(String(lockout.cure), new RegExp(`berth lockouts clear ${lockout.facts['lockout']}\\.`));
      for (let count = 5; count < 8; count += 1)
        await guess(['-p', String(berth.sharedPort), '-b', source], 'nobody-there@127.0.0.1');
      const banned = await eventually(
        () => ask(gated.env_id, { source }),
        ({ checks }) => checks.some(({ code }) => code === 'banned'),
      );
      assert.ok(banned.checks.some(({ code }) => code === 'locked_out'));
      await assertExplains(await ssh([...ownPort(), ...byKey(), '-b', source]), 'closed_unheard');
      await berth.unlock(source);
      for (const { id } of (await berth.call<{ items: { id: number }[] }>('GET', routes.bans)).body.items)
        await berth.call('DELETE', pathOf(routes.ban, { id: String(id) }));
    });

    it('a key that is not known, one of another customer, and passwords that are off', async () => {
      const source = newSource();
      const print = await fingerprintOf(strangeKey);
      const refused = await ssh([...ownPort(), ...byKey(strangeKey), '-b', source]);
      const answer = await assertExplains(refused, 'keys_refused', { source });
      assert.equal(codeOf(answer, 'key'), 'key_unknown');
      await eventually(
        () => ask(gated.env_id, { source }),
        ({ checks }) => checks.some(({ code }) => code === 'wrong_key_lately'),
      );
      await assertFinds(gated, ['key_unknown'], { fingerprint: print });
      await patch(gated, { password_login: false });
      const off = await assertExplains(await guess([...ownPort(), '-b', newSource()]), 'no_key_offered');
      assert.equal(codeOf(off, 'password'), 'password_off');
      await patch(gated, { password_login: true });
    });

    it('certificates that are over, for others, or of nobody that is trusted', async () => {
      const authority = await makeKey(folder, 'authority');
      const sign = async (...more: string[]) => {
        const [name, ...flags] = more;
        const file = join(folder, `${name}`);
        copyFileSync(`${strangeKey}.pub`, `${file}.pub`);
        const signed = await execute('ssh-keygen', [
          '-q',
          '-s',
          authority,
          '-I',
          'mei',
          ...flags,
          `${file}.pub`,
        ]);
        assert.equal(signed.code, 0, signed.stderr);
        return readFileSync(`${file}-cert.pub`, 'utf8').split(' ')[1] ?? '';
      };
      const right = await sign('right', '-n', gated.env_id);
      await assertFinds(gated, ['certificate_of_unknown_authority'], { certificate: right });
      const public_key = readFileSync(`${authority}.pub`, 'utf8').trim();
      const { body } = await berth.call<{ id: number }>('POST', routes.sshAuthorities, {
        name: 'ours',
        public_key,
      });
      const opens = await ask(gated.env_id, { certificate: right });
      assert.ok(opens.checks.some(({ code }) => code === 'certificate_opens'));
      assert.equal(opens.healthy, true);
      const over = await sign('over', '-n', gated.env_id, '-V', '20200101:20200102');
      await assertFinds(gated, ['certificate_expired'], { certificate: over });
      const others = await sign('others', '-n', 'somebody');
      const { facts } = await assertFinds(gated, ['certificate_for_others'], { certificate: others });
      assert.equal(facts['principals'], 'somebody');
      await assertFinds(direct, ['certificate_direct'], { certificate: right });
      await berth.call('DELETE', pathOf(routes.sshAuthority, { id: String(body.id) }));
    });

    it('an address that the allowlist leaves out', async () => {
      const source = newSource();
      const entry = { network: '203.0.113.0/24', env_id: gated.env_id };
      const { body } = await berth.call<{ id: number }>('POST', routes.allowlist, entry);
      await eventually(
        () => ssh([...ownPort(), ...byKey(), '-b', source]),
        ({ code }) => code !== 0,
      );
      const refused = await ssh([...ownPort(), ...byKey(), '-b', source]);
      const answer = await assertExplains(refused, 'berth_not_allowed', { source });
      assert.equal(codeOf(answer, 'allowlist'), 'allowlist_leaves_out');
      assert.equal(codeOf(answer, 'own_port'), 'own_port_open');
      await berth.call('DELETE', pathOf(routes.allowlistEntry, { id: String(body.id) }));
      assert.deepEqual(notWell(await ask(gated.env_id)), []);
    });

    it('a time-out: a firewall on the machine that drops the address', async () => {
      const berthCommand = [command, '--data-dir', berth.dataDir];
      const apply = (...more: string[]) =>
        execute(process.execPath, [command, 'firewall', 'apply', ...berthCommand.slice(1), ...more]);
      const applied = await apply('--source', '203.0.113.0/24');
      assert.equal(applied.code, 0, applied.stderr);
      try {
        for (const environment of [gated, direct]) {
          const { facts } = await assertFinds(environment, ['firewall_drops'], { source: beyond.address });
          assert.match(String(facts['table']), /^berth_ports_/);
        }
        const [program = '', ...prefix] = beyond.prefix;
        const late = await execute(program, [
          ...[...prefix, 'ssh', ...options(), ...byKey(), '-o', 'StrictHostKeyChecking=no', ...ownPort()],
          ...[`developer@${beyond.host}`, 'true'],
        ]);
        const answer = await assertExplains(late, 'timed_out', { source: beyond.address });
        assert.equal(answer.env_id, gated.env_id);
        assert.equal(codeOf(answer, 'firewall'), 'firewall_drops');
      } finally {
        await apply('--remove');
      }
      assert.deepEqual(notWell(await ask(direct.env_id, { source: beyond.address })), []);
    });
  });

  describe('what clients print', () => {
    it('too many keys, a key file that others can read, a key that nobody unlocks', async () => {
      const keys = await Promise.all(
        Array.from({ length: 7 }, (_, index) => makeKey(folder, `many-${index}`)),
      );
      const flags = keys.flatMap((file) => ['-i', file]);
      const many = await execute('ssh', [
        ...['-v', '-F', 'none', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
        ...[...ownPort(direct), ...flags, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', target, 'true'],
      ]);
      const answer = await assertExplains(many, 'too_many_keys');
      assert.equal(answer.env_id, direct.env_id);
      const open = join(folder, 'open');
      copyFileSync(key, open);
      chmodSync(open, 0o644);
      const readable = await ssh([...ownPort(), ...byKey(open), '-b', newSource()]);
      const { explanation } = await assertExplains(readable, 'key_file_open_to_others');
      assert.equal(explanation.findings[0]?.cure, `chmod 600 ${open}`);
      const locked = join(folder, 'locked');
      copyFileSync(key, locked);
      chmodSync(locked, 0o600);
      copyFileSync(`${key}.pub`, `${locked}.pub`);
      await execute('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'a passphrase', '-f', locked]);
      await assertExplains(
        await ssh([...ownPort(), ...byKey(locked), '-b', newSource()]),
        'key_not_unlocked',
      );
    });

    it('another host key, with the command that forgets the old one', async () => {
      const home = join(folder, 'home');
      mkdirSync(join(home, '.ssh'), { recursive: true });
      const known = join(home, '.ssh', 'known_hosts');
      const [name] = (access.known_hosts ?? '').split(' ');
      const [type, blob] = readFileSync(`${strangeKey}.pub`, 'utf8').split(' ');
      writeFileSync(known, `${name} ${type} ${blob}\n`);
      const flags = ['-v', '-F', 'none', '-o', `UserKnownHostsFile=${known}`, ...ownPort(), ...byKey()];
      const strict = ['-o', 'StrictHostKeyChecking=accept-new'];
      const changed = await execute('ssh', [...flags, ...strict, '-b', newSource(), target, 'true']);
      const { explanation } = await assertExplains(changed, 'host_key_differs');
      const cure = String(explanation.findings[0]?.facts['command']);
      assert.equal(cure, `ssh-keygen -R '[127.0.0.1]:${gated.ssh_port}'`);
      const forgotten = await execute('sh', ['-c', `${cure} -f ${known}`]);
      assert.equal(forgotten.code, 0, forgotten.stderr);
      assert.equal((await execute('ssh', [...flags, ...strict, '-b', newSource(), target, 'true'])).code, 0);
      const empty = join(folder, 'empty');
      writeFileSync(empty, '');
      const strange = [...flags.slice(0, 3), '-o', `UserKnownHostsFile=${empty}`, ...ownPort(), ...byKey()];
      const unknown = await execute('ssh', [...strange, '-o', 'StrictHostKeyChecking=yes', target, 'true']);
      await assertExplains(unknown, 'host_key_not_known');
    });

    it('nothing in common, forwarding that is off, a local port in use, another user, port 22', async () => {
      const flags = () => [...ownPort(), ...byKey(), '-b', newSource()];
      const oldKex = await ssh([...flags(), '-o', 'KexAlgorithms=diffie-hellman-group1-sha1']);
      await assertExplains(oldKex, 'no_common_key_exchange');
      await assertExplains(await ssh([...flags(), '-o', 'Ciphers=aes128-cbc']), 'no_common_cipher');
      await assertExplains(await ssh([...flags(), '-o', 'HostKeyAlgorithms=ssh-rsa']), 'no_common_host_key');
      await patch(gated, { forwarding: { local: false, sftp: false } });
      const forward = await execute('ssh', [...options(), ...flags(), '-W', '127.0.0.1:22', target]);
      await assertExplains(forward, 'berth_forwarding_off');
      const sftp = await execute('ssh', [...options(), ...flags(), '-s', target, 'sftp']);
      await assertExplains(sftp, 'berth_forwarding_off');
      await patch(gated, { forwarding: { local: true, sftp: true } });
      const taken = `127.0.0.1:${gated.ssh_port}:127.0.0.1:80`;
      const busy = await ssh([...flags(), '-o', 'ExitOnForwardFailure=yes', '-L', taken]);
      await assertExplains(busy, 'local_port_in_use');
      const unanswered = await execute('ssh', [...options(), ...flags(), '-W', '127.0.0.1:9', target]);
      await assertExplains(unanswered, 'forwarding_unanswered');
      const root = await told(await ssh(flags(), 'root@127.0.0.1'));
      assert.equal(root.env_id, gated.env_id);
      const wrongUser = root.explanation.findings.find(({ code }) => code === 'wrong_user');
      assert.equal(wrongUser?.facts['command'], `ssh developer@127.0.0.1 -p ${gated.ssh_port}`);
      const at22 = await byCommand((await ssh(['-p', '22', ...byKey()])).stderr, [gated.env_id]);
      assert.equal(at22.exitCode, 1);
      const port22 = at22.explanation.findings.find(({ code }) => code === 'port_22');
      assert.equal(port22?.facts['command'], `ssh developer@127.0.0.1 -p ${gated.ssh_port}`);
      assert.equal(at22.env_id, gated.env_id);
    });

    it('what listens and does not speak, speaks something else, or closes; a name without an address', async () => {
      const answered = async (greet: (socket: Socket) => void, code: ClientFindingCode) => {
        const sockets = new Set<Socket>();
        const server = createServer((socket) => {
          sockets.add(socket.on('error', () => undefined));
          greet(socket);
        });
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        const { port } = server.address() as AddressInfo;
        const output = await execute('ssh', [
          ...[...options(), '-o', 'ConnectTimeout=1', '-p', String(port), ...byKey(), target, 'true'],
        ]);
        server.close();
        for (const socket of sockets) socket.destroy();
        const { explanation } = await assertExplains(output, code);
        assert.equal(explanation.conversation.port, port);
      };
      await answered((socket) => void socket.destroy(), 'closed_unheard');
      await answered((socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), 'not_ssh');
      const nowhere = await ssh([...ownPort(), ...byKey()], 'developer@nowhere.invalid');
      const { explanation } = await told(nowhere);
      assert.match(String(explanation.findings[0]?.code), /^(name_not_found|no_name_server)$/);
    });

    it('other clients, and the log of an editor', async (context) => {
      const refusedPort = String(berth.ports.last);
      const newer = await execute('docker', [
        ...[
          'run',
          '--rm',
          '--network',
          'host',
          '--entrypoint',
          'ssh',
          await environmentImage(),
          '-v',
          '-F',
          'none',
        ],
        ...['-o', 'StrictHostKeyChecking=no', '-o', 'BatchMode=yes', ...ownPort(), target, 'true'],
      ]);
      const { explanation } = await told(newer);
      assert.match(String(explanation.conversation.client), /^OpenSSH 1\d\./);
      assert.equal(explanation.findings[0]?.code, 'password_not_typed');
      // As Remote-SSH writes what its ssh prints.
      const logged = (await ssh(['-p', refusedPort, ...byKey()])).stderr
        .split('\n')
        .map((line) => `[10:11:12.345] > ${line}`)
        .join('\n');
      await assertExplains(logged, 'refused');
      const dropbear = await execute('dbclient', ['-p', refusedPort, target, 'true'], { input: '' });
      assert.equal((await assertExplains(dropbear, 'refused')).explanation.conversation.client, 'dropbear');
      const putty = (...flags: string[]) =>
        execute('plink', ['-v', '-batch', '-ssh', ...flags, target, 'true'], {
          environment: { HOME: folder },
        });
      const refused = await putty('-P', refusedPort).catch(() => undefined);
      if (refused === undefined) return context.diagnostic('without plink (package putty-tools)');
      await assertExplains(refused, 'refused');
      await assertExplains(await putty('-P', String(gated.ssh_port)), 'host_key_not_known');
      const hostKey = ['-hostkey', access.host_keys[0]?.fingerprint ?? ''];
      const wrong = await putty('-P', String(gated.ssh_port), ...hostKey, '-pw', 'wrong');
      await assertExplains(wrong, 'password_refused');
    });
  });

  describe('a start that fails', () => {
    const failed = async (name: string) => {
      const environment = failing.get(name);
      assert.ok(environment);
      const shown = await berth.until(environment.env_id, 'failed', 30_000);
      assert.ok(shown?.failure);
      const codes = shown.failure.findings.map(({ code }) => code);
      const timeline = (await berth.events(environment.env_id)).map(({ message }) => message);
      for (const { cause } of shown.failure.findings)
        assert.ok(
          timeline.some((line) => line.includes(cause)),
          timeline.join('\n'),
        );
      return { environment, failure: shown.failure, codes };
    };

    it('says with what its container ended, and that before it was removed', async () => {
      const { environment, codes, failure } = await failed('short');
      // Between two of its ends, or at the end of one: the engine starts it again and again.
      assert.match(codes.join(), /^container_(ended|restarts)$/);
      assert.equal(failure.findings[0]?.facts['exit_code'], 3);
      assert.match(String(failure.findings[0]?.cause), /the cellar is empty/);
      await assertFinds(environment, ['start_failed']);
      const hungry = await failed('hungry');
      assert.match(hungry.codes.join(), /^container_(out_of_memory|restarts)$/);
    });

    it('says that its image cannot be had, or that a data set is gone', async () => {
      const { environment, codes } = await failed('imageless');
      assert.deepEqual(codes, ['image_missing']);
      await assertFinds(environment, ['image_missing', 'start_failed']);
      assert.deepEqual((await failed('faceless')).codes, ['dataset_missing']);
    });

    it('says that the quota is reached, and that logins do not start it', async () => {
      const stop = await berth.createRunning({ name: 'stopped' });
      await berth.call('POST', pathOf(routes.environmentStop, { id: stop.env_id }));
      await berth.until(stop.env_id, 'stopped');
      assert.deepEqual(notWell(await ask(stop.env_id)), []);
      await patch(stop, { wake: false });
      await assertFinds(stop, ['stopped_and_stays']);
      const flags = [
        '-o',
        'StrictHostKeyChecking=no',
        '-p',
        String(stop.ssh_port),
        ...byKey(),
        '-b',
        newSource(),
      ];
      const answer = await assertExplains(await ssh(flags), 'berth_stopped');
      assert.equal(codeOf(answer, 'state'), 'stopped_and_stays');
      await patch(stop, { wake: true });
      const quota = pathOf(routes.quota, { id: String(stop.customer_id) });
      await berth.call('PUT', quota, { cpu: 2 });
      const { facts } = await assertFinds(stop, ['quota_reached']);
      assert.deepEqual([facts['limit'], facts['used'], facts['asked']], [2, 2, 1]);
      await berth.call('PUT', quota, { cpu: null });
      await berth.call('DELETE', pathOf(routes.environment, { id: stop.env_id }));
    });
  });

  describe('the ways there', () => {
    it('no gateway, and ports that others take meanwhile: programs and containers', async () => {
      const port = gated.ssh_port as number;
      await berth.closeGateway();
      const refused = await ssh([...ownPort(), ...byKey()]);
      const answer = await assertExplains(refused, 'refused');
      assert.deepEqual(notWell(answer.diagnosis as Diagnosis), [
        'gateway gateway_away',
        'own_port own_port_closed',
        'shared_port shared_port_closed',
      ]);
      const squatter = (at: number) =>
        new Background(process.execPath, [
          '-e',
          `process.title = 'squatter'; require('node:net').createServer((socket) => socket.end('hello\\n'))
            .listen(${at}, '0.0.0.0', () => console.log('there'))`,
        ]);
      const [own, shared] = [squatter(port), squatter(berth.sharedPort)];
      try {
        await Promise.all([own.says(/there/), shared.says(/there/)]);
        const { checks } = await ask(gated.env_id);
        const taken = checks.find(({ id }) => id === 'own_port');
        assert.equal(taken?.code, 'port_taken_by_program');
        assert.equal(taken.facts['process'], own.pid);
        assert.equal(taken.facts['program'], 'squatter');
        assert.equal(checks.find(({ id }) => id === 'shared_port')?.code, 'shared_port_taken_by_program');
        // The gateway finds its port taken, and the environment gets another.
        await shared.stop();
        berth.openGateway();
        await eventually(
          () => berth.show(gated.env_id),
          (environment) => environment?.ssh_port !== port,
          20_000,
        );
        const moved = await eventually(
          () => ask(gated.env_id),
          (diagnosis) =>
            diagnosis.checks.every(({ id, code }) => id !== 'own_port' || code === 'own_port_moved'),
        );
        assert.deepEqual(notWell(moved), ['own_port own_port_moved']);
        assert.equal(moved.checks.find(({ id }) => id === 'own_port')?.facts['old_port'], port);
      } finally {
        await Promise.all([own.stop(), shared.stop()]);
      }
      gated = { ...gated, ssh_port: (await berth.show(gated.env_id))?.ssh_port ?? null };
      const late = await ssh(['-o', 'StrictHostKeyChecking=no', ...ownPort(), ...byKey(), '-b', newSource()]);
      assert.equal(late.code, 0, late.stderr);
      await eventually(
        () => ask(gated.env_id),
        ({ healthy }) => healthy,
      );

      await berth.call('POST', pathOf(routes.environmentStop, { id: direct.env_id }));
      await berth.until(direct.env_id, 'stopped');
      await assertFinds(direct, ['stopped_and_direct']);
      const publisher = await execute('docker', [
        ...['run', '--rm', '--detach', '--name', 'berth-test-publisher', '--entrypoint', 'sleep'],
        ...['--publish', `${direct.ssh_port}:80`, await environmentImage(), '60'],
      ]);
      assert.equal(publisher.code, 0, publisher.stderr);
      try {
        const { checks } = await ask(direct.env_id);
        const taken = checks.find(({ id }) => id === 'own_port');
        assert.equal(taken?.code, 'port_taken_by_container');
        assert.equal(taken.facts['container'], 'berth-test-publisher');
      } finally {
        await execute('docker', ['rm', '--force', 'berth-test-publisher']);
      }
    });

    it('a name that leads nowhere, and one that leads elsewhere', async () => {
      const under = async (host: string) => {
        await berth.kill('SIGTERM');
        assert.ok(await berth.up({ environment: { BERTH_SSH_HOST: host } }));
        const { checks } = await ask(gated.env_id);
        return checks.find(({ id }) => id === 'name')?.code;
      };
      assert.equal(await under('198.51.100.9'), 'name_points_elsewhere');
      assert.match(String(await under('nowhere.invalid')), /^name_(has_no_address|server_silent)$/);
    });
  });
});

async function fingerprintOf(file: string): Promise<string> {
  const { stdout } = await execute('ssh-keygen', ['-l', '-f', `${file}.pub`]);
  return stdout.split(' ')[1] ?? '';
}
