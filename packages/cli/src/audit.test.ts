/** `berth audit export | verify`, against a server that answers as the contract says. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { AuditVerdict } from '@berth/contract';
import { berth } from './testing/run.ts';
import { ServerDouble } from './testing/server-double.ts';
import type { Answer } from './testing/server-double.ts';

const folder = mkdtempSync(join(tmpdir(), 'berth-audit-'));
after(() => rmSync(folder, { recursive: true }));

const log = '{"id":1}\n{"id":2}\n';
const lines =
  (text: string): Answer =>
  (response) => {
    response.writeHead(200, { 'content-type': 'application/jsonl' }).end(text);
  };
const cutOff: Answer = (response) => {
  response.writeHead(200, { 'content-type': 'application/jsonl' }).write(log);
  setTimeout(() => response.destroy(), 20);
};

describe('berth audit export', () => {
  test('writes the log to stdout, or into a file for its owner only', async () => {
    await using server = await ServerDouble.start();
    server.answers.set('GET /api/audit/export', lines(log));
    const args = ['audit', 'export', '--action', 'ssh.login', '--until', '2026-02-03T00:00:00Z'];
    const printed = await berth(args, { server });
    assert.deepEqual([printed.exitCode, printed.stdout], [0, log]);
    assert.match(printed.stderr, /^2 records\.$/m);
    const { query } = server.asked.at(-1) ?? {};
    assert.deepEqual(Object.fromEntries(query ?? []), {
      action: 'ssh.login',
      until: '2026-02-03T00:00:00.000Z',
    });

    const file = join(folder, 'log.jsonl');
    const written = await berth([...args, '--output', file], { server });
    assert.equal(written.exitCode, 0, written.stderr);
    assert.equal(readFileSync(file, 'utf8'), log);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(written.stdout, '');
  });

  test('replaces no file unasked, and leaves none that is not whole', async () => {
    await using server = await ServerDouble.start();
    const kept = join(folder, 'kept');
    writeFileSync(kept, 'precious');
    const refused = await berth(['audit', 'export', '--output', kept], { server });
    assert.equal(refused.exitCode, 2);
    assert.equal(readFileSync(kept, 'utf8'), 'precious');
    server.answers.set('GET /api/audit/export', cutOff);
    const file = join(folder, 'cut');
    for (const args of [['--output', file], []]) {
      const broken = await berth(['audit', 'export', ...args], { server });
      assert.equal(broken.exitCode, 1, broken.stderr);
      assert.match(broken.stderr, /was not written whole/);
    }
    assert.ok(!existsSync(file) && !existsSync(`${file}.part`));
  });
});

describe('berth audit verify', () => {
  const verdict: AuditVerdict = {
    type: 'verdict',
    whole: true,
    records: 41,
    links: 7,
    unsealed: 2,
    first_at: '2026-02-03T04:05:06.000007Z',
    last_at: '2026-02-04T04:05:06.000007Z',
    first_link: 1,
    last_link: 7,
    last_hash: 'ab'.repeat(32),
    records_since: null,
    faults: [],
    fault_count: 0,
  };
  const progress = '{"type":"progress","records":20,"links":3,"of_links":7}\n';

  test('says how much is whole, and the hash to write down', async () => {
    await using server = await ServerDouble.start();
    server.answers.set('GET /api/audit/verify', lines(`${progress}${JSON.stringify(verdict)}\n`));
    const { exitCode, stdout } = await berth(['audit', 'verify'], { server });
    assert.equal(exitCode, 0);
    assert.match(stdout, /records +41 in 7 links\n +from +2026-02-03T04:05:06\.000007Z\n +to +2026-02-04/);
    assert.match(stdout, new RegExp(`last hash +${'ab'.repeat(32)}\n`));
    const asked = await berth(['audit', 'verify', '--json', '--from', 'CD'.repeat(32)], { server });
    assert.deepEqual(JSON.parse(asked.stdout), verdict);
    assert.equal(server.asked.at(-1)?.query.get('from'), 'cd'.repeat(32));
  });

  test('names what was touched, and fails', async () => {
    await using server = await ServerDouble.start();
    const fault = {
      kind: 'record_changed' as const,
      link: 3,
      record: 12,
      detail: 'Record 12 \u001b[2J was changed.',
    };
    const bad = { ...verdict, whole: false, faults: [fault], fault_count: 5 };
    server.answers.set('GET /api/audit/verify', lines(`${JSON.stringify(bad)}\n`));
    const { exitCode, stdout } = await berth(['audit', 'verify'], { server });
    assert.equal(exitCode, 1);
    assert.match(stdout, /NOT whole:\n {2}Record 12 \\x1b\[2J was changed\.\n {2}and 4 more/);
    const json = await berth(['audit', 'verify', '--json'], { server });
    assert.deepEqual([json.exitCode, JSON.parse(json.stdout)], [1, bad]);
  });

  test('fails when the server does not come to a verdict', async () => {
    await using server = await ServerDouble.start();
    server.answers.set('GET /api/audit/verify', cutOff);
    const { exitCode, stderr } = await berth(['audit', 'verify'], { server });
    assert.equal(exitCode, 1);
    assert.match(stderr, /did not come to its end/);
  });
});
