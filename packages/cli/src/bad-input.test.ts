/** Wrong usage: nothing is asked of the server, the exit code is 2, and one line names what is wrong and the cure. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fullServer } from './testing/full-server.ts';
import { berth, runProgram } from './testing/run.ts';

const entry = fileURLToPath(new URL('../bin/berth.mjs', import.meta.url));

const cases: [args: string[], said: RegExp][] = [
  [['create', 'a', '--cpu', 'NaN'], /--cpu .*NaN.*0\.1 to 1024/],
  [['create', 'a', '--cpu', '-1'], /--cpu .*-1.*0\.1 to 1024/],
  [['create', 'a', '--cpu', '1e9'], /--cpu .*1e9/],
  [['create', 'a', '--cpu', '99999999999999999999'], /--cpu/],
  [['create', 'a', '--cpu', ''], /--cpu .*''/],
  [['create', 'a', '--memory', '16 G'], /--memory .*16 G.*512Mi/],
  [['create', 'a', '--memory', '0'], /--memory .*'0'/],
  [['create', 'a', '--memory', '１６'], /--memory .*１６/],
  [['create', 'a', '--gpu', '-1'], /--gpu/],
  [['create', 'a', '--gpu', '65'], /--gpu .*65.*0 to 64/],
  [['create', 'a', '--storage', 'infinite'], /--storage .*infinite/],
  [['create', 'a', '--own-port', '30001'], /--own-port .*30001.*auto, yes, no/],
  [['create', 'a', '--exposure', 'nodeport'], /--exposure .*nodeport.*gateway, direct/],
  [['create', 'a', '--forwarding', 'local,ftp'], /--forwarding .*"ftp" is none.*x11, sftp.*or none/],
  [['create', 'a', '--forwarding', ''], /--forwarding .*"" is none/],
  [['create', 'a', '--no-forwarding', 'all'], /--no-forwarding .*"all" is none/],
  [['create', 'a', '--password-login', 'no'], /--password-login .*'no'.*Allowed: on, off/],
  [['set', 'demo', '--wake', 'true'], /--wake .*'true'.*Allowed: on, off/],
  [['customers', 'set', 'main'], /Nothing is asked to be changed.*berth customers set --help/],
  [['customers', 'set', 'main', '--password-login', '0'], /--password-login .*Allowed: on, off/],
  [['allowlist', 'add', 'office'], /The network is "office", which is no network.*203\.0\.113\.0\/24/],
  [
    ['allowlist', 'add', '203.0.113.7/24'],
    /"203\.0\.113\.7\/24", an address within a network\. Write 203\.0\.113\.0\/24 for the network/,
  ],
  [['allowlist', 'remove', '203.0.113.0/33'], /The network is "203\.0\.113\.0\/33"/],
  [['allowlist', 'add'], /missing required argument 'network'/],
  [['firewall', 'print'], /No source is named.*0\.0\.0\.0\/0/],
  [['firewall', 'print', '--source', '10.0.0.1/8'], /--source is "10\.0\.0\.1\/8".*Write 10\.0\.0\.0\/8/],
  [['firewall', 'print', '--source', '::; drop table inet x'], /--source is ".+", which is no network/],
  [['firewall', 'apply', '--remove', '--source', '::1'], /--remove and --source say two things/],
  [['create', 'a', '--env', 'A'], /--env is no variable.*NAME=VALUE/],
  [['create', 'a', '--env', '=x'], /--env is no variable \(its name is ""\)/],
  [['create', 'a', '--env', 'A-B=x'], /its name is "A-B"/],
  [['create', 'a', '--env-from', '/nonexistent'], /--env-from \/nonexistent cannot be read \(ENOENT\)/],
  [['create', 'a', '--unknown'], /unknown option '--unknown'.*berth create --help/],
  [['create', 'a', 'b'], /too many arguments/],
  [['create'], /missing required argument 'name'/],
  [['list', '--status', 'RUNNING'], /--status .*RUNNING.*creating, running/],
  [['list', '--sort', 'name; drop table'], /--sort .*drop table.*created_at/],
  [['list', '--limit', '0'], /--limit .*1 to 1000000/],
  [['list', '--limit', '1.5'], /--limit .*1\.5/],
  [['list', '-o', 'xml'], /--output.*xml.*table, json, yaml, name/],
  [['list', '--json', '-o', 'yaml'], /--json and -o yaml ask for two formats/],
  [['whoami', 'x'], /too many arguments/],
  [['status', '-o', 'name'], /--output.*name.*table, json, yaml\./],
  [['set', 'demo'], /Nothing is asked to be changed.*berth set --help/],
  [['images', 'set', 'default'], /Nothing is asked to be changed/],
  [['datasets', 'set', 'faces'], /Nothing is asked to be changed/],
  [['quotas', 'set', 'main'], /Nothing is asked to be changed/],
  [['accounts', 'set', 'alice'], /Nothing is asked to be changed/],
  [['quotas', 'set', 'main', '--cpu', '-2'], /--cpu .*-2.*or none for no limit/],
  [['quotas', 'set', 'main', '--environments', 'many'], /--environments .*many.*or none/],
  [['quotas', 'set', 'main', '--memory', 'NaN'], /--memory .*NaN.*or none/],
  [['tokens', 'add', 'ci', '--expires', '0'], /--expires .*'0'.*days from 1 to 3650, or never/],
  [['tokens', 'add', 'ci', '--scope', 'root'], /--scope .*root.*read, write, admin/],
  [['accounts', 'add', 'bob', '--role', 'root'], /--role .*root.*admin, member/],
  [['accounts', 'password'], /Name the account/],
  [['ports', 'list', '--port', '70000'], /--port .*70000.*1 to 65535/],
  [['audit', 'list', '--since', 'yesterday'], /--since .*yesterday.*7d/],
  [['audit', 'list', '--since', '2026-13-45'], /--since .*2026-13-45/],
  [['audit', 'list', '--until', "' or 1=1"], /--until .*or 1=1/],
  [['audit', 'verify', '--from', 'abc'], /--from .*abc.*64/],
  [['cp', 'a', 'b'], /a b does not lead from this machine to an environment/],
  [['cp', 'demo:a'], /does not lead/],
  [['cp', 'demo:a', 'b:c', '.'], /One copy is from or to one environment.*demo, b/],
  [['port-forward', 'demo', '0'], /The port is "0".*1 to 65535/],
  [['port-forward', 'demo', '80:$(id)'], /The port is "80:\$\(id\)"/],
  [['port-forward', 'demo'], /missing required argument 'ports'/],
  [['open', 'emacs', 'demo'], /emacs.*vscode, jetbrains, jupyter, console/],
  [['open', 'vscode'], /needs an environment/],
  [['open', 'vscode', 'demo', '--path', 'code'], /--path is "code".*absolute/],
  [['config-ssh', '--config', '/tmp'], /--config names \/tmp, which is a folder/],
  [['completion', 'powershell'], /powershell.*bash, zsh, fish/],
  [['logs', 'demo', '--tail', '-1'], /--tail .*-1.*0 to 10000/],
  [['profiles', 'use'], /missing required argument/],
  [['images', 'show', '..'], /\.\. is no name/],
  [['images', 'lst'], /unknown command 'lst' \(Did you mean list\?\).*berth images --help/],
];

test('wrong usage is named in one line with its cure, and asks nothing', { concurrency: 3 }, async (t) => {
  await using server = await fullServer();
  const refuses = ([args, said]: (typeof cases)[number]) =>
    t.test(args.join(' '), async () => {
      const { exitCode, stdout, stderr } = await berth(args, { server });
      assert.equal(exitCode, 2, stdout + stderr);
      assert.match(stderr, said);
      assert.equal(stderr.trimEnd().split('\n').length, 1);
    });
  await Promise.all(cases.map(refuses));
  assert.deepEqual(
    server.asked.filter(({ method }) => method !== 'GET'),
    [],
  );
});

const removals = [
  ['customers', 'remove', 'main'],
  ['accounts', 'remove', 'alice'],
  ['tokens', 'remove', 'ci'],
  ['images', 'remove', 'default'],
  ['datasets', 'remove', 'faces'],
  ['storage', 'remove', 'old-1234'],
];

test('nothing is removed where nobody can be asked and --yes is missing', async (t) => {
  await using server = await fullServer();
  for (const args of removals) {
    await t.test(args.join(' '), async () => {
      const result = await berth(args, { server, stdin: `${args[2]}\n` });
      assert.equal(result.exitCode, 2);
      assert.match(result.stderr, /was not deleted: nobody is there to confirm[^\n]+ --yes\n$/);
    });
  }
  assert.ok(server.asked.every(({ method }) => method === 'GET'));
});

test('on a terminal the name has to be typed, and another one removes nothing', async (t) => {
  if (spawnSync('script', ['--version']).error !== undefined) {
    t.skip('there is no script, which makes a terminal');
    return;
  }
  await using server = await fullServer();
  const typed = (answer: string) =>
    runProgram(
      'sh',
      [
        '-c',
        `printf '%s\\n' "$1" | script -qec "'${process.execPath}' '${entry}' customers remove main" /dev/null`,
        'sh',
        answer,
      ],
      { ...process.env, BERTH_DATA_DIR: server.folder },
    );
  const wrong = await typed('maim');
  assert.match(wrong.stdout, /This deletes the customer main \(1\)\. Type "main" to go on: /);
  assert.match(wrong.stdout, /main was not deleted: that is not its name\./);
  assert.ok(server.asked.every(({ method }) => method === 'GET'));
  const right = await typed('main');
  assert.match(right.stdout, /The customer main is removed\./);
  assert.equal(server.asked.at(-1)?.method, 'DELETE');
});

/** What a hostile name could do in a path or a shell. */
const names = [
  '../customers',
  'a/b',
  '%2e%2e',
  "'; drop table",
  '$(id)',
  '`id`',
  '\u202eexe',
  '日本',
  'a?b#c',
];

test('a name is one segment of a path, whatever is in it', async (t) => {
  await using server = await fullServer();
  for (const name of names) {
    await t.test(JSON.stringify(name), async () => {
      const before = server.asked.length;
      const result = await berth(['images', 'show', name], { server });
      assert.equal(result.exitCode, 4, result.stderr);
      assert.equal(result.stdout, '');
      for (const { path } of server.asked.slice(before)) assert.match(path, /^\/api\/images\/[^/?#]+$/);
    });
  }
});
