/** The terminal's page in a real browser: what people do with it, and what must not happen to it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { pathOf, pages, routes } from '@berth/contract';
import type { TerminalSessions, TokenPage } from '@berth/contract';
import type { Page } from 'playwright-core';
import { TestBerth, docker } from '../harness/berth.ts';
import { eventually } from '../harness/ssh.ts';
import { TestBrowser, everyLook, firstPassword, skipWithoutBrowser } from './browser.ts';
import type { Looks, Person } from './browser.ts';
import { widthOf } from '../../packages/console/src/pages/terminal/widths.ts';
import { FailingNetwork } from './cut.ts';

/** Of the page's own world, whose types are not known here. */
interface Clipboard {
  clipboard: { readText(): Promise<string>; writeText(text: string): Promise<void> };
}

describe('the terminal in a browser', { skip: skipWithoutBrowser }, () => {
  let berth: TestBerth;
  let browser: TestBrowser;
  let network: FailingNetwork;
  let id: string;
  let folder: string;
  const persons: Person[] = [];
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-terminal-'));
    berth = await TestBerth.start({ gateway: true });
    browser = await TestBrowser.open(berth);
    network = await FailingNetwork.open(() => berth.httpAddress);
    ({ env_id: id } = await berth.createRunning({ name: 'Demo', resources: { cpu: 2, memory: 1 } }));
  });
  afterEach(async () => {
    for (const person of persons.splice(0)) {
      const faults = person.faults.filter((fault) => !fault.includes('ERR_NETWORK_CHANGED'));
      await person.close();
      assert.deepEqual(faults, []);
    }
    for (const { session } of (await sessions()).items)
      await berth.call('DELETE', pathOf(routes.terminalSession, { id, session }));
    await eventually(sessions, ({ items }) => items.length === 0);
  });
  after(async () => {
    await browser?.close();
    network?.close();
    await berth?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const sessions = async () =>
    (await berth.call<TerminalSessions>('GET', pathOf(routes.terminals, { id }))).body;
  const inside = async (command: string) => {
    const [found] = await docker.listContainers({ filters: { label: [`berth.environment=${id}`] } });
    const exec = await docker.getContainer(found?.Id ?? '').exec({
      Cmd: ['sh', '-c', command],
      User: '1000',
      Env: ['HOME=/home/developer'],
      AttachStdout: true,
      AttachStderr: true,
      Tty: true,
    });
    const stream = await exec.start({ hijack: true, stdin: false, Tty: true });
    let said = '';
    stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await once(stream, 'end');
    return said.replaceAll('\r\n', '\n');
  };
  const signedIn = async (looks: Looks = {}, origin = browser.base) => {
    const person = await browser.person(looks, { baseURL: origin, acceptDownloads: true });
    persons.push(person);
    await person.signIn('admin', firstPassword(berth));
    return person;
  };
  const path = () => pathOf(pages.terminal, { id });
  /** At the prompt. */
  const terminal = async (looks: Looks = {}, origin?: string) => {
    const person = await signedIn(looks, origin);
    await person.visit(path());
    await shows(person.page, /\$ $/m);
    return person;
  };
  const menu = async (page: Page, item: string) => {
    await page.getByRole('button', { name: 'More' }).click();
    await page.getByRole('button', { name: item }).click();
  };
  /** All that the terminal with the focus shows and can scroll to. */
  const textOf = async (page: Page) => {
    const [download] = await Promise.all([page.waitForEvent('download'), menu(page, 'Save as text')]);
    return readFileSync(await download.path(), 'utf8');
  };
  const shows = async (page: Page, pattern: RegExp, withinMs = 20_000) => {
    const text = await eventually(
      () => textOf(page),
      (found) => pattern.test(found.trimEnd().concat(' ')),
      withinMs,
    );
    await focus(page);
    return text;
  };
  const focus = (page: Page) => page.locator('.xterm-helper-textarea').last().focus();
  const type = async (page: Page, text: string) => {
    await focus(page);
    await page.keyboard.insertText(text.replace(/\n$/, ''));
    if (text.endsWith('\n')) await page.keyboard.press('Enter');
  };

  test('is a shell that is typed into, and of the size of the window', async () => {
    const { page } = await terminal();
    await type(page, 'echo "size $(stty size) 漢字"\n');
    const [, before = ''] = /size (\d+ \d+) 漢字/.exec(await shows(page, /size \d+ \d+ 漢字/)) ?? [];
    await page.setViewportSize({ width: 900, height: 500 });
    await type(page, 'clear; echo "now $(stty size)"\n');
    const [, now = ''] = /now (\d+ \d+)/.exec(await shows(page, /now \d+ \d+/)) ?? [];
    const [rows = 0, columns = 0] = before.split(' ').map(Number);
    const [newRows = 0, newColumns = 0] = now.split(' ').map(Number);
    assert.ok(rows > 30 && columns > 120, before);
    assert.ok(newRows < rows && newColumns < columns && newRows > 10 && newColumns > 80, now);
  });

  test('takes two million lines, with a live page and the right last line', async (t) => {
    const { page } = await terminal();
    await page.evaluate(() => {
      const watched = globalThis as unknown as { longest: number };
      watched.longest = 0;
      let last = performance.now();
      setInterval(() => {
        watched.longest = Math.max(watched.longest, performance.now() - last);
        last = performance.now();
      }, 10);
    });
    const began = performance.now();
    await type(page, 'seq 1 2000000; touch /tmp/counted\n');
    // While it prints, the page answers a click.
    await page.getByRole('button', { name: 'Search' }).click({ timeout: 5000 });
    await page.keyboard.press('Escape');
    await eventually(
      () => inside('ls /tmp'),
      (files) => files.includes('counted'),
      120_000,
      200,
    );
    const text = await shows(page, /2000000\n.*\$ $/, 20_000);
    const seconds = (performance.now() - began) / 1000;
    assert.match(text, /\n1999998\n1999999\n2000000\n/);
    const longest = await page.evaluate(() => (globalThis as unknown as { longest: number }).longest);
    t.diagnostic(
      `${(16.9 / seconds).toFixed(1)} MB/s; the page was busy for ${Math.round(longest)} ms at most`,
    );
    assert.ok(longest < 2000, `${longest} ms`);
  });

  test('runs vim, tmux and htop', async () => {
    const { page } = await terminal();
    await type(page, 'vim -u NONE /tmp/note.txt\n');
    await shows(page, /note\.txt/);
    await page.keyboard.type('ione 漢字');
    await page.keyboard.press('Enter');
    await page.keyboard.type('two 😀');
    await page.keyboard.press('Escape');
    await page.keyboard.press('ArrowUp');
    await page.keyboard.type('0ix');
    await page.keyboard.press('Escape');
    await page.keyboard.type(':wq\n');
    await eventually(
      () => inside('cat /tmp/note.txt'),
      (text) => text === 'xone 漢字\ntwo 😀\n',
    );

    await type(page, 'tmux new-session -s works\n');
    await shows(page, /\[works\]/);
    await page.keyboard.press('Control+b');
    await page.keyboard.press('%');
    await shows(page, /│/);
    await type(page, 'echo "right $((20 + 2))"\n');
    await shows(page, /│.*right 22/);
    await type(page, 'tmux kill-server\n');
    await shows(page, /\[(exited|server exited)\]\n.*\$ $/);

    await type(page, 'htop\n');
    await shows(page, /F10Quit/);
    await page.keyboard.press('F10');
    await shows(page, /htop\n.*\$ $/);
  });

  test('loses and doubles no character when it is cut 20 times', async () => {
    const { page } = await terminal({}, network.origin);
    await type(
      page,
      'clear; stty -echo; for n in $(seq 1 3000); do echo "line $n 漢字"; sleep 0.002; done; stty echo; echo over\n',
    );
    for (let cuts = 0; cuts < 20; cuts += 1) {
      await eventually(
        () => network.size,
        (size) => size > 0,
        10_000,
        5,
      );
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 300));
      network.cut();
      if (cuts === 10) {
        network.down();
        await page.getByText('The connection was lost').waitFor();
        await page.keyboard.insertText('echo typed while it was down');
        await page.keyboard.press('Enter');
        network.up();
      }
    }
    const text = await shows(page, /\ntyped while it was down\n/, 40_000);
    const lines = text.match(/^line \d+ 漢字$/gm) ?? [];
    assert.deepEqual(
      lines,
      Array.from({ length: 3000 }, (_, index) => `line ${index + 1} 漢字`),
    );
    assert.equal(text.match(/^typed while it was down$/gm)?.length, 1);
  });

  test('is found again by a reload and by another device, with what was said before', async () => {
    const person = await terminal();
    const { page } = person;
    await page.keyboard.press('Control+Shift+D');
    await page.locator('.xterm').nth(1).waitFor();
    await shows(page, /\$ $/m);
    await type(page, 'echo "begun $((40 + 2))"; cat -v\n');
    await shows(page, /begun 42/);
    const before = (await sessions()).items.map(({ session }) => session).sort();
    assert.equal(before.length, 2);
    await page.reload();
    await page.locator('.xterm').nth(1).waitFor();
    const text = await shows(page, /begun 42/);
    // What programs asked of the terminal before is not answered again into what runs now.
    assert.doesNotMatch(text, /\^\[\[|\^\[\]/);
    await type(page, 'still here\n');
    await shows(page, /still here\nstill here/);
    const device = await signedIn();
    await device.visit(path());
    await eventually(
      () => device.page.locator('[data-tab]').count(),
      (count) => count === 2,
    );
    await device.page.locator('[data-tab]').last().click();
    await shows(device.page, /begun 42\nstill here\nstill here/);
    assert.deepEqual((await sessions()).items.map(({ session }) => session).sort(), before);
  });

  test('has the widths that the programs inside reckon with', async () => {
    const said = await inside(`LC_ALL=C.UTF-8 python3 -c "${widthsOfTheLibrary}"`);
    const library = JSON.parse(said) as number[];
    const differing = library.flatMap((width, codepoint) =>
      width >= 0 && codepoint >= 0x20 && widthOf(codepoint) !== width ? [codepoint.toString(16)] : [],
    );
    assert.ok(library.length > 100_000);
    assert.deepEqual(differing, []);
    const { page } = await terminal();
    await inside(`cat > /tmp/widths.py <<'END'\n${widthsOnScreen}\nEND`);
    await type(page, 'clear; python3 /tmp/widths.py\n');
    const text = await shows(page, /measured \d+/);
    assert.match(text, /measured 24 wrong 0/);
  });

  test('asks before several lines are pasted, and copies what is selected', async () => {
    const { page } = await terminal();
    const paste = async (text: string) => {
      await page.evaluate((given) => (navigator as unknown as Clipboard).clipboard.writeText(given), text);
      await focus(page);
      await page.keyboard.press('Control+Shift+V');
    };
    await paste('echo one');
    await shows(page, /\$ echo one/);
    await page.keyboard.press('Control+u');
    await paste('touch /tmp/first\ntouch /tmp/second\n');
    await page.getByRole('dialog', { name: 'Paste 2 lines?' }).waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    assert.doesNotMatch(await textOf(page), /touch/);
    await paste('touch /tmp/first\ntouch /tmp/second\n');
    await page.getByRole('button', { name: 'Paste', exact: true }).click();
    await shows(page, /touch \/tmp\/second/);
    await page.keyboard.press('Enter');
    await eventually(
      () => inside('ls /tmp'),
      (files) => /first/.test(files) && /second/.test(files),
    );
    // A copied text cannot end the paste and run what follows.
    await paste('echo \x1b[201~; touch /tmp/escaped\r');
    await page
      .getByRole('button', { name: 'Paste', exact: true })
      .click({ timeout: 2000 })
      .catch(() => undefined);
    await shows(page, /escaped/);
    assert.doesNotMatch(await inside('ls /tmp'), /escaped/);
    await page.keyboard.press('Control+c');
    await type(page, "clear; printf 'selected-word\\n'\n");
    await shows(page, /^selected-word$/m);
    const box = await page.locator('.xterm-screen').first().boundingBox();
    await page.mouse.dblclick((box?.x ?? 0) + 30, (box?.y ?? 0) + 8);
    await eventually(
      () => page.evaluate(() => (navigator as unknown as Clipboard).clipboard.readText()),
      (text) => text === 'selected-word',
    );
  });

  test('finds a text, opens links, and shows it larger or in other colours', async () => {
    const { page } = await terminal();
    await type(page, 'clear; echo see https://example.com/page now; seq 1 20\n');
    await shows(page, /see https/);
    const box = await page.locator('.xterm-screen').first().boundingBox();
    const [x, y] = [(box?.x ?? 0) + 100, (box?.y ?? 0) + 9];
    await page.mouse.move(x - 10, y);
    await page.mouse.move(x, y);
    const [opened] = await Promise.all([page.context().waitForEvent('page'), page.mouse.click(x, y)]);
    assert.equal(await opened.evaluate(() => (globalThis as unknown as { opener: unknown }).opener), null);
    await opened.close();
    await type(page, 'clear; seq 1 500\n');
    await shows(page, /^500$/m);
    await page.keyboard.press('Control+Shift+F');
    await page.getByPlaceholder('Text to look for').fill('42');
    await page.getByText(/^\d+ of 15$/).waitFor();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Escape');
    const columns = async () => {
      await type(page, 'clear; echo "columns $(tput cols)"\n');
      return Number(/columns (\d+)/.exec(await shows(page, /columns \d+/))?.[1]);
    };
    const usual = await columns();
    for (let count = 0; count < 4; count += 1) await page.keyboard.press('Control+Equal');
    assert.ok((await columns()) < usual);
    await page.keyboard.press('Control+0');
    assert.equal(await columns(), usual);
    const background = () =>
      page
        .locator('[data-renderer]')
        .first()
        .evaluate(
          (element) => (element as unknown as { style: { backgroundColor: string } }).style.backgroundColor,
        );
    const light = await background();
    await page.getByRole('button', { name: 'More' }).click();
    await page.getByRole('radio', { name: 'High contrast' }).click();
    assert.equal(await background(), 'rgb(0, 0, 0)');
    await page.getByRole('radio', { name: 'As the console' }).click();
    assert.equal(await background(), light);
  });

  test('uploads what is dropped into the folder in which it works, and downloads by a click', async () => {
    const { page } = await terminal();
    await inside('mkdir -p /gemini/code/here');
    await type(page, 'cd /gemini/code/here; clear\n');
    await shows(page, /here\$ $/);
    const content = randomBytes(20 * 1024 * 1024);
    const file = join(folder, '数据 1.bin');
    writeFileSync(file, content);
    const drop = () => dropFile(page, '.xterm', file);
    await drop();
    await page.getByText(/in \/gemini\/code\/here\/数据 1\.bin/).waitFor();
    const digest = createHash('sha256').update(content).digest('hex');
    assert.match(await inside('sha256sum "/gemini/code/here/数据 1.bin"'), new RegExp(`^${digest}`));
    await drop();
    await page.getByText(/is there already/).waitFor();
    await page.getByRole('button', { name: 'Replace it' }).click();
    await eventually(
      () => page.getByText(/20 MB in/).count(),
      (count) => count === 2,
    );
    await page.getByRole('button', { name: 'Files' }).click();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download 数据 1.bin' }).click(),
    ]);
    assert.equal(download.suggestedFilename(), '数据 1.bin');
    assert.equal(
      createHash('sha256')
        .update(readFileSync(await download.path()))
        .digest('hex'),
      digest,
    );
  });

  test('says that the environment is stopped, and starts it when it is told to', async () => {
    const person = await terminal();
    const { page } = person;
    await berth.call('POST', pathOf(routes.environmentStop, { id }));
    await berth.until(id, 'stopped');
    await page.getByText('The environment does not run.').waitFor();
    await page.reload();
    await page.getByText('The environment does not run.').waitFor();
    assert.equal((await berth.show(id))?.status, 'stopped', 'a page that is loaded again undoes no stop');
    await page.getByRole('button', { name: 'Start and connect' }).click();
    await page.getByText('This terminal has ended.').waitFor({ timeout: 30_000 });
    await page.getByRole('button', { name: 'New terminal' }).last().click();
    await shows(page, /\$ $/m);
    assert.equal((await berth.show(id))?.status, 'running');
  });

  test('ends when the session of whoever is signed in is over', async () => {
    const { page } = await terminal();
    const { body } = await berth.call<TokenPage>('GET', `${routes.tokens}?kind=session`);
    for (const token of body.items)
      await berth.call('DELETE', pathOf(routes.token, { id: String(token.id) }));
    await page.getByText('The connection was ended.').waitFor();
    await page.getByRole('button', { name: 'Connect again' }).click();
    await page.waitForURL((url) => url.pathname === pages.signIn);
    assert.equal(new URL(page.url()).searchParams.get('from'), path());
  });

  test('ends a terminal by its cross, after a question where a program runs', async () => {
    const { page } = await terminal();
    await page.getByRole('button', { name: 'New terminal' }).click();
    await eventually(
      () => page.locator('[data-tab]').count(),
      (count) => count === 2,
    );
    await shows(page, /\$ $/m);
    await type(page, 'sleep 1000\n');
    await eventually(sessions, ({ items }) => items.some(({ command }) => command === 'sleep'));
    await page
      .getByRole('button', { name: /^End: / })
      .last()
      .click();
    await page.getByText('sleep runs in it and would be ended too.').waitFor();
    await page.getByRole('button', { name: 'End this terminal' }).click();
    await eventually(
      () => page.locator('[data-tab]').count(),
      (count) => count === 1,
    );
    await eventually(sessions, ({ items }) => items.length === 1);
    await type(page, 'exit\n');
    await page.getByText('The shell has ended with status 0.').waitFor();
  });

  for (const [look, looks] of everyLook) {
    test(`is well made as ${look}`, async () => {
      const person = await signedIn(looks);
      await person.visit(path());
      const { page } = person;
      await eventually(sessions, ({ items }) => items.length === 1);
      await focus(page);
      await page.keyboard.insertText('ls --color=always /; echo "漢字 かな 한글 😀"; git --version');
      await page.keyboard.press('Enter');
      if (looks.phone !== true) await page.keyboard.press('Control+Shift+D');
      await eventually(sessions, ({ items }) => items.length === (looks.phone === true ? 1 : 2));
      await page.locator('[data-renderer]').last().waitFor();
      await eventually(
        () => page.getByRole('status').count(),
        (count) => count === 0,
      );
      await person.picture(`terminal/${look}`);
      assert.deepEqual(await person.violations(), [], look);
      await page.locator('button[aria-haspopup=dialog]').last().click();
      await page.getByRole('radio').first().waitFor();
      await person.picture(`terminal-menu/${look}`);
      assert.deepEqual(await person.violations(), [], `${look} menu`);
      await page.keyboard.press('Escape');
    });
  }
});

