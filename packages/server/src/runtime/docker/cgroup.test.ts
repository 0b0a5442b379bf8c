import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cgroupMounts, readCgroup } from './cgroup.ts';

describe('a control group', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'berth-cgroup-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const write = (name: string, files: Record<string, string>) => {
    mkdirSync(join(folder, name), { recursive: true });
    for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, name, file), text);
  };

  test('of version 2 has all in one place', () => {
    const mounts = cgroupMounts(
      [
        '22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw',
        `30 23 0:26 / ${folder}/v2 rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot`,
      ].join('\n'),
    );
    write('v2/system.slice/docker-3cac.scope', {
      'cpu.stat': 'usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 0\n',
      'memory.current': '104857600\n',
      'memory.stat': 'anon 1\nfile 2\nactive_file 3\ninactive_file 4857600\nslab 1\n',
    });
    assert.deepEqual(readCgroup(mounts, '0::/system.slice/docker-3cac.scope\n'), {
      cpuSeconds: 2.5,
      memoryBytes: 100_000_000,
    });
  });

  test('of version 1 has each controller in a place of its own, also beside version 2', () => {
    const mounts = cgroupMounts(
      [
        `33 31 0:30 / ${folder}/cpu,cpuacct rw,relatime shared:12 - cgroup cgroup rw,cpu,cpuacct`,
        `35 31 0:32 / ${folder}/memory rw,relatime - cgroup cgroup rw,memory`,
        `41 31 0:38 / ${folder}/unified rw,relatime - cgroup2 cgroup2 rw`,
      ].join('\n'),
    );
    write('cpu,cpuacct/docker/3cac', { 'cpuacct.usage': '1500000000\n' });
    write('memory/docker/3cac', {
      'memory.usage_in_bytes': '5000\n',
      'memory.stat': 'cache 1\ninactive_file 7\ntotal_cache 1\ntotal_inactive_file 1000\n',
    });
    const membership = '5:memory:/docker/3cac\n4:cpu,cpuacct:/docker/3cac\n0::/docker/3cac\n';
    assert.deepEqual(readCgroup(mounts, membership), { cpuSeconds: 1.5, memoryBytes: 4000 });
  });

  test('that cannot be seen from here, or says something else, is an error', () => {
    const whole = cgroupMounts(`30 23 0:26 / ${folder}/v2 rw - cgroup2 cgroup2 rw`);
    assert.throws(() => readCgroup(whole, '0::/elsewhere\n'), /ENOENT/);
    const part = cgroupMounts(`30 23 0:26 /docker/3cac ${folder}/v2 rw - cgroup2 cgroup2 rw`);
    assert.equal(part.size, 0, 'a mount of a part of the hierarchy does not lead by its paths');
    write('v2/strange', { 'cpu.stat': 'user_usec 1\n', 'memory.current': 'max\n', 'memory.stat': '' });
    assert.throws(() => readCgroup(whole, '0::/strange\n'), /not as cgroups\(7\) says/);
  });

  test("of this very process is read from this kernel's files", () => {
    const mounts = cgroupMounts(readFileSync('/proc/self/mountinfo', 'utf8'));
    const membership = readFileSync('/proc/self/cgroup', 'utf8');
    const first = readCgroup(mounts, membership);
    const until = Date.now() + 50;
    while (Date.now() < until);
    const second = readCgroup(mounts, membership);
    assert.ok(second.cpuSeconds - first.cpuSeconds > 0.02, 'it has worked for 50 ms');
    assert.ok(second.memoryBytes > 1024 ** 2);
  });
});
