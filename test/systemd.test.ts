/** The units of deploy/systemd, read by systemd itself. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const units = ['berth-server.service', 'berth-gateway.service'];
const pathOf = (unit: string) => fileURLToPath(new URL(`../deploy/systemd/${unit}`, import.meta.url));
const noSystemd = spawnSync('systemd-analyze', ['--version']).status !== 0 && 'needs systemd-analyze';

test('systemd takes the units as they are', { skip: noSystemd }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-units-'));
  try {
    for (const unit of units) copyFileSync(pathOf(unit), join(folder, unit));
    const verify = () => {
      const { status, stdout, stderr } = spawnSync(
        'systemd-analyze',
        ['verify', '--man=no', ...units.map((unit) => join(folder, unit))],
        { encoding: 'utf8' },
      );
      // The program is installed on the machine that Berth runs on, not on this one.
      const lines = `${stdout}${stderr}`
        .split('\n')
        .filter((line) => line.includes(folder) || /berth-/.test(line));
      return { status, lines: lines.filter((line) => !/\/opt\/berth\/\S+ is not executable/.test(line)) };
    };
    assert.deepEqual(verify().lines, []);
    const [unit = ''] = units;
    writeFileSync(
      join(folder, unit),
      readFileSync(pathOf(unit), 'utf8').replace('KillMode=mixed', 'KillMod=mixed'),
    );
    assert.match(verify().lines.join('\n'), /KillMod/, 'a mistake would be seen');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('the gateway has no right but to open ports, and both units give up none of their protection', () => {
  const settings = (unit: string) =>
    readFileSync(pathOf(unit), 'utf8')
      .split('\n')
      .filter((line) => /^[A-Z]\w+=/.test(line));
  for (const unit of units) {
    for (const line of ['NoNewPrivileges=yes', 'ProtectSystem=strict', 'Restart=always', 'KillMode=mixed'])
      assert.ok(settings(unit).includes(line), `${unit}: ${line}`);
  }
  const gateway = settings('berth-gateway.service');
  for (const line of [
    'User=berth-gateway',
    'CapabilityBoundingSet=CAP_NET_BIND_SERVICE',
    'ExecReload=/bin/kill -HUP $MAINPID',
  ])
    assert.ok(gateway.includes(line), line);
});
