// Makes sure that the dependencies are there, among them the Node that everything else runs on.
// Plain JavaScript for Node >= 20: it runs before anything is installed.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The path of the project's own Node. Installs the dependencies where they are missing or out of date. */
export function prepare() {
  if (Number(process.versions.node.split('.')[0]) < 20) {
    fail(`Node ${process.versions.node} is too old to install Berth. Install Node 20 or later.`);
  }
  if (!upToDate()) {
    process.stderr.write('Installing the dependencies with npm ...\n');
    const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm'];
    const result = spawnSync(npm[0], [...npm.slice(1), 'ci', '--loglevel=error'], {
      cwd: root,
      stdio: ['ignore', 2, 2],
      // A script that npm runs may be seen by a nested npm as its own configuration.
      env: Object.fromEntries(
        Object.entries(process.env).filter(([name]) => !/^npm_(lifecycle|package)_/.test(name)),
      ),
    });
    if (result.error || result.status !== 0)
      fail('npm could not install the dependencies; what it said is above.');
  }
  const node = join(root, 'node_modules', 'node', 'bin', 'node');
  if (!existsSync(node))
    fail('The package "node" brought no binary for this machine. Remove node_modules and try again.');
  // Installing has built it; this is for a source that changed since.
  spawnSync(node, [join(root, 'packages/ssh/native/build.ts')], { stdio: ['ignore', 2, 2] });
  return node;
}

/** npm writes what it installed into a file of its own; it must hold what the lock file asks for. */
function upToDate() {
  try {
    const read = (file) => JSON.parse(readFileSync(join(root, file), 'utf8')).packages;
    const wanted = Object.entries(read('package-lock.json')).filter(
      ([path, entry]) => path !== '' && !entry.optional,
    );
    const installed = read('node_modules/.package-lock.json');
    return wanted.every(([path, entry]) => installed[path] && installed[path].version === entry.version);
  } catch {
    return false;
  }
}

/** Runs a program of the project on the project's Node, and ends as it ends. */
export function run(...commandLine) {
  const node = prepare();
  const child = spawn(node, commandLine, {
    stdio: 'inherit',
    env: { ...process.env, PATH: `${join(root, 'node_modules', '.bin')}:${process.env.PATH}` },
  });
  // A program that gets Ctrl-C from the terminal as well counts the two as one.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

function fail(sentence) {
  process.stderr.write(`berth: ${sentence}\n`);
  process.exit(1);
}
