/**
 * The browser's terminal beside the stock client: what a key costs until its echo is there, in turn with ssh to the same
 * environment through the gateway; how much output comes through and what that costs the server; files in and out; and from
 * the request for an environment to its prompt. With Chromium also what a person sees: from the key to the drawn echo.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ensureConsole } from '@berth/console/build';
import { pages, pathOf, routes } from '@berth/contract';
import { TestBrowser, firstPassword, skipWithoutBrowser } from '../test/browser/browser.ts';
import { TestBerth } from '../test/harness/berth.ts';
import { makeKey } from '../test/harness/ssh.ts';
import { TerminalPage } from '../test/harness/terminal.ts';
import { Door } from '../test/harness/ways.ts';
import type { Figure } from './main.ts';
import { progress, quantile } from './statistics.ts';

const keys = 300;
const warmUps = 20;
const outputBytes = 100_000_000;
const fileBytes = 1024 ** 3;
const creations = 5;

export const terminalSections = ['key', 'browser', 'output', 'files', 'create'] as const;
type Section = (typeof terminalSections)[number];

interface Stage {
  berth: TestBerth;
  id: string;
  origin: string;
  headers: Record<string, string>;
  folder: string;
}

export async function terminal({ only }: { only?: readonly string[] }): Promise<Figure[]> {
  const sections: Record<Section, (stage: Stage) => Promise<Figure[]>> = {
    key,
    browser,
    output,
    files,
    create,
  };
  const berth = await TestBerth.start({ gateway: true });
  const folder = mkdtempSync(join(tmpdir(), 'berth-bench-'));
  try {
    const resources = { cpu: 2, memory: 2 };
    const { env_id: id } = await berth.createRunning({ name: 'bench', resources });
    const scopes = ['read', 'write'];
    const { body } = await berth.call<{ token: string }>('POST', routes.tokens, { name: 'bench', scopes });
    const { host, port } = berth.httpAddress;
    const stage: Stage = {
      ...{ berth, id, folder },
      origin: `http://${host}:${port}`,
      headers: { authorization: `Bearer ${body.token}` },
    };
    const figures: Figure[] = [];
    for (const name of terminalSections) {
      if (only !== undefined && !only.includes(name)) continue;
      progress(name);
      figures.push(...(await sections[name](stage)));
    }
    return figures;
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await berth.remove();
  }
}

/** A key and its echo by the shell's line editor, over ssh and over the page's WebSocket in turn. */
async function key({ berth, id, folder, origin, headers }: Stage): Promise<Figure[]> {
  const file = await makeKey(folder, 'bench');
  const public_key = readFileSync(`${file}.pub`, 'utf8').trim();
  await berth.call('POST', routes.sshKeys, { name: 'bench', public_key });
  const jumper = { key: file, account: 'admin' };
  const door = new Door('own port', {
    ...{ access: await berth.ssh(id), sharedPort: berth.sharedPort, key: file, jumper },
  });
  const client = spawn('ssh', ['-F', door.config, '-tt', 'target'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const page = new TerminalPage({ origin, environment: id, headers });
  try {
    await page.connect();
    await page.says(/\$ $/);
    await pause(2000);
    const ways = {
      ssh: (text: string) => {
        const echoed = once(client.stdout, 'data');
        client.stdin.write(text);
        return echoed;
      },
      browser: (text: string) => {
        const { offset } = page;
        const echoed = page.until(() => page.offset > offset, 5000, 'echo');
        page.type(text);
        return echoed;
      },
    };
    client.stdout.on('data', () => undefined);
    const ms = { ssh: [] as number[], browser: [] as number[] };
    for (let count = -warmUps; count < keys; count += 1) {
      for (const way of ['ssh', 'browser'] as const) {
        await pause(10 + Math.random() * 20);
        const began = performance.now();
        // A letter, and the key that deletes it.
        await ways[way](count % 2 === 0 ? 'a' : '\x7f');
        if (count >= 0) ms[way].push(performance.now() - began);
      }
    }
    const [ssh50, page50] = [quantile(ms.ssh, 0.5), quantile(ms.browser, 0.5)];
    return [
      { name: 'key to echo by ssh, p50', value: ssh50, unit: 'ms' },
      { name: 'key to echo by ssh, p95', value: quantile(ms.ssh, 0.95), unit: 'ms' },
      { name: "key to echo over the page's WebSocket, p50", value: page50, unit: 'ms' },
      { name: "key to echo over the page's WebSocket, p95", value: quantile(ms.browser, 0.95), unit: 'ms' },
      { name: 'what the WebSocket adds, p50', value: page50 - ssh50, unit: 'ms', target: '<= 10 ms' },
    ];
  } finally {
    page.cut();
    client.kill();
    door.remove();
  }
}

interface Watched {
  pressedAt: number;
  echoMs: number[];
  drawnMs: number[];
}

/** From the key's event in Chromium to the frame after its echo. */
async function browser({ berth, id }: Stage): Promise<Figure[]> {
  if (skipWithoutBrowser !== false) return [];
  await ensureConsole(progress);
  const browser = await TestBrowser.open(berth);
  try {
    const person = await browser.person();
    const { page } = person;
    await page.addInitScript(() => {
      const world = globalThis as unknown as {
        watched: Watched;
        WebSocket: new (...words: string[]) => EventTarget;
        requestAnimationFrame: (then: () => void) => void;
      };
      const watched: Watched = { pressedAt: 0, echoMs: [], drawnMs: [] };
      world.watched = watched;
      world.WebSocket = class extends world.WebSocket {
        constructor(...words: string[]) {
          super(...words);
          this.addEventListener('message', (event) => {
            const began = watched.pressedAt;
            if (began === 0 || typeof (event as MessageEvent).data === 'string') return;
            watched.pressedAt = 0;
            watched.echoMs.push(performance.now() - began);
            world.requestAnimationFrame(() =>
              world.requestAnimationFrame(() => watched.drawnMs.push(performance.now() - began)),
            );
          });
        }
      };
      (globalThis as unknown as EventTarget).addEventListener(
        'keydown',
        () => (watched.pressedAt = performance.now()),
        true,
      );
    });
    await person.signIn('admin', firstPassword(berth));
    await person.visit(pathOf(pages.terminal, { id }));
    await page.locator('.xterm-helper-textarea').waitFor({ state: 'attached' });
    await pause(2000);
    for (let count = 0; count < keys / 2; count += 1) {
      await page.keyboard.press(count % 2 === 0 ? 'a' : 'Backspace');
      await pause(60);
    }
    await pause(500);
    const { echoMs, drawnMs } = await page.evaluate(
      () => (globalThis as unknown as { watched: Watched }).watched,
    );
    return [
      { name: 'key to echo in Chromium, p50', value: quantile(echoMs, 0.5), unit: 'ms' },
      { name: 'key to the frame after the next in Chromium, p50', value: quantile(drawnMs, 0.5), unit: 'ms' },
      {
        name: 'key to the frame after the next in Chromium, p95',
        value: quantile(drawnMs, 0.95),
        unit: 'ms',
      },
    ];
  } finally {
    await browser.close();
  }
}

async function output({ berth, id, origin, headers }: Stage): Promise<Figure[]> {
  const page = new TerminalPage({ origin, environment: id, headers, keeps: false });
  await page.connect();
  await page.hears('ready');
  await pause(500);
  const end = page.offset + outputBytes;
  const [began, beganCpu] = [performance.now(), cpuMs(berth.pid)];
  page.type(`head -c ${outputBytes} /dev/zero | tr '\\0' x\n`);
  await page.until(() => page.offset >= end, 300_000, 'the end');
  const seconds = (performance.now() - began) / 1000;
  const cpu = cpuMs(berth.pid) - beganCpu;
  page.cut();
  return [
    {
      name: 'output to a page that keeps up',
      value: outputBytes / 1e6 / seconds,
      unit: 'MB/s',
      target: '>= 10',
    },
    { name: "the server's time for it", value: (cpu * 1e6) / outputBytes, unit: 'ms/MB' },
  ];
}

async function files({ berth, id, headers }: Stage): Promise<Figure[]> {
  const path = `${pathOf(routes.files, { id })}?path=/gemini/code/bench&replace=true`;
  const block = randomBytes(1024 * 1024);
  const upload = request({
    ...berth.httpAddress,
    path,
    method: 'PUT',
    headers: { ...headers, 'content-type': 'application/octet-stream', 'content-length': fileBytes },
  });
  const answered = once(upload, 'response') as Promise<[IncomingMessage]>;
  const [beganUpload, restBytes] = [performance.now(), rssBytes(berth.pid)];
  let most = restBytes;
  for (let at = 0; at < fileBytes; at += block.length) {
    if (!upload.write(block)) await once(upload, 'drain');
    most = Math.max(most, rssBytes(berth.pid));
  }
  upload.end();
  (await answered)[0].resume();
  const uploadSeconds = (performance.now() - beganUpload) / 1000;
  const beganDownload = performance.now();
  const download = request({
    ...berth.httpAddress,
    path: `${pathOf(routes.files, { id })}?path=/gemini/code/bench`,
    headers,
  }).end();
  const [response] = (await once(download, 'response')) as [IncomingMessage];
  let got = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    got += chunk.length;
    most = Math.max(most, rssBytes(berth.pid));
  }
  if (got !== fileBytes) throw new Error(`${got} bytes came back`);
  const downloadSeconds = (performance.now() - beganDownload) / 1000;
  return [
    { name: 'upload of 1 GiB', value: fileBytes / 1e6 / uploadSeconds, unit: 'MB/s' },
    { name: 'download of 1 GiB', value: fileBytes / 1e6 / downloadSeconds, unit: 'MB/s' },
    { name: "the server's memory grew by", value: (most - restBytes) / 1024 ** 2, unit: 'MiB' },
  ];
}

/** A page that is opened at once waits for the environment. */
async function create({ berth, origin, headers }: Stage): Promise<Figure[]> {
  const ms: number[] = [];
  for (let run = 0; run < creations; run += 1) {
    const began = performance.now();
    const { env_id: id } = await berth.create({ name: `prompt-${run}` });
    const page = new TerminalPage({ origin, environment: id, headers, wake: true });
    await page.connect();
    await page.says(/\$ $/, 60_000);
    ms.push(performance.now() - began);
    page.cut();
    await berth.call('DELETE', pathOf(routes.environment, { id }));
    await berth.until(id, 'gone');
  }
  return [
    { name: 'from the request for an environment to its prompt, p50', value: quantile(ms, 0.5), unit: 'ms' },
  ];
}

/** Of the process, since it began; the kernel counts in hundredths of a second. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function rssBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
