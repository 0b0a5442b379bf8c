/** JupyterLab in a real browser: a notebook runs, and what its scripts can reach beside it. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { pathOf, routes } from '@berth/contract';
import type { CreatedEnvironment, LoginToken } from '@berth/contract';
import type { Page } from 'playwright-core';
import { TestBerth } from '../harness/berth.ts';
import { Login } from '../harness/ssh.ts';
import { TestBrowser, everyLook, firstPassword, skipWithoutBrowser } from './browser.ts';
import type { Looks, Person } from './browser.ts';

/** Of the page's own world, whose types are not known here. */
interface World {
  document: { cookie: string };
  open(address: string): void;
}

const slowMs = 90_000;

describe('JupyterLab in a browser', { skip: skipWithoutBrowser }, () => {
  let berth: TestBerth;
  let browser: TestBrowser;
  let environment: CreatedEnvironment;
  let other: CreatedEnvironment;
  let login: Login;
  const persons: Person[] = [];

  before(async () => {
    berth = await TestBerth.start({ gateway: true });
    browser = await TestBrowser.open(berth);
    environment = await berth.createRunning({ name: 'Notebooks', resources: { cpu: 2, memory: 1 } });
    other = await berth.createRunning({ name: 'Other' });
    login = new Login(await berth.ssh(environment.env_id));
  });
  afterEach(async () => {
    for (const person of persons.splice(0)) await person.close();
  });
  after(async () => {
    login?.remove();
    await browser?.close();
    await berth?.remove();
  });

  const signedIn = async (looks: Looks = {}): Promise<Person> => {
    const person = await browser.person(looks);
    persons.push(person);
    const answer = await person.context.request.post(routes.session, {
      data: { account: 'admin', password: firstPassword(berth) },
    });
    assert.equal(answer.status(), 200);
    return person;
  };
  const path = ({ env_id: id } = environment) => pathOf(routes.jupyter, { id });
  const labOf = (page: Page, { env_id: id } = environment) =>
    page.waitForURL(
      (url) => url.hostname === `${id}.localhost` && url.pathname.startsWith(`/jupyter/${id}/lab`),
      {
        timeout: slowMs,
      },
    );

  test('a notebook is made, runs a cell, and what is saved is there over SSH', async () => {
    const person = await signedIn();
    const { page } = person;
    await page.goto(path());
    await labOf(page);
    await page.locator('.jp-LauncherCard[data-category="Notebook"]').first().click({ timeout: slowMs });
    const cell = page.locator('.jp-Notebook .jp-Cell .cm-content').first();
    await cell.click({ timeout: slowMs });
    await page.keyboard.type('print(6 * 7)');
    await page.keyboard.press('Shift+Enter');
    await page.locator('.jp-OutputArea-output', { hasText: '42' }).waitFor({ timeout: slowMs });
    await page.keyboard.press('Control+s');
    // It asks for a name the first time.
    const dialog = page.locator('.jp-Dialog');
    await dialog.locator('input').first().fill('first.ipynb');
    await dialog.locator('.jp-mod-accept').click();
    await dialog.waitFor({ state: 'detached' });
    await page.locator('.jp-DirListing-item', { hasText: 'first.ipynb' }).waitFor();
    await person.picture('jupyterlab/notebook');
    const { stdout } = await login.ssh('cat /gemini/code/first.ipynb');
    assert.match(stdout, /print\(6 \* 7\)/);
    assert.deepEqual(person.faults, []);
  });

  test("a notebook's script has nothing of Berth's, and opens nobody else's JupyterLab", async () => {
    const person = await signedIn();
    const { page, context } = person;
    await page.goto(path());
    await labOf(page);
    const api = browser.base;
    assert.deepEqual(
      await page.evaluate(() => (globalThis as unknown as World).document.cookie.match(/berth/)),
      null,
    );
    const asked = await page.evaluate(async (address) => {
      const outcome = (promise: Promise<Response>) =>
        promise.then(
          ({ status, type }) => `${type} ${status}`,
          () => 'refused',
        );
      return [
        await outcome(fetch(`${address}/api/whoami`, { credentials: 'include' })),
        await outcome(
          fetch(`${address}/api/environments`, { method: 'POST', credentials: 'include', body: '{}' }),
        ),
      ];
    }, api);
    assert.deepEqual(asked, ['refused', 'refused']);
    // It may lead the person there, who is asked first.
    const popup = context.waitForEvent('page');
    await page.evaluate((address) => (globalThis as unknown as World).open(address), `${api}${path(other)}`);
    const opened = await popup;
    await opened.getByRole('button').waitFor();
    assert.equal(new URL(opened.url()).origin, api);
    assert.match((await opened.locator('h1').textContent()) ?? '', new RegExp(other.env_id));
    const before = await berth.call<{ items: unknown[] }>(
      'GET',
      `${routes.connections}?env_id=${other.env_id}`,
    );
    assert.deepEqual(before.body.items, []);
    await opened.getByRole('button').click();
    await labOf(opened, other);
    // And what is open there is another origin to it.
    const reached = await page.evaluate(
      async (address) => {
        const answer = await fetch(address, { credentials: 'include' }).then(
          () => 'read',
          () => 'refused',
        );
        const socket = new WebSocket(address.replace('http', 'ws'));
        const isOpen = await new Promise((resolve) => {
          socket.addEventListener('open', () => resolve('open'));
          socket.addEventListener('error', () => resolve('refused'));
        });
        return [answer, isOpen];
      },
      `${new URL(opened.url()).origin}/jupyter/${other.env_id}/api/terminals`,
    );
    assert.deepEqual(reached, ['refused', 'refused']);
  });

  test("Berth's own pages around it read well in every look", async () => {
    await berth.call('POST', pathOf(routes.environmentStop, { id: other.env_id }));
    await berth.until(other.env_id, 'stopped');
    await berth.call('PATCH', pathOf(routes.environment, { id: other.env_id }), { wake: false });
    for (const [name, looks] of everyLook) {
      const person = await signedIn(looks);
      const { page } = person;
      // As a link of another site's page.
      await page.route('http://elsewhere.example/', (route) =>
        route.fulfill({
          contentType: 'text/html',
          body: `<a href="${browser.base}${path(other)}">there</a>`,
        }),
      );
      await page.goto('http://elsewhere.example/');
      await page.getByRole('link').click();
      await page.getByRole('button').waitFor();
      assert.deepEqual(await person.violations(), [], `question ${name}`);
      await person.picture(`jupyter-question/${name}`);
      await page.getByRole('button').click();
      await page.waitForURL((url) => url.hostname === `${other.env_id}.localhost`);
      await page.getByRole('link').waitFor();
      assert.match((await page.locator('p[lang=en]').first().textContent()) ?? '', /logins do not start it/);
      assert.deepEqual(await person.violations(), [], `refusal ${name}`);
      await person.picture(`jupyter-refusal/${name}`);
      assert.deepEqual(person.faults, []);
    }
    await berth.call('PATCH', pathOf(routes.environment, { id: other.env_id }), { wake: true });
    for (const [name, looks] of everyLook.filter((_, index) => index % 3 === 0)) {
      const person = await signedIn(looks);
      const { page } = person;
      await page.goto(path(other));
      await page.locator('#seconds').waitFor();
      assert.deepEqual(await person.violations(), [], `starting ${name}`);
      await person.picture(`jupyter-starting/${name}`);
      await labOf(page, other);
      assert.deepEqual(person.faults, []);
      await berth.call('POST', pathOf(routes.environmentStop, { id: other.env_id }));
      await berth.until(other.env_id, 'stopped');
    }
  });

  test('whoever is not signed in signs in, and is led on', async () => {
    const person = await browser.person();
    persons.push(person);
    const { page } = person;
    const chosen = 'Notebooks-are-4-me';
    const { body } = await berth.call<LoginToken>('POST', routes.login, {
      account: 'admin',
      password: firstPassword(berth),
    });
    const changed = await berth.call(
      'POST',
      routes.ownPassword,
      { current: firstPassword(berth), new: chosen },
      { authorization: `Bearer ${body.token}` },
    );
    assert.equal(changed.status, 204);
    await page.goto(path());
    await page.waitForURL(/\/sign-in\?from=/);
    assert.equal(new URL(page.url()).searchParams.get('from'), path());
    await page.locator('input[name=account]').fill('admin');
    await page.locator('input[name=password]').fill(chosen);
    await page.locator('button[type=submit]').click();
    await labOf(page);
  });
});
