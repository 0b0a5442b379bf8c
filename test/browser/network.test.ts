/** A network that breaks at a bad moment: the window comes up all the same, and what was asked is carried out once. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { EnvironmentPage } from '@berth/contract';
import { pages, routes } from '@berth/contract';
import { TestBerth } from '../harness/berth.ts';
import { TestBrowser, firstPassword, skipWithoutBrowser, wordsOf } from './browser.ts';
import type { Person } from './browser.ts';

const say = wordsOf('en');

describe('a network that breaks', { skip: skipWithoutBrowser }, () => {
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

  const withPerson = async (use: (person: Person) => Promise<void>): Promise<void> => {
    const person = await browser.person();
    try {
      await use(person);
    } finally {
      await person.close();
    }
  };

  for (const file of ['index', 'libraries', 'first', 'sign-in'])
    test(`while the file ${file} is loaded leaves no empty window`, () =>
      withPerson(async (person) => {
        let broken = 0;
        await person.page.route(
          new RegExp(`/assets/${file}-[^/]+\\.js$`),
          (route) => {
            broken += 1;
            return route.abort('internetdisconnected');
          },
          { times: 1 },
        );
        await person.page.goto(pages.signIn);
        await person.page.getByRole('heading', { name: say('signIn.title') }).waitFor();
        assert.equal(broken, 1);
      }));

  test('for good is said, and not tried for ever', () =>
    withPerson(async (person) => {
      let loads = 0;
      person.page.on('request', (request) => (loads += request.isNavigationRequest() ? 1 : 0));
      await person.page.route(/\/assets\/sign-in-[^/]+\.js$/, (route) => route.abort('internetdisconnected'));
      const fifth = new Promise<void>((resolve) =>
        person.page.on('load', () => {
          if (loads === 5) resolve();
        }),
      );
      await person.page.goto(pages.signIn);
      await fifth;
      await person.page.getByRole('heading', { name: say('failed.title') }).waitFor();
      await person.page.getByRole('button', { name: say('common.retry') }).waitFor();
      // It writes down each time that it is about to begin anew.
      const times = await person.page.evaluate(() =>
        (
          globalThis as unknown as { sessionStorage: { getItem(name: string): string | null } }
        ).sessionStorage.getItem('berth-began-anew'),
      );
      assert.equal(times?.split(' ').length, 4);
    }));

  test('before or after a request has come through makes one environment of it', () =>
    withPerson(async (person) => {
      await person.signIn('admin', firstPassword(berth));
      const { page } = person;
      for (const [name, carriedOut] of [
        ['Before', false],
        ['After', true],
      ] as const) {
        await person.visit(pages.createEnvironment);
        let broken = 0;
        await page.route(
          `**${routes.environments}`,
          async (route) => {
            if (carriedOut) await route.fetch();
            broken += 1;
            await route.abort('internetdisconnected');
          },
          { times: 1 },
        );
        await page.locator('input[name=name]').fill(name);
        await page.getByRole('button', { name: say('create.action'), exact: true }).click();
        await page.getByRole('heading', { name, level: 1 }).waitFor();
        assert.equal(broken, 1);
        const { body } = await berth.call<EnvironmentPage>('GET', `${routes.environments}?search=${name}`);
        assert.equal(body.items.length, 1);
      }
    }));
});
