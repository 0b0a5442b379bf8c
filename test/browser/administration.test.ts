/** The pages beside the environments' own, in real Chromium against a real Berth: each flow from its button to what it changes. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { AuditExportLine, CreatedEnvironment, LockoutPage, SshKeyPage } from '@berth/contract';
import { pathOf, pages, routes } from '@berth/contract';
import { Background } from '../harness/background.ts';
import { TestBerth } from '../harness/berth.ts';
import { Login, eventually, makeKey } from '../harness/ssh.ts';
import { TestBrowser, firstPassword, skipWithoutBrowser } from './browser.ts';
import type { Looks, Person } from './browser.ts';

describe('administration in the browser', { skip: skipWithoutBrowser }, () => {
  let berth: TestBerth;
  let browser: TestBrowser;
  let environment: CreatedEnvironment;
  const folder = mkdtempSync(join(tmpdir(), 'berth-administration-'));
  before(async () => {
    berth = await TestBerth.start({ gateway: true });
    browser = await TestBrowser.open(berth);
    environment = await berth.createRunning({ name: 'Demo' });
  });
  after(async () => {
    await browser?.close();
    await berth?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const asPerson = async (
    account: string,
    password: string,
    use: (person: Person) => Promise<void>,
    looks: Looks = {},
  ): Promise<void> => {
    const person = await browser.person(looks);
    try {
      await person.signIn(account, password);
      await use(person);
      assert.deepEqual(person.faults, []);
    } finally {
      await person.close();
    }
  };
  const asAdmin = (use: (person: Person) => Promise<void>, looks?: Looks) =>
    asPerson('admin', firstPassword(berth), use, looks);

  test('a key is pasted, opens an environment, shows from where, and is deleted', () =>
    asAdmin(async (person) => {
      const file = await makeKey(folder, 'laptop');
      const page = await person.visit(pages.sshKeys);
      await page.getByText('There are no keys yet').waitFor();
      await page.getByRole('button', { name: 'Add a key', exact: true }).click();
      const form = page.getByRole('dialog');
      const add = form.getByRole('button', { name: 'Add a key', exact: true });

      const sent: string[] = [];
      page.on('request', (request) => request.method() === 'POST' && sent.push(request.url()));
      await form.getByLabel('Public key').fill(readFileSync(file, 'utf8'));
      await form.getByText('This is a private key, and it was not sent.').waitFor();
      assert.equal(await add.isDisabled(), true);
      assert.deepEqual(sent, []);

      await form.getByLabel('Public key').fill(readFileSync(`${file}.pub`, 'utf8'));
      await form.getByText('ssh-ed25519, 256 bits').waitFor();
      assert.equal(await form.getByLabel('Name', { exact: true }).inputValue(), 'laptop');
      assert.deepEqual(await person.violations(), []);
      await add.click();
      const row = page.getByRole('row', { name: /laptop/ });
      await row.getByText('not yet').waitFor();
      const { body } = await berth.call<SshKeyPage>('GET', routes.sshKeys);
      assert.equal(body.items[0]?.name, 'laptop');
      await row.getByRole('link', { name: '1 environment' }).waitFor();

      const login = new Login(await berth.ssh(environment.env_id), file);
      try {
        const { stdout, stderr } = await login.ssh('hostname');
        assert.equal(stdout, `${environment.env_id}\n`, stderr);
        await eventually(
          async () => (await berth.call<SshKeyPage>('GET', routes.sshKeys)).body.items[0]?.last_used_from,
          (from) => from === '127.0.0.1',
        );
        await person.visit(pages.sshKeys);
        await row.getByText('from 127.0.0.1').waitFor();
        await row.getByRole('button', { name: 'laptop', exact: true }).click();
        const detail = page.getByRole('dialog');
        await detail.getByRole('link', { name: 'Demo' }).waitFor();
        await detail.getByText('Last connections with it').waitFor();
        assert.deepEqual(await person.violations(), []);
        await page.keyboard.press('Escape');

        await row.getByRole('button', { name: 'Delete the key laptop' }).click();
        await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
        await page.getByText('There are no keys yet').waitFor();
        await eventually(
          () => login.ssh('true'),
          ({ code, stderr: said }) => code !== 0 && /Permission denied/.test(said),
        );
      } finally {
        login.remove();
      }
    }));

  test('a live connection shows its bytes within seconds, and is ended', (t) =>
    asAdmin(async (person) => {
      const login = new Login(await berth.ssh(environment.env_id));
      const ssh = new Background('sshpass', [
        ...['-f', join(login.folder, 'password'), 'ssh', ...login.options],
        ...['-p', login.port, login.target, 'echo ready; read x; head -c 3000000 /dev/zero; read x'],
      ]);
      try {
        await ssh.says(/ready/);
        const page = await person.visit(pages.connections);
        const row = page.getByRole('row', { name: new RegExp(environment.env_id) });
        await row.getByText('with the password').waitFor();
        await row.getByText(/^SSH-2\.0-OpenSSH/).waitFor();
        ssh.write('\n');
        const began = Date.now();
        await row.getByText(/^(2\.9|3) MB$/).waitFor();
        t.diagnostic(`3 MB were shown ${Date.now() - began} ms after they were asked for`);
        await row.getByRole('checkbox').check();
        assert.deepEqual(await person.violations(), []);
        await page.getByRole('button', { name: 'End 1 connection' }).click();
        const confirm = page.getByRole('dialog');
        await confirm.getByText('It is cut within two seconds').waitFor();
        await confirm.getByRole('button', { name: 'End', exact: true }).click();
        await page.getByText('Nobody is connected').waitFor();
        await eventually(
          () => ssh.ended,
          (ended) => ended,
        );
        await page.getByRole('tab', { name: 'Past' }).click();
        const past = page.getByRole('row', { name: /admin ended this connection/ });
        await past.getByRole('button', { name: environment.env_id }).click();
        await page.getByRole('dialog').getByText('admin ended this connection.').waitFor();
        const open = new URL(page.url());
        assert.equal(open.searchParams.get('view'), 'past');
        await person.visit(open.pathname + open.search);
        await page.getByRole('dialog').getByText('admin ended this connection.').waitFor();
      } finally {
        await ssh.stop();
        login.remove();
      }
    }));

  test('the audit log is narrowed by the address, exported, and verified', () =>
    asAdmin(async (person) => {
      const page = await person.visit(`${pages.audit}?action=environment&outcome=done`);
      const row = page.getByRole('row', { name: /environment\.create/ });
      await row.getByText(environment.env_id).waitFor();
      assert.equal(await page.getByRole('row', { name: /ssh\.login/ }).count(), 0);
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('link', { name: 'Export' }).click(),
      ]);
      assert.equal(download.suggestedFilename(), 'audit.jsonl');
      const lines = readFileSync(await download.path(), 'utf8')
        .trim()
        .split('\n');
      const records = lines.map((line) => JSON.parse(line) as AuditExportLine);
      assert.ok(records.some(({ target }) => target === environment.env_id));
      for (const { action } of records) assert.match(action, /^environment\./);

      await row.getByRole('button').click();
      const detail = page.getByRole('dialog');
      await detail.getByRole('button', { name: 'All that was done to this' }).click();
      await page.waitForURL((url) => url.searchParams.get('target') === environment.env_id);
      await page
        .getByRole('row', { name: /ssh\.login/ })
        .first()
        .waitFor();

      await page.getByRole('button', { name: 'Verify the chain', exact: true }).click();
      const verify = page.getByRole('dialog');
      await verify.getByRole('button', { name: 'Verify the chain', exact: true }).click();
      await verify.getByText('The log is whole.').waitFor();
      assert.deepEqual(await person.violations(), []);
      await verify.getByLabel('A hash from an earlier verification').fill('0'.repeat(64));
      await verify.getByRole('button', { name: 'Verify the chain', exact: true }).click();
      await verify.getByText('The log was changed: 1 fault.').waitFor();
    }));

  test('the picture of the ports shows whose a port is, to the pointer and to the keyboard', () =>
    asAdmin(async (person) => {
      const page = await person.visit(pages.ports);
      const { ssh_port: port } = await berth.ssh(environment.env_id);
      assert.ok(port !== null);
      const picture = page.getByRole('slider');
      const told = () => picture.getAttribute('aria-valuetext');
      const used = `${port}: used by Demo (${environment.env_id}) of default`;
      assert.equal(await told(), used);
      await picture.focus();
      await page.keyboard.press('ArrowRight');
      assert.equal(await told(), `${port + 1}: free`);
      await page.keyboard.press('PageUp');
      assert.equal(await told(), used);
      await page.getByRole('link', { name: 'Its history' }).click();
      const row = page.getByRole('row', { name: new RegExp(environment.env_id) });
      await row.getByText('held').waitFor();
      await page.getByText('Picture', { exact: true }).click();
      await picture.focus();
      await page.keyboard.press('Enter');
      await page.waitForURL((url) => url.pathname === pathOf(pages.environment, { id: environment.env_id }));
    }));

  test('a customer and an account are made, and the account signs in and sees only what it may', () =>
    asAdmin(async (person) => {
      const page = await person.visit(pages.customers);
      await page.getByRole('button', { name: 'Add a customer', exact: true }).click();
      await page.getByRole('dialog').getByLabel('Name').fill('Acme Robotics');
      await page.getByRole('dialog').getByRole('button', { name: 'Add a customer', exact: true }).click();
      await page.getByRole('heading', { name: 'Acme Robotics', level: 1 }).waitFor();

      await page.getByRole('button', { name: 'Change the limits', exact: true }).click();
      await page.getByRole('dialog').getByLabel('Environments').fill('7');
      await page.getByRole('dialog').getByRole('button', { name: 'Save', exact: true }).click();
      await page.getByText('0 of 7').waitFor();

      await page.getByRole('button', { name: 'Add an account', exact: true }).click();
      const form = page.getByRole('dialog');
      await form.getByLabel('Name').fill('alice');
      assert.deepEqual(await person.violations(), []);
      await form.getByRole('button', { name: 'Add an account', exact: true }).click();
      await page.getByText('The account alice is there').waitFor();
      const password = (await page.getByRole('dialog').locator('code').nth(1).textContent()) ?? '';
      assert.ok(password.length >= 12, 'the password is shown');
      await page.getByRole('button', { name: 'Done', exact: true }).click();
      await page.getByRole('row', { name: /alice/ }).getByText('Member').waitFor();
      assert.equal(await page.getByText(password).count(), 0, 'once');

      await asPerson('alice', password, async (member) => {
        const hers = await member.visit(pages.quotas);
        await hers.getByText('0 of 7').waitFor();
        assert.equal(await hers.getByText('default', { exact: true }).count(), 0, 'of no other customer');
        const navigation = hers.getByRole('navigation');
        await navigation.getByRole('link', { name: 'SSH keys' }).waitFor();
        for (const name of ['Customers', 'Accounts', 'Audit log', 'Settings', 'Health'])
          assert.equal(await navigation.getByRole('link', { name, exact: true }).count(), 0, name);
        const { ssh_port: port } = await berth.ssh(environment.env_id);
        await member.visit(`${pages.ports}?port=${port}`);
        assert.equal(
          await hers.getByRole('slider').getAttribute('aria-valuetext'),
          `${port}: another customer's`,
        );
        assert.equal(await hers.getByText(environment.env_id).count(), 0);
        for (const path of [pages.customers, pages.accounts, pages.audit, pages.settings, pages.health]) {
          const asked: string[] = [];
          const note = (request: { url: () => string }) => asked.push(new URL(request.url()).pathname);
          hers.on('request', note);
          await member.visit(path);
          await hers.getByText('Only administrators see this page').waitFor();
          hers.off('request', note);
          const own = new Set<string>([routes.whoami, routes.events]);
          assert.deepEqual(
            asked.filter((url) => url.startsWith('/api/') && !own.has(url)),
            [],
            path,
          );
        }
        assert.deepEqual(await member.violations(), []);
      });
    }));

  test('an address that failed too often is unlocked', () =>
    asAdmin(async (person) => {
      const access = await berth.ssh(environment.env_id);
      const wrong = new Login({ ...access, ssh_password: 'wrong' });
      const right = new Login(access);
      try {
        for (let tries = 0; tries < 5; tries += 1) assert.notEqual((await wrong.ssh('true')).code, 0);
        await eventually(
          async () => (await berth.call<LockoutPage>('GET', routes.lockouts)).body.items.length,
          (count) => count === 1,
        );
        assert.notEqual((await right.ssh('true')).code, 0, 'locked out');
        const page = await person.visit(pages.lockouts);
        const row = page.getByRole('row', { name: /127\.0\.0\.1/ });
        assert.deepEqual(await person.violations(), []);
        await row
          .getByRole('button', { name: `Unlock 127.0.0.1 at ${environment.env_id}`, exact: true })
          .click();
        await page.getByText('No address is locked out').waitFor();
        await eventually(
          () => right.ssh('true'),
          ({ code }) => code === 0,
        );
        await page.getByRole('switch', { name: 'Also those that are over' }).check();
        await page.getByText('unlocked by admin').waitFor();
      } finally {
        wrong.remove();
        right.remove();
      }
    }));

  test('a network is let in only after a warning where that shuts out who adds it', () =>
    asAdmin(async (person) => {
      const page = await person.visit(pages.allowlist);
      await page.getByText('Everybody can reach the environments').waitFor();
      await page.getByRole('button', { name: 'Let a network in' }).click();
      const form = page.getByRole('dialog');
      await form.getByRole('textbox', { name: 'Network' }).fill('203.0.113.7/24');
      await form.getByRole('button', { name: '203.0.113.0/24' }).click();
      await form.getByText('With this list you are shut out yourself: you come from 127.0.0.1.').waitFor();
      assert.deepEqual(await person.violations(), []);
      await form.getByRole('textbox', { name: 'Network' }).fill('127.0.0.0/8');
      await form.getByRole('button', { name: 'Add', exact: true }).click();
      await page.getByText('You come from 127.0.0.1, which gets in.').waitFor();
      await page.getByRole('button', { name: 'Remove 127.0.0.0/8' }).click();
      const confirm = page.getByRole('dialog');
      await confirm.getByText('It is the last one').waitFor();
      await confirm.getByRole('button', { name: 'Remove', exact: true }).click();
      await page.getByText('Everybody can reach the environments').waitFor();
    }));

  test('an image is added, looked into, and says what it lacks', () =>
    asAdmin(async (person) => {
      const page = await person.visit(pages.images);
      await page.getByRole('button', { name: 'Add an image', exact: true }).click();
      const form = page.getByRole('dialog');
      await form.getByLabel('Name').fill('nowhere');
      await form.getByLabel('Reference').fill('localhost/berth-there-is-none:1');
      await form.getByRole('button', { name: 'Add an image', exact: true }).click();
      const detail = page.getByRole('dialog');
      await detail.getByText('cannot be used').waitFor();
      await detail.getByRole('button', { name: 'Delete', exact: true }).click();
      await page.getByRole('dialog').last().getByRole('button', { name: 'Delete', exact: true }).click();
      await page.getByRole('row', { name: /nowhere/ }).waitFor({ state: 'detached' });
    }));

  test('settings in force say where they came from, and the health page what helps', () =>
    asAdmin(async (person) => {
      const page = await person.visit(`${pages.settings}?set=true`);
      const row = page.getByRole('row', { name: /portRange/ });
      await row.getByText('BERTH_PORT_RANGE').waitFor();
      assert.equal(await page.getByRole('row', { name: /default$/ }).count(), 0);
      await person.visit(pages.health);
      const backup = page.getByRole('listitem').filter({ hasText: 'The audit log knows of none.' });
      await backup.getByText('look at it').waitFor();
      await backup.getByText('Make one regularly: berth backup FILE').waitFor();
      await page.getByRole('listitem').filter({ hasText: 'Database' }).getByText('good').waitFor();
    }));

  test('files that were kept are deleted once their id is typed', () =>
    asAdmin(async (person) => {
      const { env_id: id } = await berth.createRunning({ name: 'Short lived' });
      await berth.call('DELETE', `${pathOf(routes.environment, { id })}?keep_storage=true`);
      await berth.until(id, 'gone');
      const page = await person.visit(pages.keptStorage);
      await page.getByRole('button', { name: 'Delete the files of Short lived', exact: true }).click();
      const confirm = page.getByRole('dialog');
      const action = confirm.getByRole('button', { name: 'Delete', exact: true });
      assert.equal(await action.isDisabled(), true);
      await confirm.getByRole('textbox').fill(id);
      await action.click();
      await page.getByText('No files are kept').waitFor();
    }));
});
