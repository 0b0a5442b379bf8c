/**
 * Real Chromium in front of a real Berth: one browser a test file, contexts as persons have them (light or dark, phone or
 * desk, English or Chinese), signed in through the page itself.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createInstance } from 'i18next';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { pages } from '@berth/contract';
import { first as firstEn } from '../../packages/console/src/i18n/en/first.ts';
import { later as laterEn } from '../../packages/console/src/i18n/en/later.ts';
import { first as firstZh } from '../../packages/console/src/i18n/zh-CN/first.ts';
import { later as laterZh } from '../../packages/console/src/i18n/zh-CN/later.ts';
import { TestBerth, skipWithoutDocker } from '../harness/berth.ts';

const executable = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);

/** Why tests in a browser cannot run here; false when they can. */
export const skipWithoutBrowser: string | false =
  skipWithoutDocker || (executable === undefined ? 'needs Chromium (package chromium)' : false);

/** Where pictures of the pages are written; no part of the repository. */
export const pictureFolder =
  process.env['BERTH_PICTURES'] ?? fileURLToPath(new URL('../../.cache/pictures', import.meta.url));

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export type Language = 'en' | 'zh-CN';
export const languages: Language[] = ['en', 'zh-CN'];

const dictionary = createInstance({ defaultNS: 'console', interpolation: { escapeValue: false } });
await dictionary.init({
  resources: {
    en: { console: { ...firstEn, ...laterEn } },
    'zh-CN': { console: { ...firstZh, ...laterZh } },
  },
});

/** What the console says in a language, by the keys of its strings. */
export function wordsOf(
  language: Language,
): (key: string, values?: Record<string, string | number>) => string {
  return (key, values = {}) => {
    const text = dictionary.t(key as never, { ...values, lng: language }) as string;
    if (text === key) throw new Error(`the console has no string ${key}`);
    return text;
  };
}

export interface Looks {
  scheme?: 'light' | 'dark';
  phone?: boolean;
  language?: Language;
}

/** Each way in which a page is looked at: its name, and how the browser is set up for it. */
export const everyLook: [name: string, Looks][] = languages.flatMap((language) =>
  (['light', 'dark'] as const).flatMap((scheme) =>
    [false, true].map((phone): [string, Looks] => [
      `${language}-${scheme}${phone ? '-phone' : ''}`,
      { language, scheme, phone },
    ]),
  ),
);

export class TestBrowser {
  readonly #browser: Browser;
  readonly #profile: string;
  readonly #base: () => string;

  private constructor(browser: Browser, profile: string, base: () => string) {
    this.#browser = browser;
    this.#profile = profile;
    this.#base = base;
  }

  /** @param of what its pages are asked from: a Berth, whose address may change when it is started again, or an origin */
  static async open(of: TestBerth | string): Promise<TestBrowser> {
    const profile = mkdtempSync(join(tmpdir(), 'berth-chromium-'));
    const browser = await chromium.launch({
      executablePath: executable ?? '',
      // Chromium keeps no sandbox of its own for root, and asks nobody outside.
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
      env: { ...process.env, HOME: profile },
    });
    const base = () => {
      if (typeof of === 'string') return of;
      const { host, port } = of.httpAddress;
      return `http://${host}:${port}`;
    };
    return new TestBrowser(browser, profile, base);
  }

  get base(): string {
    return this.#base();
  }

  /** A person's browser, in which nobody is signed in. What a page does wrong by itself is collected in `faults`. */
  async person(
    { scheme = 'light', phone = false, language = 'en' }: Looks = {},
    options: BrowserContextOptions = {},
  ): Promise<Person> {
    const context = await this.#browser.newContext({
      baseURL: this.#base(),
      locale: language,
      colorScheme: scheme,
      reducedMotion: 'reduce',
      viewport: phone ? { width: 390, height: 844 } : { width: 1280, height: 900 },
      ...(phone ? { hasTouch: true, isMobile: true, deviceScaleFactor: 2 } : {}),
      ...options,
    });
    context.setDefaultTimeout(15_000);
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: this.#base() });
    return new Person(context, await context.newPage());
  }

  async close(): Promise<void> {
    await this.#browser.close();
    rmSync(this.#profile, { recursive: true, force: true });
  }
}

export class Person {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Errors that no page may have: exceptions, and what its own policy refused. */
  readonly faults: string[] = [];

