// The SFTP client with OpenSSH's own sftp-server, as a program of this machine, and with servers that are none.

import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, PassThrough, Readable, type Writable } from 'node:stream';
import { after, afterEach, before, describe, it } from 'node:test';
import { Writer } from '../wire.ts';
import { SftpClient, SftpError } from './client.ts';
import { sftpStatus } from './messages.ts';

const program = '/usr/lib/openssh/sftp-server';
const skip = existsSync(program)
  ? false
  : `${program} is not there; install it with: apt-get install openssh-sftp-server`;

describe('the SFTP client', { skip }, () => {
  const clients: SftpClient[] = [];
  const servers: ChildProcessWithoutNullStreams[] = [];
  let folder: string;
  let sftp: SftpClient;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sftp-test-'));
    sftp = await open();
  });
  after(() => {
    for (const client of clients) client.close();
    for (const server of servers) server.kill();
    rmSync(folder, { recursive: true });
  });

  async function open(): Promise<SftpClient> {
    const server = spawn(program, ['-u', '022'], { cwd: folder });
    server.stdin.on('error', () => {});
    servers.push(server);
    const client = await SftpClient.open(joined(server.stdout, server.stdin));
    clients.push(client);
    return client;
  }
  const fails = (act: Promise<unknown>, status: number) =>
    assert.rejects(act, (error) => error instanceof SftpError && error.status === status);

  it('reads a file as it is, from any place to any other', async () => {
    const content = randomBytes(5_000_001);
    writeFileSync(join(folder, 'large'), content);
    const handle = await sftp.openForReading(join(folder, 'large'));
    for (const [start, end] of [
      [0, content.length],
      [1_234_567, 4_000_000],
      [content.length, content.length],
    ] as const) {
      const parts: Buffer[] = [];
      for await (const part of sftp.read(handle, { start, end })) parts.push(part);
      assert.ok(Buffer.concat(parts).equals(content.subarray(start, end)));
    }
    await sftp.closeHandle(handle);
  });

  it('writes what it is given, in pieces of any size', async () => {
    const pieces = [randomBytes(1), randomBytes(3_000_000), randomBytes(70_000), randomBytes(32_768)];
    const handle = await sftp.openNew(join(folder, 'written'), 0o640);
    assert.equal(await sftp.write(handle, Readable.from(pieces)), 3_102_769);
    await sftp.sync(handle);
    await sftp.closeHandle(handle);
    assert.ok(readFileSync(join(folder, 'written')).equals(Buffer.concat(pieces)));
    assert.equal(statSync(join(folder, 'written')).mode & 0o777, 0o640);
    await fails(sftp.openNew(join(folder, 'written'), undefined), sftpStatus.failure);
  });

  it('holds little of a file that is taken slowly, or given fast', async () => {
    const size = 64 * 1024 * 1024;
    writeFileSync(join(folder, 'huge'), Buffer.alloc(size));
    const handle = await sftp.openForReading(join(folder, 'huge'));
    const reading = sftp.read(handle, { start: 0, end: size });
    await reading.next();
    const before = process.memoryUsage().arrayBuffers;
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(process.memoryUsage().arrayBuffers - before < 8 * 1024 * 1024);
    await reading.return(undefined);
    await sftp.closeHandle(handle);
    let given = 0;
    const source = async function* () {
      for (; given < size; given += 65_536) yield Buffer.alloc(65_536);
    };
    const written = await sftp.openNew(join(folder, 'given'), undefined);
    let mostBytes = 0;
    const timer = setInterval(
      () => (mostBytes = Math.max(mostBytes, given - statSync(join(folder, 'given')).size)),
      1,
    );
    await sftp.write(written, source());
    clearInterval(timer);
    assert.ok(mostBytes < 8 * 1024 * 1024, `${mostBytes} bytes were on their way`);
    await sftp.closeHandle(written);
  });

  it('says that a file became shorter while it was read', async () => {
    const path = join(folder, 'shorter');
    writeFileSync(path, Buffer.alloc(8_000_000));
    const handle = await sftp.openForReading(path);
    const reading = sftp.read(handle, { start: 0, end: 8_000_000 });
    await reading.next();
    truncateSync(path, 4_000_000);
    await fails(
      (async () => {
        for await (const part of reading) assert.ok(part.length > 0);
      })(),
      sftpStatus.endOfFile,
    );
    await sftp.closeHandle(handle);
  });

  it('tells what there is, and of what kind', async () => {
    const inside = join(folder, 'listed');
    mkdirSync(inside);
    for (let index = 0; index < 300; index += 1) writeFileSync(join(inside, `file ${index} 文件`), 'x');
    mkdirSync(join(inside, 'folder'));
    symlinkSync('folder', join(inside, 'link'));
    const found = new Map<string, string>();
    for await (const batch of sftp.list(inside))
      for (const { name, attributes } of batch) found.set(name, attributes.kind);
    assert.deepEqual([...found.keys()].sort(), readdirSync(inside).sort());
    assert.deepEqual(
      [found.get('file 7 文件'), found.get('folder'), found.get('link')],
      ['file', 'folder', 'link'],
    );
    assert.equal((await sftp.stat(join(inside, 'link'))).kind, 'folder');
    const { bytes, modifiedAt, permissions } = await sftp.stat(join(inside, 'file 0 文件'));
    assert.equal(bytes, 1);
    assert.equal(permissions, 0o644);
    assert.ok(Math.abs(Date.now() - modifiedAt.getTime()) < 60_000);
    assert.equal(await sftp.realPath('listed/link/..'), join(folder, 'listed'));
    const free = await sftp.freeBytes(inside);
    assert.ok(free !== undefined && free > 1_000_000);
  });

  it('renames at once over what is there, or leaves it alone', async () => {
    const [one, other] = [join(folder, 'one'), join(folder, 'other')];
    writeFileSync(one, '1');
    writeFileSync(other, '2');
    await fails(sftp.rename(one, other, { replace: false }), sftpStatus.failure);
    assert.equal(readFileSync(other, 'utf8'), '2');
    await sftp.rename(one, other, { replace: true });
    assert.equal(readFileSync(other, 'utf8'), '1');
    await sftp.remove(other);
    await fails(sftp.stat(other), sftpStatus.noSuchFile);
    await sftp.makeFolder(other);
    assert.equal((await sftp.stat(other)).kind, 'folder');
  });

  it('rejects what was asked when the server is gone', async () => {
    const lost = await open();
    const handle = await lost.openNew(join(folder, 'lost'), undefined);
    const writing = lost.write(
      handle,
      Readable.from(
        (function* () {
          for (;;) yield Buffer.alloc(65_536);
        })(),
      ),
    );
    servers.at(-1)?.kill('SIGKILL');
    await fails(writing, sftpStatus.connectionLost);
    await fails(lost.stat('/'), sftpStatus.connectionLost);
  });
});

