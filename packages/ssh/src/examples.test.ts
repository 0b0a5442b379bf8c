// The programs in packages/ssh/examples do what docs/ssh.md says of them, and the page shows them as they are.

import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { buffer, text } from 'node:stream/consumers';
import { after, afterEach, before, describe, test } from 'node:test';
import {
  ChannelError,
  ChannelOpenError,
  type SigningKey,
  type SigningKeyType,
  connect,
  formatPrivateKey,
  generateSigningKey,
  knownHostsLine,
} from './index.ts';

const examples = join(import.meta.dirname, '../examples');
const folder = mkdtempSync(join(tmpdir(), 'examples-test-'));
const children: ChildProcessWithoutNullStreams[] = [];
let keys: Record<'host' | 'relay' | 'person' | 'between', SigningKey>;

before(async () => {
  keys = {
    host: await makeKey('host'),
    relay: await makeKey('relay'),
    person: await makeKey('person'),
    between: await makeKey('between'),
  };
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) {
      await new Promise((resolve) => child.once('exit', resolve));
    }
  }
});

after(() => rmSync(folder, { recursive: true }));

function path(name: string): string {
  return join(folder, name);
}

async function makeKey(name: string, type: SigningKeyType = 'ssh-ed25519'): Promise<SigningKey> {
  const key = await generateSigningKey(type);
  writeFileSync(path(name), formatPrivateKey(key.keyObject), { mode: 0o600 });
  writeFileSync(path(`${name}.pub`), `${lineOf(key)}\n`);
  return key;
}

function lineOf(key: SigningKey): string {
  return `${key.type} ${key.publicKey.blob.toString('base64')}`;
}

/** Starts an example that listens, and resolves with its port. */
async function start(name: string, ...parameters: string[]): Promise<number> {
  const child = run(name, ...parameters);
  child.stderr.pipe(process.stderr);
  for await (const line of createInterface(child.stdout)) {
    const [, port] = /port (\d+)/.exec(line) ?? [];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`${name} ended without listening`);
}

function run(name: string, ...parameters: string[]): ChildProcessWithoutNullStreams {
  const child = spawn(process.execPath, [join(examples, name), ...parameters]);
  children.push(child);
  return child;
}

/** What run-command.ts prints, says of errors and ends with. */
async function runCommand(port: number, hostKey: SigningKey, command: string) {
  writeFileSync(path('known_hosts'), `${knownHostsLine('127.0.0.1', port, lineOf(hostKey))}\n`);
  const files = [path('person'), path('known_hosts')];
  const child = run('run-command.ts', 'somebody', '127.0.0.1', String(port), ...files, command);
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  child.stdin.end();
  const [output, errors, status] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { output, errors, status };
}

async function connectTo(port: number, key: SigningKey) {
  const credentials = [{ method: 'publickey', key }] as const;
  return connect({ host: '127.0.0.1', port, user: 'somebody', credentials, hostKey: () => undefined });
}

describe('the example of', { timeout: 60_000 }, () => {
  test('a server and a client: the command comes back, and the client knows its server', async () => {
    const port = await start('echo-server.ts', path('host'), path('person.pub'));
    assert.deepEqual(await runCommand(port, keys.host, 'some words'), {
      ...{ output: 'some words', errors: '', status: 0 },
    });
    const { output, errors, status } = await runCommand(port, keys.relay, 'some words');
    assert.match(errors, /host key of 127\.0\.0\.1 is changed/);
    assert.deepEqual({ output, status }, { output: '', status: 1 });
  });

  test('a server: what is typed into its shell comes back, to its key alone', async () => {
    const port = await start('echo-server.ts', path('host'), path('person.pub'));
    const connection = await connectTo(port, keys.person);
    const session = await connection.session();
    await session.shell();
    session.channel.end('typed');
    assert.equal((await buffer(session.channel)).toString(), 'typed');
    assert.deepEqual(await session.exited, { status: 0 });
    connection.disconnect('Done.');
    await assert.rejects(connectTo(port, keys.between), { name: 'AuthenticationError' });
  });

  test('a relay: sessions pass, and what its policy forbids does not', async () => {
    const upstreamPort = await start('echo-server.ts', path('host'), path('between.pub'));
    const port = await start(
      'relay.ts',
      path('relay'),
      path('person.pub'),
      String(upstreamPort),
      ...[path('between'), path('host.pub')],
    );
    assert.deepEqual(await runCommand(port, keys.relay, 'some words'), {
      ...{ output: 'some words', errors: '', status: 0 },
    });
    const connection = await connectTo(port, keys.person);
    const away = { host: '127.0.0.1', port: 1, originHost: '127.0.0.1', originPort: 1 };
    await assert.rejects(connection.open({ type: 'direct-tcpip', ...away }), ChannelOpenError);
    await assert.rejects(connection.listen({ host: '127.0.0.1', port: 0 }), ChannelError);
    const session = await connection.session();
    await session.exec('words', { agent: true });
    assert.deepEqual(session.refused, ['agent']);
    connection.disconnect('Done.');
  });
});

const docs = join(import.meta.dirname, '../../../docs');

describe('docs/ssh.md', () => {
  const page = readFileSync(join(docs, 'ssh.md'), 'utf8');

  test('shows the examples as they are', () => {
    for (const name of ['echo-server.ts', 'run-command.ts', 'relay.ts']) {
      const source = readFileSync(join(examples, name), 'utf8');
      assert.ok(page.includes(`\`\`\`ts\n${source}\`\`\``), `${name} differs`);
    }
  });

  test('links to files that are there', () => {
    const links = [...page.matchAll(/\]\(([^)#:]+)\)/g)].map(([, target = '']) => target);
    assert.ok(links.length > 0);
    for (const link of links) assert.ok(existsSync(join(docs, link)), `no ${link}`);
  });

  test('names files and folders of the package that are there', () => {
    const names = [...page.matchAll(/`((?:[a-z-]+\/)+[a-z-]*(?:\.test)?(?:\.ts|\.c)?)`/g)].map(
      ([, name = '']) => name,
    );
    assert.ok(names.length > 20);
    const places = [join(import.meta.dirname), dirname(import.meta.dirname), dirname(docs)];
    for (const name of names) {
      assert.ok(
        places.some((place) => existsSync(join(place, name))),
        `no ${name}`,
      );
    }
  });
});
