/**
 * Our SSH server with its default algorithms, and the gateway, as ssh-audit sees them: nothing that it calls a failure,
 * and no warning but that a key exchange does not hold against a quantum computer, which older clients have nothing
 * better than. The gateway's two last MACs are warned of too: libssh2 up to 1.10, and so curl, has no others.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { generateSigningKey, serverHostKey } from '@berth/ssh';
import { startGateway } from '../../packages/ssh/src/testing/gateway.ts';
import { Stage } from '../../packages/gateway/src/testing/stage.ts';
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

/** Asserts that there is nothing to fail, and returns the algorithms that are warned of for another reason than that. */
async function warnedOf(port: number): Promise<string[]> {
  const run = await execute(program, ['--json', '--skip-rate-test', `127.0.0.1:${port}`], {
    timeoutMs: 60_000,
  });
  const report = JSON.parse(run.stdout) as Report;
  assert.deepEqual(report.cves, []);
  assert.deepEqual(report.compression, ['none']);
  const warned = new Set<string>();
  for (const kind of ['kex', 'key', 'enc', 'mac'] as const) {
    assert.ok(report[kind].length > 0, `no ${kind}: ${run.stdout}`);
    for (const { algorithm, notes = {} } of report[kind]) {
      assert.deepEqual(notes.fail ?? [], [], algorithm);
      if ((notes.warn ?? []).some((note) => !/post-quantum/.test(note))) warned.add(algorithm);
    }
  }
  return [...warned];
}

describe('ssh-audit', { skip: ensureSshAudit() }, () => {
  test('finds nothing to fail in the server', async () => {
    const keys = [
      await generateSigningKey('ssh-ed25519'),
      await generateSigningKey('ssh-rsa', { rsaBits: 3072 }),
    ];
    const gateway = await startGateway({
      hostKeys: keys.map((key) => serverHostKey(key)),
      upstream: { host: '127.0.0.1', port: 1, user: 'nobody', credentials: [], hostKey: () => undefined },
    });
    try {
      assert.deepEqual(await warnedOf(gateway.port), []);
    } finally {
      await gateway.stop();
    }
  });

  test("finds nothing to fail at the gateway's ports", async () => {
    const stage = await Stage.start();
    try {
      for (const port of [stage.ownPort, stage.sharedPort])
        assert.deepEqual(await warnedOf(port), ['hmac-sha2-256', 'hmac-sha2-512']);
    } finally {
      await stage[Symbol.asyncDispose]();
    }
  });
});
