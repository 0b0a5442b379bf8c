/**
 * The browser's terminal with real environments: sessions that outlive whatever is cut, bounded memory, and files. The
 * page is test/harness/terminal.ts; test/browser/terminal.test.ts has the real one.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { pathOf, routes } from '@berth/contract';
import type { Connection, CreatedEnvironment, TerminalSessions } from '@berth/contract';
import { TestBerth, docker, skipWithoutDocker } from '../harness/berth.ts';
import { eventually } from '../harness/ssh.ts';
import { TerminalPage } from '../harness/terminal.ts';
import type { PageOptions } from '../harness/terminal.ts';

const mebibyte = 1024 * 1024;

describe("the browser's terminal", { skip: skipWithoutDocker }, () => {
  let berth: TestBerth;
  let environment: CreatedEnvironment;
  let token: string;
  const pages: TerminalPage[] = [];

  before(async () => {
    berth = await TestBerth.start({ gateway: true });
    environment = await berth.createRunning({ name: 'terminal', resources: { cpu: 2, memory: 1 } });
    const made = await berth.call<{ token: string }>('POST', routes.tokens, {
      name: 'page',
      scopes: ['read', 'write'],
    });
    ({ token } = made.body);
  });
  after(async () => {
    for (const page of pages) page.cut();
    await berth?.remove();
  });

  const origin = () => `http://${berth.httpAddress.host}:${berth.httpAddress.port}`;
  const open = (options: Partial<PageOptions> = {}) => {
    const page = new TerminalPage({
      origin: origin(),
      environment: environment.env_id,
      headers: { authorization: `Bearer ${token}` },
      ...options,
    });
    pages.push(page);
    return page;
  };
  const connected = async (options: Partial<PageOptions> = {}) => {
    const page = open(options);
    await page.connect({ origin: origin() });
    await page.hears('ready');
    return page;
  };
  const sessions = async (id = environment.env_id) =>
    (await berth.call<TerminalSessions>('GET', pathOf(routes.terminals, { id }))).body;
  const container = async (id = environment.env_id) => {
    const [found] = await docker.listContainers({ filters: { label: [`berth.environment=${id}`] } });
    return docker.getContainer(found?.Id ?? '');
  };
  /** As root, in the container. */
  const inside = async (command: string, id = environment.env_id) => {
    const exec = await (
      await container(id)
    ).exec({
      Cmd: ['sh', '-c', command],
      User: '0',
      AttachStdout: true,
      AttachStderr: true,
    });
    const stream = await exec.start({ hijack: true, stdin: false });
    stream.resume();
    await once(stream, 'end');
    assert.equal((await exec.inspect()).ExitCode, 0, command);
  };
  const serverBytes = () => {
    const kibibytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${berth.pid}/status`, 'utf8'))?.[1];
    return Number(kibibytes) * 1024;
  };

  it('loses and doubles nothing, however often it is cut while a program prints', async () => {
    const page = await connected();
    const lines = 400_000;
    page.type(`stty -echo; echo; seq 1 ${lines} | sed 's/$/ 漢字/'; echo over\n`);
    page.type(Array.from({ length: 500 }, (_, index) => `echo typed ${index}\n`).join(''));
    for (let cuts = 0; cuts < 20; cuts += 1) {
      await pause(Math.random() * 150);
      page.cut();
      await pause(Math.random() * 50);
      await page.connect();
      if (cuts % 2 === 0) await page.until(() => page.isReady, 10_000, 'ready');
    }
    await page.says(/typed 499\r\n/, 60_000);
    const { text } = page;
    assert.ok(!page.messages.some((message) => message.type === 'ready' && message.gap));
    const counted = text.match(/^\d+ 漢字(?=\r$)/gm) ?? [];
    assert.equal(counted.length, lines);
    assert.ok(counted.every((line, index) => Number.parseInt(line, 10) === index + 1));
    const echoed = text.match(/^(?:.*\$ )?typed \d+(?=\r$)/gm) ?? [];
    assert.equal(echoed.length, 500);
  });

  it('goes on without a page and without the server, and another device finds it', async () => {
    const page = await connected();
    page.type('echo begun; n=0; while sleep 0.1; do n=$((n + 1)); echo tick $n; done\n');
    await page.says(/tick 3\r\n/);
    await berth.kill();
    await page.until(() => !page.isOpen, 5000, 'close');
    await pause(1000);
    assert.ok(await berth.up());
    await page.connect({ origin: origin() });
    const before = Number(/tick (\d+)\r\n$/.exec(page.text)?.[1]);
    await page.says(new RegExp(`tick ${before + 15}\\r\\n`));
    const ticks = [...page.text.matchAll(/^tick (\d+)\r$/gm)].map((match) => Number(match[1]));
    assert.deepEqual(
      ticks,
      ticks.map((_, index) => index + 1),
    );
    const { items, lasting } = await sessions();
    assert.ok(lasting);
    const row = items.find(({ session }) => session === page.session);
    assert.deepEqual([row?.attached, row?.ended], [1, false]);
    const device = await connected({ session: page.session });
    await device.says(/begun\r\n(?:tick \d+\r\n)+/);
    assert.match(device.text, /begun\r\ntick 1\r\ntick 2\r\n/);
    // Those of the server that was killed are over.
    const { body } = await berth.call<{ items: Connection[] }>(
      'GET',
      `${routes.connections}?env_id=${environment.env_id}&live=false&limit=1000`,
    );
    assert.ok(body.items.some(({ end_reason }) => end_reason === 'The server was restarted.'));
    const path = pathOf(routes.terminalSession, { id: environment.env_id, session: page.session });
    assert.equal((await berth.call('DELETE', path)).status, 204);
    assert.equal((await page.hears('exit')).signal, 'SIGHUP');
    assert.equal((await berth.call('DELETE', path)).status, 404);
  });

  it('moves 200 MB to a page that is slow, within bounded memory', async () => {
    const page = await connected({ keeps: false });
    const begun = serverBytes();
    const end = page.offset + 200 * mebibyte;
    let most = 0;
    page.takes = false;
    page.type(`head -c ${200 * mebibyte} /dev/zero | tr '\\0' x; echo\n`);
    while (page.offset < end) {
      const { offset } = page;
      await pause(5);
      page.say({ type: 'taken', offset });
      most = Math.max(most, serverBytes());
    }
    // V8 lets 64 MiB of buffers that nobody has any more lie before it collects them; what is held are a few windows.
    assert.ok(most - begun < 96 * mebibyte, `${(most - begun) / mebibyte} MiB more`);
  });

  it('holds little for pages that read nothing at all', async () => {
    const begun = serverBytes();
    for (let count = 0; count < 8; count += 1) {
      const page = await connected({ keeps: false });
      page.takes = false;
      page.type('yes\n');
    }
    await pause(2000);
    assert.ok(serverBytes() - begun < 100 * mebibyte, `${(serverBytes() - begun) / mebibyte} MiB more`);
    for (const page of pages.slice(-8)) page.cut();
    for (const { session, command } of (await sessions()).items)
      if (command === 'yes')
        await berth.call('DELETE', pathOf(routes.terminalSession, { id: environment.env_id, session }));
  });

  it('moves files in and out as they are, within bounded memory', async () => {
    const size = 512 * mebibyte;
    const address = `${pathOf(routes.files, { id: environment.env_id })}?path=/gemini/code/large`;
    const headers = { authorization: `Bearer ${token}` };
    const block = randomBytes(mebibyte);
    const sent = createHash('sha256');
    const begun = serverBytes();
    let most = 0;
    const upload = request({
      ...berth.httpAddress,
      path: address,
      method: 'PUT',
      headers: { ...headers, 'content-type': 'application/octet-stream', 'content-length': size },
    });
    const answered = once(upload, 'response') as Promise<[IncomingMessage]>;
    for (let at = 0; at < size; at += block.length) {
      block.writeUInt32BE(at / block.length);
      sent.update(block);
      if (!upload.write(Buffer.from(block))) await once(upload, 'drain');
      most = Math.max(most, serverBytes());
    }
    upload.end();
    const [answer] = await answered;
    assert.equal(answer.statusCode, 201);
    answer.resume();
    const digest = sent.digest('hex');
    await inside(
      `cd /gemini/code && test "$(sha256sum < large)" = "${digest}  -" && test "$(stat -c %U large)" = developer`,
    );
    const download = request({ ...berth.httpAddress, path: address, headers }).end();
    const [response] = (await once(download, 'response')) as [IncomingMessage];
    assert.equal(response.headers['content-length'], String(size));
    const got = createHash('sha256');
    for await (const chunk of response as AsyncIterable<Buffer>) {
      got.update(chunk);
      most = Math.max(most, serverBytes());
    }
    assert.equal(got.digest('hex'), digest);
    assert.ok(most - begun < 100 * mebibyte, `${(most - begun) / mebibyte} MiB more`);
    await inside('rm /gemini/code/large');
  });

  it('is ended by a stop, which need not kill it, and begins anew after the start', async () => {
    const { env_id: id } = await berth.createRunning({ name: 'stopped', sudo: true });
    const page = open({ environment: id });
    await page.connect({ origin: origin() });
    await page.says(/\$ /);
    page.type('sleep 100\n');
    await eventually(
      () => sessions(id),
      ({ items }) => items[0]?.command === 'sleep',
    );
    const stopping = await container(id);
    await berth.call('POST', pathOf(routes.environmentStop, { id }));
    await berth.until(id, 'stopped');
    // By itself: the keeper and its shell did not have to be killed.
    assert.equal((await stopping.inspect()).State.ExitCode, 0);
    await page.ends();
    await page.connect();
    assert.equal((await page.ends()).why, 'stopped');
    await page.connect({ wake: true });
    assert.equal((await page.ends(20_000)).why, 'gone');
    const fresh = open({ environment: id });
    await fresh.connect({ origin: origin() });
    await fresh.says(/\$ /);
    await berth.call('DELETE', pathOf(routes.environment, { id }));
    await fresh.ends();
    await berth.until(id, 'gone');
  });

  it('says that a session does not last where the image has no keeper', async () => {
    const { env_id: id } = await berth.createRunning({ name: 'bare' });
    await inside('rm /usr/local/lib/berth/berth-session', id);
    const page = open({ environment: id, columns: 90, rows: 20 });
    await page.connect({ origin: origin() });
    assert.equal((await page.hears('ready')).lasts, false);
    page.type('stty size; echo "$0 from ${BERTH_CLIENT% *}"\n');
    await page.says(/20 90\r\n-bash from 127\.0\.0\.1\r\n/);
    assert.deepEqual(await sessions(id), { items: [], lasting: false });
    page.cut();
    await page.connect();
    assert.equal((await page.ends()).why, 'gone');
  });

  it('is one connection, and knows the person, where the container has its port itself', async () => {
    const { env_id: id } = await berth.createRunning({ name: 'direct', exposure: 'direct' });
    const page = open({ environment: id, localAddress: '127.0.0.9' });
    await page.connect({ origin: origin() });
    page.type('echo "from ${BERTH_CLIENT% *}"\n');
    await page.says(/from 127\.0\.0\.9\r\n/);
    page.leave();
    await eventually(
      async () =>
        (await berth.call<{ items: Connection[] }>('GET', `${routes.connections}?env_id=${id}`)).body.items,
      (rows) => rows.every(({ ended_at }) => ended_at !== null),
    );
    // What its sshd says of it comes through its log.
    await pause(1500);
    const { body } = await berth.call<{ items: Connection[] }>('GET', `${routes.connections}?env_id=${id}`);
    assert.deepEqual(
      body.items.map(({ way, account, source }) => [way, account, source]),
      [['terminal', 'admin', '127.0.0.9']],
    );
  });
});