describe('what is no SFTP server', () => {
  const streams: Duplex[] = [];
  afterEach(() => {
    for (const stream of streams.splice(0)) stream.destroy();
  });

  function strange(...said: Buffer[]): Duplex {
    const readable = new PassThrough();
    for (const bytes of said) readable.write(bytes);
    const stream = joined(readable, new PassThrough().resume());
    streams.push(stream);
    return stream;
  }
  const version = new Writer().string(new Writer().byte(2).uint32(3).toBuffer()).toBuffer();

  it('is given up: with a message of any size, of another kind, cut short', async () => {
    await assert.rejects(SftpClient.open(strange(Buffer.from('Welcome to this machine\n'))), SftpError);
    const after = async (...said: Buffer[]) => {
      const client = await SftpClient.open(strange(version, ...said));
      return client.stat('/');
    };
    const message = (...bytes: number[]) => new Writer().string(Buffer.from(bytes)).toBuffer();
    await assert.rejects(after(new Writer().uint32(0x7fffffff).toBuffer()), SftpError);
    await assert.rejects(after(message(105, 0, 0)), SftpError);
  });

  it('is not waited for when it hangs up', async () => {
    const stream = strange();
    const opening = SftpClient.open(stream);
    stream.destroy();
    await assert.rejects(opening, SftpError);
  });
});

/** The types of Node's streams know the web's here only. */
function joined(readable: Readable, writable: Writable): Duplex {
  return Duplex.from({ readable, writable } as unknown as Duplex);
}
