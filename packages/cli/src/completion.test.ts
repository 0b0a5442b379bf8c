/** Completion, as the shells of this machine ask for it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fullServer } from './testing/full-server.ts';
import { berth, runProgram } from './testing/run.ts';
import { makeEnvironment, problem } from './testing/server-double.ts';
import type { ServerDouble } from './testing/server-double.ts';

const entry = fileURLToPath(new URL('../bin/berth.mjs', import.meta.url));

async function withEnvironments(): Promise<ServerDouble> {
  const server = await fullServer();
  server.hold(
    makeEnvironment('demo', 'running'),
    makeEnvironment('My Env; rm -rf', 'stopped', { env_id: 'my-env-1234' }),
  );
  return server;
}

test('commands, options, their values and names of things are completed', async (t) => {
  await using server = await withEnvironments();
  const cases: [string[], string[]][] = [
    [['rest'], ['restore', 'restart']],
    [['images', 'ch'], ['check']],
    [
      ['create', 'x', '--own-port', ''],
      ['auto', 'yes', 'no'],
    ],
    [['list', '--sort', '-n'], ['-name']],
    [['create', 'x', '--gp'], ['--gpu']],
    [
      ['show', ''],
      ['demo', 'my-env-1234'],
    ],
    [['--json', 'show', 'my'], ['my-env-1234']],
    [['ssh', '--password', 'd'], ['demo']],
    [['images', 'show', ''], ['default']],
    [['datasets', 'remove', 'f'], ['faces']],
    [['list', '--customer', ''], ['main']],
    [
      ['open', 'j'],
      ['jetbrains', 'jupyter'],
    ],
    [['open', 'vscode', 'de'], ['demo']],
    [['create', ''], []],
    [['nothing', 'like', 'that', ''], []],
    [['show', '--data-dir', '/nonexistent', ''], []],
  ];
  for (const [words, expected] of cases) {
    await t.test(words.join(' '), async () => {
      const result = await berth(['__complete', 'bash', '--', ...words], { server });
      assert.deepEqual([result.exitCode, result.stderr], [0, '']);
      assert.deepEqual(result.stdout.split('\n').filter(Boolean), expected);
    });
  }
});

test('a server that refuses or hangs is not complained about, and not waited for', async () => {
  await using server = await withEnvironments();
  server.answers.set('GET /api/environments', problem('internal', 'It broke.'));
  const refused = await berth(['__complete', 'fish', '--', 'show', ''], { server });
  assert.deepEqual(refused, { exitCode: 0, stdout: '', stderr: '' });
  server.answers.set('GET /api/environments', () => {});
  const askedMs = Date.now();
  const hung = await berth(['__complete', 'zsh', '--', 'show', ''], { server });
  assert.deepEqual(hung, { exitCode: 0, stdout: '', stderr: '' });
  // Any other request would wait for half a minute.
  assert.ok(Date.now() - askedMs < 15_000);
});

/** The folder where `berth` is a program of this name. */
function pathWithBerth(server: ServerDouble): string {
  const program = join(server.folder, 'berth');
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${entry}' "$@"\n`);
  chmodSync(program, 0o755);
  return [server.folder, process.env['PATH']].join(delimiter);
}

/** How each shell is asked what it would offer for `berth show d` and `berth im`. */
const shells = {
  bash: `source <(berth completion bash)
for line in 'show d' im; do
  COMP_WORDS=(berth $line); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _berth; printf '%s\\n' "\${COMPREPLY[@]}"
done`,
  zsh: `compdef() { :; }; _describe() { print -l -- \${\${(P)2}%%:*} }; _files() { :; }
source <(berth completion zsh)
words=(berth show d); CURRENT=3; _berth; words=(berth im); CURRENT=2; _berth`,
  fish: `berth completion fish | source
complete -C 'berth show d' | string split -f 1 \\t; complete -C 'berth im' | string split -f 1 \\t`,
};

for (const [shell, script] of Object.entries(shells)) {
  const isThere = spawnSync(shell, ['-c', 'true']).error === undefined;
  test(`${shell} offers them`, { skip: isThere ? false : `there is no ${shell}` }, async () => {
    await using server = await withEnvironments();
    const result = await runProgram(shell, ['-c', script], {
      ...process.env,
      PATH: pathWithBerth(server),
      BERTH_DATA_DIR: server.folder,
    });
    assert.equal(result.stderr, '');
    assert.deepEqual(result.stdout.trim().split('\n'), ['demo', 'images']);
  });
}
