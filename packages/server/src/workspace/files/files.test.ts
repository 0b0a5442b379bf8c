/** Files in a browser, with a real SFTP server behind a real SSH connection: lists, downloads, uploads, and who may. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { FileList, Problem, UploadedFile } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { databases } from '../../../../../test/harness/databases.ts';
import { eventually } from '../../../../../test/harness/ssh.ts';
import { updateEnvironment } from '../../environments/environments.ts';
import { makeApp } from '../../http/app.ts';
import type { App } from '../../http/app.ts';
import { ControlPlane } from '../../testing/control-plane.ts';
import type { Account } from '../../testing/control-plane.ts';
import { issueToken } from '../../tokens/tokens.ts';

const sftpServer = '/usr/lib/openssh/sftp-server';
const [on] = databases;
const skip =
  on?.skip ?? (existsSync(sftpServer) ? false : `${sftpServer} is not there (package openssh-sftp-server)`);

describe('files in a browser', { skip }, () => {
  let plane: ControlPlane;
  let app: App;
  let origin: string;
  let alice: Account;
  let bob: Account;
  let id: string;
  let folder: string;
  before(async () => {
    if (on === undefined) throw new TypeError('the embedded database is always there');
    plane = await ControlPlane.open(on, { exposure: 'gateway', readyTimeoutSeconds: 20 });
    plane.runtime.letsIn = true;
    [alice, bob] = [await plane.account('alice'), await plane.account('bob')];
    app = await makeApp(plane.services);
    origin = await app.listen({ host: '127.0.0.1', port: 0 });
    await plane.startReconciler();
    id = (await plane.create({ name: 'files' }, plane.services, alice.principal)).env_id;
    await plane.until(id, 'running');
    await eventually(
      () => plane.services.directory.environment(id)?.status,
      (status) => status === 'running',
    );
    folder = mkdtempSync(join(tmpdir(), 'berth-files-'));
  });
  after(async () => {
    await app.close();
    await plane.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const url = (path: string, more: Record<string, string> = {}, route: string = routes.files) =>
    `${origin}${pathOf(route, { id })}?${new URLSearchParams({ path, ...more })}`;
  const as = ({ token }: { token: string }) => ({ authorization: `Bearer ${token}` });
  const list = async (path: string) => {
    const answer = await fetch(url(path, {}, routes.fileList), { headers: as(alice) });
    return { status: answer.status, body: (await answer.json()) as FileList & Problem };
  };
  const put = (path: string, content: Buffer, more: Record<string, string> = {}) =>
    fetch(url(path, more), {
      method: 'PUT',
      headers: { ...as(alice), 'content-type': 'application/octet-stream' },
      body: new Uint8Array(content),
    });
  const problemOf = async (answer: Response) => {
    const problem = (await answer.json()) as Problem;
    assert.equal(answer.status, problem.status);
    return problem;
  };
  const acts = (action: string) =>
    plane.database
      .selectFrom('audit')
      .selectAll()
      .where('action', '=', action)
      .where('target', '=', id)
      .orderBy('id')
      .execute();

  it('lists a folder, links as what they lead to', async () => {
    mkdirSync(join(folder, 'listed', 'under'), { recursive: true });
    writeFileSync(join(folder, 'listed', '数据.csv'), '12345');
    symlinkSync('under', join(folder, 'listed', 'link'));
    symlinkSync('nowhere', join(folder, 'listed', 'broken'));
    const { body } = await list(join(folder, 'listed', 'under', '..'));
    assert.equal(body.path, join(folder, 'listed'));
    assert.deepEqual(
      body.items.map(({ name, kind, bytes }) => [name, kind, kind === 'file' ? bytes : 0]),
      [
        ['link', 'folder', 0],
        ['under', 'folder', 0],
        ['数据.csv', 'file', 5],
        ['broken', 'other', 0],
      ],
    );
    assert.equal(body.more, false);
    const missing = await list(join(folder, 'missing'));
    assert.equal(missing.body.code, 'file_not_found');
    assert.match(missing.body.detail, /missing/);
  });

  it('downloads a file byte by byte, as an attachment and never as a page', async () => {
    const content = randomBytes(3_000_003);
    writeFileSync(join(folder, 'a "page".html'), content);
    const answer = await fetch(url(join(folder, 'a "page".html')), { headers: as(alice) });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'application/octet-stream');
    assert.equal(answer.headers.get('content-length'), '3000003');
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
    assert.equal(
      answer.headers.get('content-disposition'),
      `attachment; filename="a _page_.html"; filename*=UTF-8''a%20%22page%22.html`,
    );
    assert.ok(Buffer.from(await answer.arrayBuffer()).equals(content));
    const [act] = await acts('file.download');
    assert.equal(act?.account, alice.principal.account);
    assert.deepEqual(
      [act?.detail['path'], act?.detail['bytes']],
      [join(folder, 'a "page".html'), content.length],
    );
    for (const [path, code] of [
      [join(folder, 'missing'), 'file_not_found'],
      [folder, 'file_refused'],
      ['/dev/null', 'file_refused'],
    ] as const)
      assert.equal((await problemOf(await fetch(url(path), { headers: as(alice) }))).code, code);
  });

  it('downloads an empty file', async () => {
    writeFileSync(join(folder, 'empty'), '');
    const answer = await fetch(url(join(folder, 'empty')), { headers: as(alice) });
    assert.equal(answer.headers.get('content-length'), '0');
    assert.equal(await answer.text(), '');
  });

  it('uploads a file as a whole, and replaces one only when told to', async () => {
    const path = join(folder, 'uploaded');
    const content = randomBytes(5_000_000);
    const answer = await put(path, content);
    assert.equal(answer.status, 201);
    assert.deepEqual((await answer.json()) as UploadedFile, { path, bytes: content.length });
    assert.ok(readFileSync(path).equals(content));
    assert.equal((await problemOf(await put(path, Buffer.from('other')))).code, 'file_exists');
    assert.ok(readFileSync(path).equals(content));
    chmodSync(path, 0o750);
    symlinkSync('uploaded', join(folder, 'through'));
    const replaced = await put(join(folder, 'through'), Buffer.from('other'), { replace: 'true' });
    assert.equal(replaced.status, 201);
    assert.equal(readFileSync(path, 'utf8'), 'other');
    assert.equal(statSync(path).mode & 0o777, 0o750);
    assert.deepEqual(
      (await acts('file.upload')).map(({ detail }) => detail),
      [
        { path, bytes: content.length },
        { path, bytes: 5 },
      ],
    );
    assert.equal((await problemOf(await put(join(folder, 'no', 'such'), content))).code, 'file_not_found');
    assert.equal((await problemOf(await put(folder, content))).code, 'file_refused');
  });

  it('leaves nothing behind of an upload that was broken off', async () => {
    const before = readdirSync(folder);
    const sent = httpRequest(url(join(folder, 'half')), {
      method: 'PUT',
      headers: { ...as(alice), 'content-type': 'application/octet-stream', 'content-length': 10_000_000 },
    });
    sent.on('error', () => undefined);
    sent.write(Buffer.alloc(4_000_000));
    await eventually(
      () => readdirSync(folder).filter((name) => name.endsWith('.upload')),
      (found) => found.length === 1,
    );
    sent.destroy();
    await eventually(
      () => readdirSync(folder),
      (found) => found.length === before.length,
    );
  });

  it('says that there is no room before anything is sent', async () => {
    const sent = httpRequest(url(join(folder, 'too-large')), {
      method: 'PUT',
      headers: {
        ...as(alice),
        'content-type': 'application/octet-stream',
        'content-length': 1024 ** 5,
        expect: '100-continue',
      },
    });
    sent.flushHeaders();
    const [answer] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
    let text = '';
    for await (const chunk of answer as AsyncIterable<Buffer>) text += chunk.toString();
    sent.destroy();
    assert.equal((JSON.parse(text) as Problem).code, 'file_refused');
    assert.match(text, /there is room for \d+/);
  });

  it('serves many requests of a page over one connection', async () => {
    await Promise.all(Array.from({ length: 5 }, () => list(folder)));
    const rows = await plane.database
      .selectFrom('connections')
      .selectAll()
      .where('env_id', '=', id)
      .where('account', '=', alice.principal.account)
      .where('ended_at', 'is', null)
      .execute();
    assert.deepEqual(
      rows.map(({ way, method }) => [way, method]),
      [['terminal', 'session']],
    );
  });

  it('is for whoever may use the environment, and may change things', async () => {
    const secret = join(folder, 'secret');
    writeFileSync(secret, 'hers');
    const { token } = await issueToken(plane.database, {
      account_id: alice.principal.accountId,
      kind: 'api',
      name: 'reader',
      scopes: ['read'],
      expires_at: null,
      source: null,
    });
    const strangers = [
      [as(bob), 404],
      [as({ token }), 403],
      [{}, 401],
    ] as const;
    for (const [headers, status] of strangers) {
      for (const route of [routes.files, routes.fileList])
        assert.equal((await fetch(url(secret, {}, route), { headers })).status, status, route);
      const uploaded = await fetch(url(secret, { replace: 'true' }), {
        method: 'PUT',
        headers: { ...headers, 'content-type': 'application/octet-stream' },
        body: 'theirs',
      });
      assert.equal(uploaded.status, status);
    }
    assert.equal(readFileSync(secret, 'utf8'), 'hers');
  });

  it('is switched off with SFTP, at once', async () => {
    assert.equal((await list(folder)).status, 200);
    const change = (sftp: boolean) =>
      updateEnvironment(plane.services, { principal: alice.principal, source: null }, id, {
        forwarding: { sftp },
      });
    await change(false);
    await eventually(
      () => list(folder),
      ({ status }) => status === 403,
    );
    assert.equal((await problemOf(await put(join(folder, 'off'), Buffer.from('x')))).code, 'forbidden');
    assert.equal((await fetch(url(folder), { headers: as(alice) })).status, 403);
    await change(true);
    await eventually(
      () => list(folder),
      ({ status }) => status === 200,
    );
  });

  it('moves a large file as it is', async () => {
    const content = randomBytes(48 * 1024 * 1024);
    const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
    assert.equal((await put(join(folder, 'much'), content)).status, 201);
    const back = await fetch(url(join(folder, 'much')), { headers: as(alice) });
    assert.equal(hash(new Uint8Array(await back.arrayBuffer())), hash(content));
  });
});
