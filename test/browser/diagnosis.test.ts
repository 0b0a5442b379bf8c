/** The diagnosis in the browser: a fault is found, what a real client printed is explained, and both languages say it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { pages, pathOf, routes } from '@berth/contract';
import type { CreatedEnvironment } from '@berth/contract';
import { TestBerth } from '../harness/berth.ts';
import { execute } from '../harness/ssh.ts';
import { TestBrowser, firstPassword, pictureFolder, skipWithoutBrowser } from './browser.ts';
import type { Looks } from './browser.ts';

const words = {
  en: {
    ask: 'Diagnose',
    source: 'For the address',
    well: 'Nothing is wrong.',
    problems: '2 problems',
    all: /Everything that was looked at/,
    stopped: 'It is stopped, and logins do not start it.',
    allowlist: 'The allowlist does not hold 198.51.100.7 (entries: 1), so it is refused.',
    paste: 'Output of the client',
    refused: /The environment diagnosed-\w+ is stopped, and logins do not start it\./,
    cure: /Start it: berth start diagnosed-/,
    password: 'The password was wrong.',
    bad: /which is no address/,
    found: 'Found before it was cleaned up',
    image: /is not on the machine, so its next start has to pull it/,
  },
  'zh-CN': {
    ask: '开始诊断',
    source: '检查的来源地址',
    well: '一切正常。',
    problems: '2 个问题',
    all: /全部检查项/,
    stopped: '已停止，登录不会启动它。',
    allowlist: '白名单共有 1 个网络，198.51.100.7 都不在其中，因此被拒绝。',
    paste: '客户端输出',
    refused: /环境 diagnosed-\w+ 处于 stopped 状态，登录不会启动它。/,
    cure: /手动启动：berth start diagnosed-/,
    password: '密码不对。',
    bad: /which is no address/,
    found: '清理之前的检查结果',
    image: /不在这台机器上，下次启动需要先拉取/,
  },
} as const;

describe('the diagnosis in a browser', { skip: skipWithoutBrowser }, () => {
  let berth: TestBerth;
  let browser: TestBrowser;
  let environment: CreatedEnvironment;
  let imageless: CreatedEnvironment;
  let printed: string;
  before(async () => {
    berth = await TestBerth.start({ gateway: true, settings: { BERTH_WAKE_QUIET_MINUTES: '0' } });
    browser = await TestBrowser.open(berth);
    environment = await berth.createRunning({ name: 'Diagnosed' });
    await berth.call('POST', routes.images, { name: 'nowhere', reference: 'nowhere.invalid/none:1' });
    imageless = await berth.create({ name: 'Imageless', image: 'nowhere' });
    await berth.until(imageless.env_id, 'failed');
  });
  after(async () => {
    await browser?.close();
    await berth?.remove();
  });

  const of = (id: string) => pathOf(pages.environmentTab, { id, tab: 'diagnosis' });

  test('says that nothing is wrong where nothing is', async () => {
    const person = await browser.person();
    try {
      await person.signIn('admin', firstPassword(berth));
      await person.visit(of(environment.env_id));
      const { page } = person;
      await page.getByRole('button', { name: words.en.ask, exact: true }).click();
      await page.getByText(words.en.well).waitFor();
      await page.getByText(words.en.all).click();
      await page.getByText('It works: the gateway gets in.').waitFor();
      assert.equal(await page.getByRole('img', { name: 'problem' }).count(), 0);
      assert.deepEqual(person.faults, []);
    } finally {
      await person.close();
    }
  });

  test('finds what is wrong, and explains what a client printed, in both languages', async (context) => {
    const { env_id: id } = environment;
    await berth.call('POST', pathOf(routes.environmentStop, { id }));
    await berth.until(id, 'stopped');
    await berth.call('PATCH', pathOf(routes.environment, { id }), { wake: false });
    printed = await outputOf(environment);
    assert.match(printed, /is stopped/);
    const network = { network: '203.0.113.0/24', env_id: id };
    await berth.call('POST', routes.allowlist, network);
    const looks: Looks[] = [
      { language: 'en' },
      { language: 'zh-CN', scheme: 'dark' },
      { language: 'zh-CN', phone: true },
      { language: 'en', phone: true, scheme: 'dark' },
    ];
    for (const look of looks) {
      const { language = 'en', scheme = 'light', phone = false } = look;
      const said = words[language];
      const person = await browser.person(look);
      try {
        const { page } = person;
        await person.signIn('admin', firstPassword(berth));
        await person.visit(of(id));
        await page.getByLabel(said.source).fill('nonsense');
        await page.getByRole('button', { name: said.ask, exact: true }).click();
        await page.getByText(said.bad).waitFor();
        await page.getByLabel(said.source).fill('198.51.100.7');
        await page.getByRole('button', { name: said.ask, exact: true }).click();
        await page.getByText(said.problems, { exact: true }).waitFor();
        await page.getByText(said.stopped, { exact: true }).first().waitFor();
        await page.getByText(said.allowlist, { exact: true }).first().waitFor();
        await page.getByLabel(said.paste).fill(printed);
        await page.getByText(said.refused).first().waitFor();
        await page.getByText(said.cure).first().waitFor();
        assert.equal(await page.getByText(said.password).count(), 0, 'the password was right');
        await person.picture(`diagnosis/${language}-${scheme}${phone ? '-phone' : ''}`);
        assert.deepEqual(await person.violations(), []);
        await person.visit(pathOf(pages.environment, { id: imageless.env_id }));
        await page.getByText(said.found).waitFor();
        await page.getByText(said.image).waitFor();
        await person.picture(`diagnosis-failed/${language}-${scheme}${phone ? '-phone' : ''}`);
        assert.deepEqual([...(await person.violations()), ...person.faults], []);
      } finally {
        await person.close();
      }
    }
    context.diagnostic(`pictures are in ${pictureFolder}`);
  });

  /** Of the stock client, with the environment's own password. */
  async function outputOf({ ssh_port, ssh_password }: CreatedEnvironment): Promise<string> {
    const { stderr } = await execute(
      'sshpass',
      [
        ...[
          '-e',
          'ssh',
          '-v',
          '-F',
          'none',
          '-o',
          'StrictHostKeyChecking=no',
          '-o',
          'UserKnownHostsFile=/dev/null',
        ],
        ...['-o', 'PubkeyAuthentication=no', '-o', 'PreferredAuthentications=password'],
        ...['-o', 'NumberOfPasswordPrompts=1', '-p', String(ssh_port), 'developer@127.0.0.1', 'true'],
      ],
      { environment: { SSHPASS: ssh_password } },
    );
    return stderr;
  }
});
