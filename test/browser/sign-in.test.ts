/** Signing in, what a person has of their own, and what other people's pages cannot do. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { CreatedAccount, TokenPage, Whoami } from '@berth/contract';
import { pages, routes } from '@berth/contract';
import { TestBerth, call } from '../harness/berth.ts';
import { TestBrowser, firstPassword, languages, skipWithoutBrowser, wordsOf } from './browser.ts';
import type { Looks, Person } from './browser.ts';

const ownPassword = 'Of-My-Own-2-Choose';

for (const language of languages) {
  const say = wordsOf(language);
  describe(`a person in ${language}`, { skip: skipWithoutBrowser }, () => {
    let berth: TestBerth;
    let browser: TestBrowser;
    before(async () => {
      berth = await TestBerth.start();
      browser = await TestBrowser.open(berth);
    });
    after(async () => {
      await browser?.close();
      await berth?.remove();
    });

    /** An account with a password that was chosen for it. */
    const account = async (name: string): Promise<{ name: string; password: string }> => {
      const { body } = await berth.call<CreatedAccount>('POST', routes.accounts, { name });
      return { name, password: body.password ?? '' };
    };
    const withPerson = async (use: (person: Person) => Promise<void>, looks: Looks = {}): Promise<void> => {
      const person = await browser.person({ language, ...looks });
      try {
        await use(person);
        assert.deepEqual(person.faults, []);
      } finally {
        await person.close();
      }
    };
    const pathOfPage = ({ page }: Person) => new URL(page.url()).pathname;

    test('with a password that was made for them is welcomed, and chooses one of their own', () =>
      withPerson(async (person) => {
        const { page } = person;
        const made = firstPassword(berth);
        await page.goto(pages.signIn);
        await page.locator('input[name=account]').fill('admin');
        await page.locator('input[name=password]').fill('not it');
        await page.keyboard.press('Enter');
        await page.getByText(say('signIn.wrong')).waitFor();
        await page.locator('input[name=password]').fill(made);
        await page.getByRole('button', { name: say('signIn.action'), exact: true }).click();
        await page.getByRole('heading', { name: say('account.welcome.title') }).waitFor();
        await page.locator('input[name=new]').fill('short');
        await page.locator('input[name=repeated]').fill('short');
        await page.getByRole('button', { name: say('account.welcome.save') }).click();
        await page.getByText(language === 'en' ? 'the password does not do' : '密码不符合要求').waitFor();
        await page.locator('input[name=new]').fill(ownPassword);
        await page.locator('input[name=repeated]').fill(`${ownPassword}x`);
        await page.getByText(say('account.differs')).waitFor();
        assert.equal(
          await page.getByRole('button', { name: say('account.welcome.save') }).isDisabled(),
          true,
        );
        await page.locator('input[name=repeated]').fill(ownPassword);
        await page.getByRole('button', { name: say('account.welcome.save') }).click();
        await page.getByText(say('account.welcome.done')).waitFor();
        assert.ok(!existsSync(join(berth.dataDir, 'admin-password')));
        await page.getByRole('link', { name: say('account.welcome.goOn') }).click();
        await page.getByRole('heading', { name: say('environments.title'), level: 1 }).waitFor();
      }));

    test('who has the password in force is not asked for another', () =>
      withPerson(async (person) => {
        await person.signIn('admin', ownPassword);
        assert.equal(pathOfPage(person), pages.environments);
      }));

    test('is led to the sign-in from any page, and back to it', async () => {
      const { name, password } = await account('wanderer');
      await withPerson(async (person) => {
        const { page } = person;
        await page.goto(`${pages.environments}?search=demo&sort=name`);
        await page.waitForURL((url) => url.pathname === pages.signIn);
        assert.equal(
          new URL(page.url()).searchParams.get('from'),
          `${pages.environments}?search=demo&sort=name`,
        );
        await page.locator('input[name=account]').fill(name);
        await page.locator('input[name=password]').fill(password);
        await page.keyboard.press('Enter');
        await page.getByRole('link', { name: say('account.welcome.later') }).click();
        await page.waitForURL((url) => url.pathname === pages.environments);
        assert.equal(new URL(page.url()).search, '?search=demo&sort=name');
      });
    });

    test('is led nowhere else after signing in, whatever a link says', async () => {
      const { name, password } = await account('lured');
      for (const from of [
        '//evil.example/',
        'https://evil.example/',
        '/\\evil.example',
        '/\t/evil.example',
        'javascript:alert(1)',
        '\\\\evil.example',
      ]) {
        await withPerson(async (person) => {
          const { page } = person;
          const asked: string[] = [];
          page.on('request', (request) => asked.push(new URL(request.url()).host));
          await page.goto(`${pages.signIn}?from=${encodeURIComponent(from)}`);
          await page.locator('input[name=account]').fill(name);
          await page.locator('input[name=password]').fill(password);
          await page.keyboard.press('Enter');
          await page.getByRole('link', { name: say('account.welcome.later') }).click();
          await page.getByRole('heading', { name: say('environments.title'), level: 1 }).waitFor();
          assert.equal(pathOfPage(person), pages.environments, from);
          const { host, port } = berth.httpAddress;
          assert.deepEqual([...new Set(asked)], [`${host}:${port}`], from);
        });
      }
    });

    test('sees where they are signed in, and ends the others', async () => {
      const { name, password } = await account('elsewhere');
      await withPerson(async (forgotten) => {
        await forgotten.signIn(name, password);
        await withPerson(async (person) => {
          await person.signIn(name, password);
          const page = await person.visit(pages.account);
          const table = page.getByRole('table', { name: say('account.signIns') });
          await table.getByText('Chrome, Linux').first().waitFor();
          assert.equal(await table.getByText(say('account.thisOne')).count(), 1);
          assert.equal(await table.locator('tbody tr').count(), 2);
          await table.getByRole('button', { name: say('account.endOf', { name: 'Chrome, Linux' }) }).click();
          await table
            .getByRole('button', { name: say('account.endOf', { name: 'Chrome, Linux' }) })
            .waitFor({ state: 'detached' });
          assert.equal(await table.locator('tbody tr').count(), 1);
        });
        await forgotten.page.goto(pages.account);
        await forgotten.page.waitForURL((url) => url.pathname === pages.signIn);
      });
    });

    test('signs out, and the session opens nothing any more', async () => {
      const { name, password } = await account('leaver');
      await withPerson(async (person) => {
        await person.signIn(name, password);
        const page = await person.visit(pages.environments);
        const [cookie] = await person.context.cookies();
        await page.getByRole('button', { name: say('shell.signOut') }).click();
        await page.waitForURL((url) => url.pathname === pages.signIn);
        assert.deepEqual(await person.context.cookies(), []);
        const answer = await call(berth.httpAddress, 'GET', routes.whoami, undefined, {
          cookie: `${cookie?.name}=${cookie?.value}`,
        });
        assert.equal(answer.status, 401);
      });
    });

    test('makes a token, which is shown once and works', async () => {
      const { name, password } = await account('programmer');
      await withPerson(async (person) => {
        await person.signIn(name, password);
        const page = await person.visit(pages.account);
        await page.getByRole('button', { name: say('account.makeToken') }).click();
        const dialog = page.getByRole('dialog');
        await dialog.getByRole('textbox', { name: say('account.tokenName') }).fill('CI of a project');
        await dialog.getByRole('checkbox', { name: say('account.scopes.write') }).uncheck();
        await dialog.getByText("berth tokens add 'CI of a project' --scope read --expires 90").waitFor();
        assert.deepEqual(await person.violations(), []);
        await dialog.getByRole('button', { name: say('account.makeToken') }).click();
        await page.getByText(say('account.tokenOnce')).waitFor();
        await page
          .getByRole('button', { name: say('copy.copyLabel', { label: say('account.token') }) })
          .click();
        const token = await person.clipboard();
        assert.match(token, /^berth_[A-Za-z0-9_-]{43}$/);
        const headers = { authorization: `Bearer ${token}` };
        const who = await call<Whoami>(berth.httpAddress, 'GET', routes.whoami, undefined, headers);
        assert.deepEqual([who.body.account, who.body.scopes], [name, ['read']]);
        await person.visit(pages.account);
        assert.equal(await page.getByText(token).count(), 0);
        await page.getByText('CI of a project').waitFor();
        await page
          .getByRole('button', { name: say('account.deleteToken', { name: 'CI of a project' }) })
          .click();
        await page.getByText(say('account.noTokens')).waitFor();
        assert.equal((await call(berth.httpAddress, 'GET', routes.whoami, undefined, headers)).status, 401);
      });
    });

    test("is shown the browser's language, and the chosen one from then on", async () => {
      const { name, password } = await account('reader');
      const other = language === 'en' ? 'zh-CN' : 'en';
      const sayOther = wordsOf(other);
      await withPerson(async (person) => {
        const { page } = person;
        await page.goto(pages.signIn);
        await page.getByRole('heading', { name: say('signIn.title') }).waitFor();
        assert.equal(await page.locator('html').getAttribute('lang'), language);
        await page.getByText({ en: 'English', 'zh-CN': '简体中文' }[other]).click();
        await page.getByRole('heading', { name: sayOther('signIn.title') }).waitFor();
        await person.signIn(name, password);
        await person.visit(pages.account);
        await page.getByRole('heading', { name: sayOther('account.title'), level: 1 }).waitFor();
        assert.equal(await page.title(), `${sayOther('account.title')} · Berth`);
        await page.getByText(sayOther('shell.colorSchemes.dark'), { exact: true }).click();
        await page.waitForFunction(
          () =>
            (
              globalThis as unknown as {
                document: { documentElement: { dataset: Record<string, string> } };
              }
            ).document.documentElement.dataset['mantineColorScheme'] === 'dark',
        );
        await page.reload();
        await person.settled();
        assert.equal(await page.locator('html').getAttribute('data-mantine-color-scheme'), 'dark');
        assert.equal(await page.locator('html').getAttribute('lang'), other);
      });
    });

    test('gets about by the keyboard alone', async () => {
      const { name, password } = await account('typist');
      await berth.create({ name: 'Found by typing' });
      await withPerson(async (person) => {
        await person.signIn('admin', ownPassword);
        const page = await person.visit(pages.environments);
        await page.keyboard.press('Tab');
        const focused = () => page.locator(':focus');
        assert.equal(await focused().textContent(), say('shell.skip'));
        await page.keyboard.press('Enter');
        assert.equal(await focused().getAttribute('id'), 'main');
        await page.keyboard.press('Control+k');
        await page.getByPlaceholder(say('palette.placeholder')).waitFor();
        await page.keyboard.type('found by');
        await page.getByRole('button', { name: /Found by typing/ }).waitFor();
        assert.deepEqual(await person.violations(), []);
        await page.keyboard.press('ArrowDown');
        await page.keyboard.press('Enter');
        await page.getByRole('heading', { name: 'Found by typing', level: 1 }).waitFor();
        assert.equal(
          await focused().evaluate((element) => (element as unknown as { tagName: string }).tagName),
          'H1',
        );
      });
      assert.ok(name && password);
    });

    test("is not signed in by somebody else's page, nor robbed by it, nor shown in it", async () => {
      const { name, password } = await account('victim');
      const { host, port } = berth.httpAddress;
      const target = `http://${host}:${port}`;
      // Another port of the same host: SameSite cookies go with its requests.
      const evil = createServer((_request, response) =>
        response
          .writeHead(200, { 'content-type': 'text/html' })
          .end(
            `<h1>A prize</h1><iframe src="${target}${pages.account}"></iframe><form method="post" action="${target}${routes.tokens}" enctype="text/plain"><input name='{"name":"stolen"}' value=""></form>`,
          ),
      );
      await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve));
      const origin = `http://127.0.0.1:${(evil.address() as AddressInfo).port}`;
      try {
        await withPerson(async (person) => {
          await person.signIn(name, password);
          const { page } = person;
          await page.goto(origin);
          const [frame] = page.mainFrame().childFrames();
          assert.ok(frame);
          await frame.waitForLoadState();
          assert.equal(await frame.locator('#root').count(), 0, 'no page of Berth is in a frame');
          person.faults.length = 0;
          const status = await page.evaluate(
            async ([url, body]) => {
              const sent = fetch(url ?? '', {
                method: 'POST',
                mode: 'no-cors',
                credentials: 'include',
                headers: { 'content-type': 'text/plain' },
                body: body ?? '',
              });
              return sent.then(
                () => 'sent',
                () => 'refused',
              );
            },
            [`${target}${routes.tokens}`, '{"name":"stolen"}'],
          );
          assert.ok(['sent', 'refused'].includes(status));
          await page.locator('form').evaluate((form) => (form as unknown as { submit(): void }).submit());
          await page.waitForURL(`${target}${routes.tokens}`);
          const { body } = await berth.call<TokenPage>('GET', `${routes.tokens}?limit=1000`);
          assert.ok(!body.items.some((token) => token.name === 'stolen'));
        });
      } finally {
        evil.closeAllConnections();
        evil.close();
      }
    });

    test('keeps no session that somebody planted before', async () => {
      const { name, password } = await account('planted');
      const { host, port } = berth.httpAddress;
      const planted = `berth_${'A'.repeat(43)}`;
      await withPerson(async (person) => {
        await person.context.addCookies([{ name: 'berth', value: planted, url: `http://${host}:${port}` }]);
        await person.signIn(name, password);
        const cookies = await person.context.cookies();
        assert.equal(cookies.length, 1);
        assert.notEqual(cookies[0]?.value, planted);
        assert.equal(cookies[0]?.httpOnly, true);
        assert.equal(cookies[0]?.sameSite, 'Strict');
      });
    });
  });
}