/** As from the desktop. */
async function dropFile(page: Page, selector: string, file: string): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const box = await page.locator(selector).first().boundingBox();
  const [x, y] = [(box?.x ?? 0) + 50, (box?.y ?? 0) + 50];
  const data = { items: [], files: [file], dragOperationsMask: 1 };
  for (const kind of ['dragEnter', 'dragOver', 'drop'] as const)
    await session.send('Input.dispatchDragEvent', { type: kind, x, y, data });
  await session.detach();
}

/** Of each character, by the C library inside; -1: it is none. */
const widthsOfTheLibrary = `
import ctypes, json, locale
locale.setlocale(locale.LC_ALL, '')
libc = ctypes.CDLL(None)
libc.wcwidth.argtypes = [ctypes.c_wchar]
print(json.dumps([-1 if 0xd800 <= c < 0xe000 else libc.wcwidth(chr(c)) for c in range(0x20000)]))
`;

/** Writes texts and asks where the cursor stands, beside what the C library says of their width. */
const widthsOnScreen = `
import ctypes, locale, re, sys, termios, tty
locale.setlocale(locale.LC_ALL, '')
libc = ctypes.CDLL(None)
libc.wcswidth.argtypes = [ctypes.c_wchar_p, ctypes.c_size_t]
texts = ['plain', '漢字', 'かな', '한글', 'ａｂ', 'ｱｲ', '😀', '🫠', '🚀x', '👍🏽', '❤', '❤️', 'é', 'e\\u0301', '①', '—', '…', '“', '·', '→', '│', '█', '中文，标点。', '👩‍💻']
old = termios.tcgetattr(0)
tty.setraw(0)
wrong = []
try:
    for text in texts:
        sys.stdout.write('\\r\\x1b[K' + text + '\\x1b[6n')
        sys.stdout.flush()
        reply = ''
        while not reply.endswith('R'):
            reply += sys.stdin.read(1)
        column = int(re.search(r';(\\d+)R$', reply).group(1)) - 1
        if column != libc.wcswidth(text, len(text)):
            wrong.append((text, column, libc.wcswidth(text, len(text))))
finally:
    termios.tcsetattr(0, termios.TCSADRAIN, old)
print('\\r\\x1b[Kmeasured', len(texts), 'wrong', len(wrong), wrong)
`;
