import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { eventually } from '../../../test/harness/ssh.ts';
import { DataFolderError, openDataFolder, readOrMake, writeFileWhole } from './data-folder.ts';

const root = mkdtempSync(join(tmpdir(), 'berth-data-folder-'));
after(() => rmSync(root, { recursive: true }));

const fresh = () => join(mkdtempSync(join(root, 'case-')), 'data');
const modeOf = (path: string) => statSync(path).mode & 0o777;

/** Another process that opens the folder and keeps it. */
async function holder(path: string): Promise<ChildProcess> {
  const program = `
    import { openDataFolder } from ${JSON.stringify(new URL('data-folder.ts', import.meta.url).href)};
    openDataFolder(process.argv[1]);
    process.send('open');
    setInterval(() => undefined, 60_000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program, path], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  await once(child, 'message');
  return child;
}

describe('the data folder', () => {
  test('has one opener: a second one is told who has it and what to do', async () => {
    const path = fresh();
    const child = await holder(path);
    try {
      assert.throws(
        () => openDataFolder(path),
        (error: Error) => {
          assert.ok(error instanceof DataFolderError);
          assert.match(error.message, new RegExp(`process ${child.pid}\\b`));
          assert.ok(error.message.includes(path));
          assert.match(error.message, /Stop it first, or set BERTH_DATA_DIR/);
          return true;
        },
      );
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  test('is free again when its holder was killed, and names the server as before', async () => {
    const path = fresh();
    const child = await holder(path);
    const serverId = readFileSync(join(path, 'server-id'), 'utf8').trim();
    child.kill('SIGKILL');
    await once(child, 'exit');
    const folder = openDataFolder(path);
    assert.equal(folder.serverId, serverId);
    assert.match(serverId, /^[0-9a-f]{16}$/);
    folder.close();
  });

  test('is refused within one process too, and free after it was closed', () => {
    const path = fresh();
    const first = openDataFolder(path);
    assert.throws(() => openDataFolder(path), DataFolderError);
    first.close();
    openDataFolder(path).close();
  });

  test("keeps others' eyes out, also from a folder that was open before", () => {
    const path = fresh();
    mkdirSync(path);
    chmodSync(path, 0o755);
    const folder = openDataFolder(path);
    assert.equal(modeOf(path), 0o700);
    for (const file of readdirSync(path)) assert.equal(modeOf(join(path, file)), 0o600, file);
    folder.close();
  });

  test('that cannot be made is refused with what to set', () => {
    const file = join(root, 'a-file');
    writeFileSync(file, '');
    assert.throws(() => openDataFolder(join(file, 'data')), /cannot be used: .*Set BERTH_DATA_DIR/);
  });
});

describe('a file in it', () => {
  test('is made once and then read', () => {
    const file = join(root, 'made-once');
    assert.equal(
      readOrMake(file, () => 'first'),
      'first',
    );
    assert.equal(
      readOrMake(file, () => assert.fail('made again')),
      'first',
    );
    assert.equal(modeOf(file), 0o600);
  });

  test('is replaced whole: a reader meets the old content or the new one, and nothing is left beside it', async () => {
    const folder = mkdtempSync(join(root, 'whole-'));
    const file = join(folder, 'file');
    const contents = ['a', 'b'].map((letter) => letter.repeat(256 * 1024));
    writeFileWhole(file, contents[0] ?? '', 0o600);
    const program = `
      import { readFileSync } from 'node:fs';
      import { parentPort, workerData } from 'node:worker_threads';
      let going = true;
      let count = 0;
      parentPort.on('message', () => (going = false));
      const read = () => {
        const text = readFileSync(workerData, 'utf8');
        count += 1;
        if (text.length !== 262144 || text[0] !== text.at(-1)) parentPort.postMessage('torn');
        if (going) setImmediate(read);
        else {
          parentPort.postMessage(count);
          parentPort.close();
        }
      };
      parentPort.postMessage('ready');
      read();
    `;
    const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
    const reader = new Worker(url, { workerData: file });
    const said: unknown[] = [];
    reader.on('message', (message) => said.push(message));
    await eventually(
      () => said.length,
      (count) => count > 0,
    );
    for (let round = 0; round < 50; round += 1) writeFileWhole(file, contents[round % 2] ?? '', 0o600);
    reader.postMessage('stop');
    await once(reader, 'exit');
    assert.equal(said[0], 'ready');
    assert.ok(Number(said[1]) > 1, `the reader said ${JSON.stringify(said)}`);
    assert.deepEqual(readdirSync(folder), ['file']);
  });

  test('that cannot be replaced leaves the old one and nothing beside it', () => {
    const folder = mkdtempSync(join(root, 'fails-'));
    mkdirSync(join(folder, 'is-a-folder'));
    assert.throws(() => writeFileWhole(join(folder, 'is-a-folder'), 'x', 0o600));
    assert.deepEqual(readdirSync(folder), ['is-a-folder']);
  });
});
