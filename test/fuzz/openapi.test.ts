/**
 * The API against its own description: Schemathesis makes requests from it, fitting ones and others, and each answer
 * must be a documented one. No answer may be a server error.
 *
 * The server's rules, database and HTTP side are real; the runtime is in memory, since thousands of requests ask for
 * environments.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { routes } from '@berth/contract';
import { makeApp } from '../../packages/server/src/http/app.ts';
import type { App } from '../../packages/server/src/http/app.ts';
import { ControlPlane } from '../../packages/server/src/testing/control-plane.ts';
import { databases } from '../harness/databases.ts';
import { execute } from '../harness/ssh.ts';

const version = '4.32.5';
const folder = join(tmpdir(), `berth-schemathesis-${version}`);
const program = join(folder, 'bin', 'schemathesis');

/** Why it cannot be had; false when it is there. */
function ensureSchemathesis(): string | false {
  if (existsSync(program)) return false;
  const made = spawnSync('python3', ['-m', 'venv', folder], { encoding: 'utf8' });
  if (made.status !== 0) return 'needs Python 3 with venv (package python3-venv), for Schemathesis';
  const installed = spawnSync(
    join(folder, 'bin', 'pip'),
    ['install', '--quiet', `schemathesis==${version}`],
    { encoding: 'utf8' },
  );
  return installed.status === 0 ? false : 'needs Schemathesis (pip install schemathesis)';
}

const skip = ensureSchemathesis();

for (const database of databases) {
  describe(`the API's description, tried out on ${database.name}`, { skip: database.skip || skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let url: string;

    before(async () => {
      plane = await ControlPlane.open(database);
      app = await makeApp(plane.services);
      await app.listen({ host: '127.0.0.1', port: 0 });
      url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
    });

    after(async () => {
      await app?.close();
      await plane?.close();
    });

    // Rights do not depend on the database.
    for (const role of database.name === 'PGlite' ? (['admin', 'member'] as const) : (['admin'] as const)) {
      test(`gives ${role === 'admin' ? 'an administrator' : 'a member'} no answer that is not in it`, async (context) => {
        const { token } = await plane.account(`fuzz-${role}`, role);
        const seed = String(Math.floor(Math.random() * 2 ** 31));
        context.diagnostic(`--seed ${seed}`);
        const run = await execute(
          program,
          [
            'run',
            `${url}${routes.openapi}`,
            // It takes a file and no JSON, and its tests are its own.
            `--exclude-path=${routes.restore}`,
            `--header=Authorization: Bearer ${token}`,
            '--phases=examples,coverage,fuzzing',
            '--checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method,allow_header_conformance',
            '--max-examples=5',
            '--max-failures=20',
            '--continue-on-failure',
            '--suppress-health-check=all',
            '--warnings=off',
            // The event streams and logs that follow do not end by themselves.
            '--request-timeout=10',
            `--seed=${seed}`,
            '--no-color',
          ],
          { timeoutMs: 170_000, cwd: folder },
        );
        assert.equal(run.code, 0, `${run.stdout.slice(-6000)}\n${run.stderr.slice(-2000)}`);
        const generated = Number(/(\d+) generated/.exec(run.stdout)?.[1]);
        assert.ok(generated > 200, `${generated} requests`);
        context.diagnostic(`${generated} requests`);
      });
    }
  });
}
