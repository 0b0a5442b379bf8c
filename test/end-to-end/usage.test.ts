/**
 * What environments use, measured on real containers that are made to use it: by a server on Docker's machine, which reads
 * the kernel's own files, and by one that cannot see these and asks the engine.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { CreatedEnvironment, RunningUsagePage, Usage } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { TestBerth, docker, skipWithoutDocker } from '../harness/berth.ts';
import { Login, eventually } from '../harness/ssh.ts';

const mebibyte = 1024 ** 2;
/** Of a processor. */
const seconds = 6;
/** Without the kernel's files, as where Docker is on another machine. */
const blind = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"', 'sh'];

// Beside each other: most of the time is spent waiting for the next measurement.
describe('usage', { concurrency: true }, () => {
  for (const { where, launcher } of [
    { where: "on Docker's machine", launcher: [] },
    { where: 'away from the files of the kernel', launcher: blind },
  ]) {
    const cannot =
      launcher.length > 0 && process.getuid?.() !== 0 ? 'needs root, for a mount of its own' : false;
    describe(`by a server ${where}`, { skip: skipWithoutDocker || cannot, concurrency: false }, () => {
      let berth: TestBerth;
      let environment: CreatedEnvironment;
      before(async () => {
        berth = await TestBerth.start({ launcher });
        environment = await berth.createRunning({ name: 'busy', resources: { cpu: 0.5, memory: 0.5 } });
      });
      after(() => berth.remove());

      const usage = async (range = 'hour') => {
        const path = `${pathOf(routes.environmentUsage, { id: environment.env_id })}?range=${range}`;
        return (await berth.call<Usage>('GET', path)).body;
      };
      const until = (holds: (found: Usage) => boolean, withinMs = 200_000) =>
        eventually(usage, holds, withinMs, 500);
      /** In its container, until that stops. */
      const run = async (script: string) => {
        const container = docker.getContainer(environment.env_id);
        const execution = await container.exec({ Cmd: ['sh', '-c', script], User: '1000:1000' });
        await execution.start({ Detach: true });
      };

      test('tells of processor, memory, network and disk what its processes use', async () => {
        await run('head -c 30M /dev/urandom > /gemini/code/file');
        const quiet = await until(({ live }) => live !== null);
        assert.deepEqual(quiet.limits, {
          cpu_cores: 0.5,
          memory_bytes: 512 * mebibyte,
          gpus: 0,
          disk_bytes: quiet.limits.disk_bytes,
        });
        assert.equal(quiet.live?.gpu_share, null);

        // Memory that is held, and so many seconds of a processor, however long these take.
        await run(
          `python3 -c 'import time\nheld = bytearray(200 * 1024 * 1024)\nwhile time.process_time() < ${seconds}: pass\ntime.sleep(3600)'`,
        );
        const busy = await until(({ series }) => sumOf(series.cpu_cores, series.at) > seconds - 0.3);
        const cpuSeconds = sumOf(busy.series.cpu_cores, busy.series.at);
        assert.ok(cpuSeconds < seconds + 0.7, `${cpuSeconds} s`);
        assert.ok(Math.max(...busy.series.cpu_cores.map((cores) => cores ?? 0)) < 0.6, 'within its limit');
        assert.ok(busy.live && Math.abs(busy.live.cpu_share * 0.5 - busy.live.cpu_cores) < 1e-9);
        assert.ok(busy.live.memory_bytes > 190 * mebibyte && busy.live.memory_bytes < 260 * mebibyte);
        assert.ok(Math.abs(busy.live.memory_share * 512 * mebibyte - busy.live.memory_bytes) < 1);

        const login = new Login(await berth.ssh(environment.env_id));
        try {
          const { stdout } = await login.ssh('head -c 6M /dev/zero | tr "\\0" x');
          assert.equal(stdout.length, 6 * mebibyte);
        } finally {
          login.remove();
        }
        const talked = await until(({ series }) => sumOf(series.network_out_bytes, series.at) > 6 * mebibyte);
        assert.ok(sumOf(talked.series.network_in_bytes, talked.series.at) < 3 * mebibyte);

        const counted = await until(({ live }) => (live?.disk_bytes ?? null) !== null);
        assert.ok((counted.live?.disk_bytes ?? 0) >= 30 * mebibyte, String(counted.live?.disk_bytes));
        assert.ok((counted.live?.disk_bytes ?? 0) < 60 * mebibyte, String(counted.live?.disk_bytes));
        const { body } = await berth.call<RunningUsagePage>('GET', routes.usage);
        assert.deepEqual(
          body.items.map(({ env_id }) => env_id),
          [environment.env_id],
        );
      });

      if (launcher.length === 0)
        test('tells after a new start of the server what was before, and none when it is stopped', async () => {
          await until(({ series }) => series.at.length > 7);
          await berth.kill('SIGTERM');
          await berth.up();
          const { series } = await usage();
          assert.ok(series.memory_bytes.some((bytes) => (bytes ?? 0) > 190 * mebibyte));
          assert.ok((await usage('day')).series.at.length > 0);
          await berth.call('POST', pathOf(routes.environmentStop, { id: environment.env_id }));
          await berth.until(environment.env_id, 'stopped');
          await until(({ live }) => live === null);
          const { body } = await berth.call<RunningUsagePage>('GET', routes.usage);
          assert.deepEqual(body.items, []);
        });
    });
  }
});

/** Bytes of a curve of bytes a second. */
function sumOf(column: (number | null)[] | null, at: number[]): number {
  return (column ?? []).reduce<number>(
    (sum, value, index) => sum + (value ?? 0) * ((at[index] ?? 0) - (at[index - 1] ?? (at[index] ?? 0) - 10)),
    0,
  );
}
