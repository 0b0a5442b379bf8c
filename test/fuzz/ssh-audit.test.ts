/**
 * Our SSH server with its default algorithms as ssh-audit sees it: nothing that it calls a failure, and no warning but
 * that a key exchange does not hold against a quantum computer, which older clients have nothing better than.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateSigningKey, serverHostKey } from '@berth/ssh';
import { startGateway } from '../../packages/ssh/src/testing/gateway.ts';
import { execute } from '../harness/ssh.ts';

const version = '3.3.0';
const folder = join(tmpdir(), `berth-ssh-audit-${version}`);
const program = join(folder, 'bin', 'ssh-audit');

/** Why it cannot be had; false when it is there. */
function ensureSshAudit(): string | false {
  if (existsSync(program)) return false;
  const made = spawnSync('python3', ['-m', 'venv', folder], { encoding: 'utf8' });
  if (made.status !== 0) return 'needs Python 3 with venv (package python3-venv), for ssh-audit';
  const pip = join(folder, 'bin', 'pip');
  const installed = spawnSync(pip, ['install', '--quiet', `ssh-audit==${version}`], { encoding: 'utf8' });
  return installed.status === 0 ? false : 'needs ssh-audit (pip install ssh-audit)';
}

interface Finding {
  readonly algorithm: string;
  readonly notes?: { readonly fail?: readonly string[]; readonly warn?: readonly string[] };
}

type Report = Record<'kex' | 'key' | 'enc' | 'mac', readonly Finding[]> & {
  readonly cves: readonly unknown[];
  readonly compression: readonly string[];
};

test('ssh-audit finds nothing to fail in the server', { skip: ensureSshAudit() }, async () => {
  const keys = [
    await generateSigningKey('ssh-ed25519'),
    await generateSigningKey('ssh-rsa', { rsaBits: 3072 }),
  ];
  const gateway = await startGateway({
    hostKeys: keys.map((key) => serverHostKey(key)),
    upstream: { host: '127.0.0.1', port: 1, user: 'nobody', credentials: [], hostKey: () => undefined },
  });
  try {
    const run = await execute(program, ['--json', '--skip-rate-test', `127.0.0.1:${gateway.port}`], {
      timeoutMs: 60_000,
    });
    const report = JSON.parse(run.stdout) as Report;
    assert.deepEqual(report.cves, []);
    assert.deepEqual(report.compression, ['none']);
    for (const kind of ['kex', 'key', 'enc', 'mac'] as const) {
      assert.ok(report[kind].length > 0, `no ${kind}: ${run.stdout}`);
      for (const { algorithm, notes = {} } of report[kind]) {
        assert.deepEqual(notes.fail ?? [], [], algorithm);
        const warnings = (notes.warn ?? []).filter((note) => !/post-quantum/.test(note));
        assert.deepEqual(warnings, [], algorithm);
      }
    }
  } finally {
    await gateway.stop();
  }
});
