/** Every page in every look: no fault of its own, nothing that axe-core finds, and a picture to be looked at. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { pathOf, pages, routes } from '@berth/contract';
import type { Usage } from '@berth/contract';
import { TestBerth } from '../harness/berth.ts';
import { eventually } from '../harness/ssh.ts';
import { TestBrowser, everyLook, firstPassword, pictureFolder, skipWithoutBrowser } from './browser.ts';
import type { Person } from './browser.ts';

describe('each page', { skip: skipWithoutBrowser }, () => {
  let berth: TestBerth;
  let browser: TestBrowser;
  let id: string;
  before(async () => {
    berth = await TestBerth.start({ gateway: true });
    browser = await TestBrowser.open(berth);
    await berth.call('PUT', pathOf(routes.quota, { id: '1' }), { environments: 10, cpu: 8, memory: 16 });
    await berth.call('PATCH', pathOf(routes.image, { name: 'default' }), {
      description: 'Python, compilers, JupyterLab',
    });
    await berth.call('POST', routes.images, { name: 'nowhere', reference: 'berth-nowhere/none:1' });
    ({ env_id: id } = await berth.createRunning({ name: 'Demo' }));
    const { env_id: stopped } = await berth.createRunning({ name: 'Retired' });
    await berth.call('POST', pathOf(routes.environmentStop, { id: stopped }));
    await berth.create({ name: 'Broken', image: 'nowhere' });
    // The first figures of what it uses are there.
    const usage = () => berth.call<Usage>('GET', pathOf(routes.environmentUsage, { id }));
    await eventually(usage, ({ body }) => body.live !== null, 60_000);
  });
  after(async () => {
    await browser?.close();
    await berth?.remove();
  });

  const shown: [name: string, path: () => string][] = [
    ['environments', () => pages.environments],
    ['environment', () => pathOf(pages.environment, { id })],
    ...['activity', 'access', 'history', 'diagnosis', 'log', 'settings'].map(
      (tab): [string, () => string] => [
        `environment-${tab}`,
        () => pathOf(pages.environmentTab, { id, tab }),
      ],
    ),
    ['tutorial', () => pathOf(pages.tutorial, { id })],
    ['create', () => pages.createEnvironment],
    ['account', () => pages.account],
    ['welcome', () => pages.welcome],
    ['connections', () => pages.connections],
    ['connections-past', () => `${pages.connections}?view=past`],
    ['ssh-keys', () => pages.sshKeys],
    ['ssh-authorities', () => pages.sshAuthorities],
    ['audit', () => pages.audit],
    ['ports', () => pages.ports],
    ['ports-table', () => `${pages.ports}?view=table`],
    ['images', () => pages.images],
    ['datasets', () => pages.datasets],
    ['customers', () => pages.customers],
    ['customer', () => pathOf(pages.customer, { id: '1' })],
    ['accounts', () => pages.accounts],
    ['quotas', () => pages.quotas],
    ['allowlist', () => pages.allowlist],
    ['lockouts', () => pages.lockouts],
    ['bans', () => `${pages.lockouts}?view=bans`],
    ['kept-storage', () => pages.keptStorage],
    ['settings', () => pages.settings],
    ['health', () => pages.health],
    ['not-found', () => '/nowhere'],
  ];

  const lookAt = async (person: Person, name: string, look: string) => {
    await person.picture(`${name}/${look}`);
    const violations = await person.violations();
    if (await person.isTooWide()) violations.push('it sticks out at the side');
    return violations.map((violation) => `${name}: ${violation}`);
  };

  for (const [look, looks] of everyLook) {
    test(`is well made as ${look}`, async (t) => {
      const person = await browser.person(looks);
      try {
        await person.visit(pages.signIn);
        const violations = await lookAt(person, 'sign-in', look);
        await person.signIn('admin', firstPassword(berth));
        for (const [name, path] of shown) {
          await person.visit(path());
          violations.push(...(await lookAt(person, name, look)));
        }
        assert.deepEqual([...violations, ...person.faults], []);
      } finally {
        await person.close();
      }
      t.diagnostic(`pictures are in ${pictureFolder}`);
    });
  }
});