  constructor(context: BrowserContext, page: Page) {
    this.context = context;
    this.page = page;
    page.on('pageerror', (error) => this.faults.push(`${page.url()}: ${error.stack ?? error.message}`));
    page.on('response', (response) => {
      if (response.status() >= 500) this.faults.push(`${response.url()}: ${response.status()}`);
    });
    page.on('console', (message) => {
      if (/Content.Security.Policy/i.test(message.text()))
        this.faults.push(`${page.url()}: ${message.text()}`);
    });
  }

  async signIn(account: string, password: string): Promise<void> {
    const name = this.page.locator('input[name=account]');
    await this.page.goto(pages.signIn);
    // A container that starts gives the machine another network address, at which Chromium drops whatever it loads.
    for (let tries = 0; tries < 3 && !(await isThere(name)); tries += 1) await this.page.reload();
    await name.fill(account);
    await this.page
      .locator('input[name=account]')
      .fill(account)
      .catch(async (error: Error) => {
        throw new Error(`${error.message}\n${this.faults.join('\n')}\n${await this.page.content()}`);
      });
    await this.page.locator('input[name=password]').fill(password);
    await this.page.locator('button[type=submit]').click();
    await this.page.waitForURL((url) => url.pathname !== pages.signIn);
  }

  /** Goes to a page and waits until it has been drawn with what the server told it. */
  async visit(path: string): Promise<Page> {
    await this.page.goto(path);
    await this.settled();
    return this.page;
  }

  /** Nothing is being loaded any more, fonts among it. */
  async settled(): Promise<void> {
    await this.page.locator('h1').first().waitFor();
    await this.page
      .locator('.mantine-Loader-root, .mantine-Skeleton-root, [data-loading=true]')
      .first()
      .waitFor({ state: 'detached' });
    await this.page.evaluate(async () => {
      await (globalThis as unknown as { document: { fonts: { ready: Promise<unknown> } } }).document.fonts
        .ready;
    });
  }

  /** What axe-core finds on the page as it is now, each in one line. */
  async violations(): Promise<string[]> {
    // In a world of its own: the page's policy stays in force for the page itself.
    const session = await this.context.newCDPSession(this.page);
    try {
      const { frameTree } = await session.send('Page.getFrameTree');
      const { executionContextId } = await session.send('Page.createIsolatedWorld', {
        frameId: frameTree.frame.id,
        worldName: 'axe',
      });
      const evaluate = async (expression: string) => {
        const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
          expression,
          contextId: executionContextId,
          awaitPromise: true,
          returnByValue: true,
        });
        if (exceptionDetails)
          throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
        return result.value as unknown;
      };
      await evaluate(axeSource);
      return (await evaluate(
        `axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.flatMap(({ id, help, nodes }) =>
          nodes.map(({ target, failureSummary }) => id + ': ' + help + ' at ' + target.join(' ') + ' (' + failureSummary + ')')))`,
      )) as string[];
    } finally {
      await session.detach();
    }
  }

  /** What was copied last. */
  async clipboard(): Promise<string> {
    return this.page.evaluate(() =>
      (
        globalThis as unknown as { navigator: { clipboard: { readText(): Promise<string> } } }
      ).navigator.clipboard.readText(),
    );
  }

  /** Whether one has to scroll sideways to see all of the page. */
  async isTooWide(): Promise<boolean> {
    return this.page.locator('html').evaluate((html) => {
      const { scrollWidth, clientWidth } = html as unknown as { scrollWidth: number; clientWidth: number };
      return scrollWidth > clientWidth;
    });
  }

  /** @param name such as `environments/en-light` */
  async picture(name: string): Promise<void> {
    const path = join(pictureFolder, `${name}.png`);
    mkdirSync(join(path, '..'), { recursive: true });
    await this.page.screenshot({ path, fullPage: true });
  }

  async close(): Promise<void> {
    await this.context.close();
  }
}

async function isThere(what: Locator): Promise<boolean> {
  return what.waitFor({ timeout: 5000 }).then(
    () => true,
    () => false,
  );
}

/** The password that a new Berth gave its admin. */
export function firstPassword(berth: TestBerth): string {
  return readFileSync(join(berth.dataDir, 'admin-password'), 'utf8').trim();
}
