/** `berth backup | restore | secrets rotate`, against a server that answers as the contract says. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { berth } from './testing/run.ts';
import { ServerDouble, json, problem } from './testing/server-double.ts';
import type { Answer } from './testing/server-double.ts';

const folder = mkdtempSync(join(tmpdir(), 'berth-backup-'));
after(() => rmSync(folder, { recursive: true }));

const content = Buffer.from('what a backup holds');
const backup: Answer = (response) => {
  response
    .writeHead(200, {
      'content-type': 'application/gzip',
      'content-length': content.length,
      'berth-rows': '{"environments":2,"ssh_keys":1}',
    })
    .end(content);
};

describe('berth backup', () => {
  test('writes a file for its owner only, and says what is in it', async () => {
    await using server = await ServerDouble.start();
    server.answers.set('GET /api/backup', backup);
    const file = join(folder, 'first.backup');
    const { exitCode, stdout, stderr } = await berth(['backup', file], { server });
    assert.equal(exitCode, 0, stderr);
    assert.deepEqual(readFileSync(file), content);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.match(stdout, /environments +2\n +ssh keys +1\n/);
    assert.match(stdout, /opens every secret/);
    assert.match(stderr, /Reading the database/);
    assert.ok(!existsSync(`${file}.part`));
    const again = await berth(['backup', file, '--force', '--json'], { server });
    assert.deepEqual(JSON.parse(again.stdout), {
      file,
      size_bytes: content.length,
      rows: { environments: 2, ssh_keys: 1 },
    });
  });

  test('replaces no file unasked', async () => {
    await using server = await ServerDouble.start();
    server.answers.set('GET /api/backup', backup);
    const file = join(folder, 'precious');
    writeFileSync(file, 'kept');
    const { exitCode, stderr } = await berth(['backup', file], { server });
    assert.equal(exitCode, 2);
    assert.match(stderr, /is there already\. Name another one, or add --force/);
    assert.equal(readFileSync(file, 'utf8'), 'kept');
    assert.deepEqual(server.asked, []);
  });

  test('that is cut off on the way leaves nothing', async () => {
    await using server = await ServerDouble.start();
    server.answers.set('GET /api/backup', (response) => {
      response.writeHead(200, { 'content-length': 1000 }).write(content, () => response.destroy());
    });
    const file = join(folder, 'cut.backup');
    const { exitCode, stderr } = await berth(['backup', file], { server });
    assert.equal(exitCode, 1);
    assert.match(stderr, /The backup was not written: /);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith('cut')),
      [],
    );
  });

  test('to a folder that is not there says so', async () => {
    await using server = await ServerDouble.start();
    server.answers.set('GET /api/backup', backup);
    const { exitCode, stderr } = await berth(['backup', join(folder, 'nowhere', 'x')], { server });
    assert.equal(exitCode, 1);
    assert.match(stderr, /not written: ENOENT/);
  });
});

describe('berth restore', () => {
  const file = join(folder, 'to-restore.backup');
  writeFileSync(file, content);
  const restored = {
    installation_id: '0123456789abcdef',
    version: '0.1.0',
    made_at: '2026-02-03T04:05:06.000Z',
    rows: { environments: 2 },
  };

  test('sends the file as it is when it was confirmed', async () => {
    await using server = await ServerDouble.start();
    server.answers.set('POST /api/restore', json(restored));
    const { exitCode, stdout, stderr } = await berth(['restore', file, '--yes'], { server });
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /installation +0123456789abcdef/);
    const [asked] = server.asked;
    assert.equal(asked?.body, content.toString());
    assert.equal(asked.headers['content-type'], 'application/gzip');
    assert.equal(asked.headers['content-length'], String(content.length));
    assert.equal(asked.query.get('replace'), null);
    await berth(['restore', file, '--yes', '--replace'], { server });
    assert.equal(server.asked[1]?.query.get('replace'), 'true');
  });

  test('asks for a word, and does nothing without', async () => {
    await using server = await ServerDouble.start();
    const { exitCode, stderr } = await berth(['restore', file], { server });
    assert.equal(exitCode, 2);
    assert.match(stderr, /--yes/);
    assert.deepEqual(server.asked, []);
  });

  test('of a damaged file or a missing one is a sentence', async () => {
    await using server = await ServerDouble.start();
    server.answers.set('POST /api/restore', problem('bad_backup', 'The backup is damaged: it is cut off.'));
    const damaged = await berth(['restore', file, '--yes'], { server });
    assert.equal(damaged.exitCode, 2);
    assert.match(damaged.stderr, /The backup is damaged: it is cut off\. Use another copy/);
    const missing = await berth(['restore', join(folder, 'nowhere'), '--yes'], { server });
    assert.equal(missing.exitCode, 2);
    assert.match(missing.stderr, /cannot be read/);
  });
});

test('berth secrets rotate says which key seals from now on', async () => {
  await using server = await ServerDouble.start();
  server.answers.set(
    'POST /api/secrets/rotate',
    json({ key_id: 'aaaaaaaa', resealed: 7, dropped: ['bbbbbbbb'] }),
  );
  const { exitCode, stdout } = await berth(['secrets', 'rotate'], { server });
  assert.equal(exitCode, 0);
  assert.match(stdout, /aaaaaaaa seals from now on; 7 secrets .* bbbbbbbb opens nothing any more/);
});
