// What the process stands on, and the one thing beside packets that the addon does.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { implementation, packetProtection, quickAck } from './implementation.ts';
import { packetAlgorithm } from './packet-algorithms.ts';
import { Packets } from './packets.ts';

test('protects packets with what it says it does', () => {
  const algorithm = packetAlgorithm('aes128-gcm@openssh.com');
  const keys = { encryptionKey: Buffer.alloc(16), iv: Buffer.alloc(12), macKey: Buffer.alloc(0) };
  const bytes = packetProtection.createProtector(algorithm, keys).sealOne(Buffer.from('text'));
  const opener = packetProtection.createOpener(algorithm, keys);
  const packets = new Packets(1);
  assert.equal(opener.open(bytes, 0, bytes.length, packets), bytes.length);
  assert.equal(packets.payload(bytes, 0).toString(), 'text');
  assert.equal(opener.constructor.name, implementation().name === 'addon' ? 'NativeOpener' : 'NodeOpener');
});

/** Runs build.ts in a copy of native/, and says what is loaded from there afterwards: its functions, or why not. */
class Copy {
  readonly #folder = mkdtempSync(join(tmpdir(), 'addon-test-'));

  constructor() {
    const native = join(import.meta.dirname, '../../native');
    for (const name of ['addon.ts', 'build.ts', 'packet-protection.c']) {
      cpSync(join(native, name), join(this.#folder, name));
    }
  }

  build(path: string): string {
    this.#run(path, 'build.ts');
    return this.load();
  }

  load(): string {
    const program = `import { loadAddon } from './addon.ts';
      const addon = loadAddon();
      process.stdout.write(typeof addon === 'string' ? addon : Object.keys(addon).join(' '));`;
    return this.#run('', '--input-type=module', '--eval', program);
  }

  changeSource(): void {
    appendFileSync(join(this.#folder, 'packet-protection.c'), '// changed\n');
  }

  breakSource(): void {
    appendFileSync(join(this.#folder, 'packet-protection.c'), '#error broken\n');
  }

  get built(): string[] {
    return readdirSync(join(this.#folder, 'build'));
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }

  #run(path: string, ...parameters: string[]): string {
    const options = { cwd: this.#folder, env: { PATH: path }, encoding: 'utf8' } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, parameters, options);
    assert.equal(status, 0, stderr);
    assert.equal(stderr, '');
    return stdout;
  }
}

test('goes without the addon where there is no compiler, and says so', () => {
  const copy = new Copy();
  try {
    assert.match(copy.load(), /^the addon was not built for Node \d+\.\d+\.\d+$/);
    assert.equal(copy.build('/nowhere'), 'there was no C compiler (cc) to build the addon with');
  } finally {
    copy.remove();
  }
});

const hasCompiler = spawnSync('cc', ['--version']).status === 0;

test('builds the addon once for each source', { skip: hasCompiler ? false : 'there is no cc' }, () => {
  const copy = new Copy();
  const path = process.env['PATH'] ?? '';
  try {
    const functions = 'create open seal sequenceNumber close quickAck send';
    assert.equal(copy.build('/nowhere').startsWith('there was'), true);
    assert.equal(copy.build(path), functions);
    const [first] = copy.built;
    assert.equal(copy.built.length, 1);
    // No compiler is asked for what is there.
    assert.equal(copy.build('/nowhere'), functions);
    copy.changeSource();
    assert.match(copy.load(), /not built/);
    assert.equal(copy.build(path), functions);
    assert.equal(copy.built.length, 1);
    assert.notEqual(copy.built[0], first);
    copy.breakSource();
    assert.match(copy.build(path), /did not build the addon: .*packet-protection\.c/);
  } finally {
    copy.remove();
  }
});

test('asks the kernel for acknowledgements on sockets, and takes a no', async () => {
  const hasAddon = implementation().name === 'addon';
  const server = createServer((socket) => socket.resume());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(socket, 'connect');
  assert.equal(quickAck(socket), hasAddon);
  socket.end();
  await once(socket, 'close');
  assert.equal(quickAck(socket), false);
  await new Promise((resolve) => server.close(resolve));

  // A socket that is none of TCP's.
  const path = join(tmpdir(), `quick-ack-${process.pid}.sock`);
  const other = createServer((socket) => socket.resume());
  await new Promise<void>((resolve) => other.listen(path, resolve));
  const unfit = connect(path);
  await once(unfit, 'connect');
  assert.equal(quickAck(unfit), false);
  unfit.end();
  await once(unfit, 'close');
  await new Promise((resolve) => other.close(resolve));
});
