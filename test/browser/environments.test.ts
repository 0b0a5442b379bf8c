/**
 * Environments in the browser, over their whole life and in both languages: real containers, real ssh, and windows that are
 * never reloaded.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import type { EnvironmentPage } from '@berth/contract';
import { pathOf, pages, routes } from '@berth/contract';
import { inOtherWords } from '../../packages/console/src/i18n/sentences.ts';
import { serverSentences } from '../../packages/console/src/i18n/zh-CN/server-sentences.ts';
import { TestBerth, freePortRange } from '../harness/berth.ts';
import { Login } from '../harness/ssh.ts';
import { TestBrowser, firstPassword, languages, skipWithoutBrowser, wordsOf } from './browser.ts';
import type { Person } from './browser.ts';

/** A start of a container on a busy machine. */
const startMs = 60_000;

for (const language of languages) {
  const say = wordsOf(language);
  /** What stands before the values of a string, for one that holds what the test does not know. */
  const begins = (key: string) => new RegExp(`^${escaped(say(key, { since: '\0' }).split('\0')[0] ?? '')}`);
  const look = `${language}-light`;

  describe(`an environment in the browser in ${language}`, { skip: skipWithoutBrowser }, () => {
    let berth: TestBerth;
    let browser: TestBrowser;
    before(async () => {
      const { first: port } = await freePortRange(1);
      berth = await TestBerth.start({ gateway: true, settings: { BERTH_HTTP: `127.0.0.1:${port}` } });
      browser = await TestBrowser.open(berth);
    });
    after(async () => {
      await browser?.close();
      await berth?.remove();
    });

    const withPerson = async (use: (person: Person) => Promise<void>): Promise<void> => {
      const person = await browser.person({ language });
      try {
        await person.signIn('admin', firstPassword(berth));
        await use(person);
        assert.deepEqual(person.faults, []);
      } finally {
        await person.close();
      }
    };
    const environmentPath = (id: string, tab?: string) =>
      tab === undefined ? pathOf(pages.environment, { id }) : pathOf(pages.environmentTab, { id, tab });

    test('is created step by step, and other windows see it come and go', () =>
      withPerson(async (onlooker) => {
        const list = await onlooker.visit(pages.environments);
        await list.getByText(say('environments.none')).waitFor();
        let loads = 0;
        list.on('load', () => (loads += 1));

        await withPerson(async (person) => {
          const page = await person.visit(pages.environments);
          await page.getByRole('link', { name: say('environments.createFirst') }).click();
          await page.locator('input[name=name]').fill('First of all');
          await page.getByRole('radio', { name: say('create.sizes.small') }).check();
          await page
            .getByText("berth create 'First of all' --cpu 1 --memory 2Gi --storage 20Gi --wait")
            .waitFor();
          assert.deepEqual(await person.violations(), []);
          await page.getByRole('button', { name: say('create.action'), exact: true }).click();
          await page.getByRole('heading', { name: 'First of all', level: 1 }).waitFor();
          await page.getByText(say('environment.steps.handshake')).waitFor();
          await person.picture(`environment-creating/${look}`);
          await page.getByText(say('status.running'), { exact: true }).waitFor({ timeout: startMs });
          await page.getByText(say('environment.steps.handshake')).waitFor({ state: 'detached' });

          const id = decodeURIComponent(new URL(page.url()).pathname.split('/').at(-1) ?? '');
          const ssh = await berth.ssh(id);
          const copied = async (label: string) => {
            await page.getByRole('button', { name: say('copy.copyLabel', { label }), exact: true }).click();
            return person.clipboard();
          };
          assert.equal(await copied(say('environment.command')), ssh.ssh_command);
          assert.equal(await copied(say('environment.password')), ssh.ssh_password);
          assert.equal(await copied(say('environment.vscodeBlock')), ssh.vscode_config);
          assert.equal(await copied(say('environment.knownHosts')), ssh.known_hosts);
          assert.equal(await copied(say('environment.sftp')), ssh.sftp_url);
          assert.equal(await page.getByText(ssh.ssh_password).count(), 0, 'the password is hidden');
          await page
            .getByRole('button', { name: say('copy.showLabel', { label: say('environment.password') }) })
            .click();
          await page.getByText(ssh.ssh_password).waitFor();
          await page.getByText(ssh.host_keys[0]?.fingerprint ?? '?').waitFor();
          const link = (name: string) => page.getByRole('link', { name: say(name) }).getAttribute('href');
          assert.equal(
            await link('environment.openVscode'),
            `vscode://vscode-remote/ssh-remote+developer@127.0.0.1:${ssh.ssh_port}/gemini/code`,
          );
          assert.match(
            (await link('environment.openJetbrains')) ?? '',
            /^jetbrains-gateway:\/\/connect#type=ssh&host=127\.0\.0\.1&port=\d+&user=developer/,
          );

          const row = list.getByRole('row', { name: /First of all/ });
          await row.getByText(say('status.running')).waitFor();

          await page.getByRole('button', { name: say('environment.stop'), exact: true }).click();
          await page.getByText(say('environment.stoppedWakes')).waitFor({ timeout: startMs });
          await row.getByText(say('status.stopped')).waitFor();

          await page.getByRole('button', { name: say('environment.more') }).click();
          await page.getByRole('menuitem').getByText(say('environment.whyNot.notRunning')).waitFor();
          await page.getByRole('menuitem', { name: say('environment.delete') }).click();
          const dialog = page.getByRole('dialog');
          const confirm = dialog.getByRole('button', { name: say('environment.delete'), exact: true });
          assert.equal(await confirm.isDisabled(), true);
          await dialog.getByText(`berth delete ${id}`).waitFor();
          await dialog.getByRole('textbox').fill('First of al');
          assert.equal(await confirm.isDisabled(), true);
          await dialog.getByRole('textbox').fill('First of all');
          assert.deepEqual(await person.violations(), []);
          await confirm.click();
          await page.getByText(say('environment.gone')).waitFor({ timeout: startMs });
          await row.waitFor({ state: 'detached' });
        });
        assert.equal(loads, 0, 'nothing was loaded again');
      }));

    test('that failed says at which step, why, what helps, and that nothing is left', () =>
      withPerson(async (person) => {
        await berth.call('POST', routes.images, { name: 'nowhere', reference: 'berth-nowhere/none:1' });
        const { env_id: id } = await berth.create({ name: 'Doomed', image: 'nowhere' });
        const page = await person.visit(environmentPath(id));
        const title = page.getByText(say('environment.failedAt', { step: say('environment.steps.image') }));
        await title.waitFor({ timeout: startMs });
        const { failure } = (await berth.show(id)) ?? {};
        assert.ok(failure);
        for (const sentence of [failure.cause, failure.cure])
          await page
            .getByText(language === 'en' ? sentence : inOtherWords(sentence, serverSentences))
            .first()
            .waitFor();
        await page.getByText(say('environment.nothingLeft')).waitFor();
        assert.deepEqual(await berth.things(), []);
        assert.deepEqual(await person.violations(), []);
        await person.picture(`environment-failed/${look}`);
        const again = { name: say('environment.tryAgain'), exact: true };
        await page.getByRole('alert').getByRole('button', again).click();
        await title.waitFor({ state: 'detached' });
        await title.waitFor({ timeout: startMs });
        await berth.call('DELETE', pathOf(routes.environment, { id }));
      }));

    describe('that runs', () => {
      let id: string;
      before(async () => {
        ({ env_id: id } = await berth.createRunning({ name: 'Workshop' }));
      });

      test('gets another password, which opens it; the old one does not', () =>
        withPerson(async (person) => {
          const old = new Login(await berth.ssh(id));
          const page = await person.visit(environmentPath(id));
          await page.getByRole('button', { name: say('environment.reset'), exact: true }).click();
          await page.getByRole('dialog').getByText(`berth reset-password ${id}`).waitFor();
          await page.getByRole('button', { name: say('environment.resetAction') }).click();
          await page.getByRole('dialog').waitFor({ state: 'detached' });
          await page
            .getByRole('button', { name: say('copy.showLabel', { label: say('environment.password') }) })
            .click();
          const { ssh_password } = await berth.ssh(id);
          await page.getByText(ssh_password).waitFor();
          assert.notEqual(ssh_password, old.access.ssh_password);
          const fresh = new Login(await berth.ssh(id));
          try {
            assert.equal((await fresh.ssh('echo in')).stdout, 'in\n');
            assert.notEqual((await old.ssh('echo in')).code, 0);
          } finally {
            old.remove();
            fresh.remove();
            await berth.unlock('127.0.0.1');
          }
        }));

      test('shows who is connected, and ends their connection', () =>
        withPerson(async (person) => {
          const login = new Login(await berth.ssh(id));
          const commandLine = [
            ...['-f', `${login.folder}/password`, 'ssh', ...login.options],
            ...['-p', login.port, login.target, 'sleep 600'],
          ];
          const child = spawn('sshpass', commandLine, { stdio: 'ignore' });
          const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
          try {
            const page = await person.visit(environmentPath(id, 'activity'));
            const table = page.getByRole('table', { name: say('environment.connected') });
            await table.getByText('127.0.0.1').waitFor();
            await table.getByText(/OpenSSH/).waitFor();
            assert.deepEqual(await person.violations(), []);
            await person.picture(`environment-connected/${look}`);
            const name = say('environment.disconnectFrom', { source: '127.0.0.1' });
            await table.getByRole('button', { name, exact: true }).click();
            await page.getByText(say('environment.nobody')).waitFor();
            assert.equal(await ended, 255);
          } finally {
            child.kill();
            login.remove();
          }
        }));

      test('says that an address is locked out, until when, and unlocks it', () =>
        withPerson(async (person) => {
          const page = await person.visit(environmentPath(id));
          const access = await berth.ssh(id);
          const wrong = new Login({ ...access, ssh_password: 'not it' });
          const right = new Login(access);
          const title = page.getByText(say('environment.locked', { count: 1 }));
          try {
            for (let count = 0; count < 5; count += 1) await wrong.ssh('true');
            assert.notEqual((await right.ssh('true')).code, 0, 'it is locked');
            await title.waitFor();
            await page.getByText(/127\.0\.0\.1.* 5 .*\d\d:\d\d/).waitFor();
            assert.deepEqual(await person.violations(), []);
            await person.picture(`environment-locked/${look}`);
            const name = say('environment.unlockOf', { source: '127.0.0.1' });
            await page.getByRole('button', { name, exact: true }).click();
            await title.waitFor({ state: 'detached' });
            assert.equal((await right.ssh('echo in')).stdout, 'in\n');
          } finally {
            wrong.remove();
            right.remove();
            await berth.unlock('127.0.0.1');
          }
        }));

      test('takes networks only, and warns before one shuts itself out', () =>
        withPerson(async (person) => {
          const address = '127.0.0.1';
          const page = await person.visit(environmentPath(id, 'access'));
          await page.getByText(say('allowlist.open', { address })).waitFor();
          const network = page.getByRole('textbox', { name: say('allowlist.add') });
          const add = page.getByRole('button', { name: say('allowlist.addAction'), exact: true });
          await network.fill('203.0.113.300');
          await page.getByText(say('allowlist.noNetwork')).waitFor();
          assert.equal(await add.isDisabled(), true);
          await network.fill('203.0.113.77/24');
          await page.getByRole('button', { name: '203.0.113.0/24' }).click();
          const warning = page.getByText(say('allowlist.addShutsOut', { address }));
          await warning.waitFor();
          assert.deepEqual(await person.violations(), []);
          await person.picture(`environment-shut-out/${look}`);
          await network.fill('127.0.0.0/8');
          await warning.waitFor({ state: 'detached' });
          await page.getByRole('textbox', { name: say('allowlist.note') }).fill('this machine');
          await add.click();
          await page.getByText(say('allowlist.youGetIn', { address })).waitFor();
          await network.fill('203.0.113.0/24');
          await add.click();
          const remove = (of: string) =>
            page.getByRole('button', { name: say('allowlist.removeOf', { network: of }) }).click();
          await remove('127.0.0.0/8');
          await page
            .getByText(say('allowlist.removeShutsOut', { network: '127.0.0.0/8', address }))
            .waitFor();
          await page.getByRole('button', { name: say('allowlist.removeAnyway') }).click();
          await page.getByText(say('allowlist.youDoNot', { address })).waitFor();
          await remove('203.0.113.0/24');
          await page.getByText(say('allowlist.open', { address })).waitFor();
        }));

      test('is closed to passwords and forwarding by a switch each, in force at once', () =>
        withPerson(async (person) => {
          const page = await person.visit(environmentPath(id, 'access'));
          const passwords = page.getByRole('switch', { name: say('environment.passwordLogin') });
          const name = say('forwarding.agent');
          await passwords.uncheck();
          await page.getByText(say('environment.passwordOff')).first().waitFor();
          await page.getByRole('checkbox', { name, disabled: false }).click();
          await page.getByRole('checkbox', { name, checked: false, disabled: false }).waitFor();
          const shown = await berth.show(id);
          assert.deepEqual(
            [shown?.password_login, shown?.forwarding.agent, shown?.forwarding.local],
            [false, false, true],
          );
          await passwords.check();
          await page.getByText(say('environment.passwordLoginOn')).waitFor();
          await page.getByRole('checkbox', { name, disabled: false }).click();
          await page.getByRole('checkbox', { name, checked: true, disabled: false }).waitFor();
          assert.equal((await berth.show(id))?.forwarding.agent, true);
        }));

      test('is renamed at once, and resized from its next start', () =>
        withPerson(async (person) => {
          const page = await person.visit(environmentPath(id, 'settings'));
          await page.getByRole('textbox', { name: say('environment.name') }).fill('Workshop two');
          await page.getByRole('button', { name: say('environment.rename'), exact: true }).click();
          await page.getByRole('heading', { name: 'Workshop two', level: 1 }).waitFor();
          await page.getByRole('textbox', { name: say('create.amounts.cpu') }).fill('1.5');
          await page.getByRole('button', { name: say('environment.keep'), exact: true }).click();
          await page.getByText(say('environment.keptRestart')).waitFor();
          assert.equal((await berth.show(id))?.resources.cpu, 1.5);
        }));

      test('tells its history and its log as they come', () =>
        withPerson(async (person) => {
          const page = await person.visit(environmentPath(id, 'history'));
          const words = (text: string) => (language === 'en' ? text : inOtherWords(text, serverSentences));
          await page.getByText(words('Starting its container.')).first().waitFor();
          await berth.call('PATCH', pathOf(routes.environment, { id }), { name: 'Workshop' });
          await page.getByText('the name "Workshop"').waitFor();
          await person.visit(environmentPath(id, 'log'));
          await page
            .locator('pre')
            .getByText(/sshd|listening/i)
            .first()
            .waitFor();
        }));

      test('is found by search and filters that stand in the address', () =>
        withPerson(async (person) => {
          await berth.create({ name: 'Elsewhere' });
          const page = await person.visit(pages.environments);
          const elsewhere = page.getByRole('row', { name: /Elsewhere/ });
          await page.getByRole('searchbox').fill('WORK');
          await elsewhere.waitFor({ state: 'detached' });
          await page.getByRole('row', { name: /Workshop/ }).waitFor();
          assert.equal(new URL(page.url()).searchParams.get('search'), 'WORK');
          await page.getByRole('button', { name: say('environments.clear') }).click();
          await elsewhere.waitFor();
          await page.getByRole('button', { name: say('environments.name'), exact: true }).click();
          await page.waitForURL((url) => url.searchParams.get('sort') === 'name');
          await page.locator('th[aria-sort=ascending]').waitFor();
          await person.settled();
          const names = await page.locator('tbody tr td:first-child a').allTextContents();
          assert.deepEqual(names, ['Elsewhere', 'Workshop']);
          await person.visit(`${pages.environments}?search=nothing+like+it`);
          await page.getByText(say('environments.noneFound'), { exact: true }).waitFor();
          await person.visit(`${pages.environments}?status=nonsense&sort=nonsense&customer=-1`);
          await page.getByRole('row', { name: /Workshop/ }).waitFor();
        }));

      test('is shown as it was while Berth does not answer, and as it is once it does', () =>
        withPerson(async (person) => {
          const page = await person.visit(pages.environments);
          await page.getByRole('row', { name: /Workshop/ }).waitFor();
          await berth.kill('SIGKILL');
          await page.getByText(begins('shell.silent')).waitFor({ timeout: startMs });
          await page.getByRole('row', { name: /Workshop/ }).waitFor();
          assert.deepEqual(await person.violations(), []);
          assert.equal(await berth.up(), true);
          await page.getByText(begins('shell.silent')).waitFor({ state: 'detached', timeout: startMs });
          await berth.create({ name: 'Made since then' });
          await page.getByRole('row', { name: /Made since then/ }).waitFor();
        }));
    });

    test('leaves nothing behind', async () => {
      const { body } = await berth.call<EnvironmentPage>('GET', routes.environments);
      for (const { env_id } of body.items) {
        await berth.call('DELETE', pathOf(routes.environment, { id: env_id }));
        await berth.until(env_id, 'gone');
      }
      assert.deepEqual(await berth.things(), []);
    });
  });
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
