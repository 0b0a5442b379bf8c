/** JupyterLab itself, in a real environment: kernels, terminals and notebooks over the proxy, and what ends them. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathOf, routes } from '@berth/contract';
import type { AuditRecord, Connection, CreatedEnvironment, LoginToken } from '@berth/contract';
import type WebSocket from 'ws';
import { TestBerth, skipWithoutDocker } from '../harness/berth.ts';
import { LabPage, Visitor, runCell } from '../harness/jupyter.ts';
import { Login, eventually } from '../harness/ssh.ts';

describe('JupyterLab of a real environment', { skip: skipWithoutDocker }, () => {
  let berth: TestBerth;
  let environment: CreatedEnvironment;
  let visitor: Visitor;
  let login: Login;

  before(async () => {
    berth = await TestBerth.start({ gateway: true, settings: { BERTH_JUPYTER_IDLE_MINUTES: '60' } });
    // JupyterLab and a kernel need more than half a GiB.
    environment = await berth.createRunning({ name: 'lab', resources: { cpu: 2, memory: 1 } });
    login = new Login(await berth.ssh(environment.env_id));
    const password = readFileSync(join(berth.dataDir, 'admin-password'), 'utf8').trim();
    const { body } = await berth.call<LoginToken>('POST', routes.login, { account: 'admin', password });
    visitor = new Visitor(berth.httpAddress, { authorization: `Bearer ${body.token}` });
  });
  after(async () => {
    login?.remove();
    await berth?.remove();
  });

  const at = (rest: string) => `/jupyter/${environment.env_id}/${rest}`;

  const enter = async () => LabPage.load(await visitor.enter(environment.env_id));

  async function liveConnection(): Promise<Connection> {
    const path = `${routes.connections}?live=true&way=jupyter&env_id=${environment.env_id}`;
    const [found] = (await berth.call<{ items: Connection[] }>('GET', path)).body.items;
    assert.ok(found);
    return found;
  }

  it('runs a cell, and a notebook that is saved is there over SSH', async () => {
    const page = await enter();
    const kernel = await page.kernel();
    assert.equal(
      await runCell(kernel, 'import os\nprint(6 * 7, os.getcwd(), os.getuid())'),
      '42 /gemini/code 1000\n',
    );
    const cells = [
      { cell_type: 'code', source: 'print(6 * 7)', metadata: {}, outputs: [], execution_count: 1 },
    ];
    const content = { cells, metadata: {}, nbformat: 4, nbformat_minor: 4 };
    await page.call('PUT', 'api/contents/first.ipynb', { type: 'notebook', format: 'json', content });
    const saved = await overSsh('cat /gemini/code/first.ipynb');
    assert.match(saved, /"print\(6 \* 7\)"/);
    kernel.terminate();
  });

  it('gives a terminal of its own', async () => {
    const page = await enter();
    const terminal = await page.terminal();
    let heard = '';
    terminal.on('message', (data) => (heard += String(data)));
    terminal.send(JSON.stringify(['stdin', 'echo "$((6 * 7)) $USER$(id -un)"\r']));
    await eventually(
      () => heard,
      (text) => /42 \w*developer/.test(text),
      20_000,
    );
    terminal.terminate();
  });

  it('shows the browser nothing that lets in, and whose it is', async () => {
    const page = await enter();
    assert.match(page.html, /"token": ""/);
    const token = (await overSsh('cat /tmp/berth-jupyter-1000/token')).trim();
    assert.match(token, /^[0-9a-f]{64}$/);
    assert.ok(!page.html.includes(token));
    const me = await page.call<{ identity: { username: string } }>('GET', 'api/me');
    assert.equal(me.identity.username, 'admin');
    assert.equal(await overSsh('stat -c %a /tmp/berth-jupyter-1000/socket'), '600\n');
    const listeners = await overSsh('cat /proc/net/tcp /proc/net/tcp6 2> /dev/null || true');
    // Port 8888, where JupyterLab listens when nobody says otherwise.
    assert.doesNotMatch(listeners, /:22B8 [0-9A-F]+:0000 0A/);
    const log = await overSsh('cat /tmp/berth-jupyter-1000/log');
    assert.ok(!log.includes(token), log);
  });

  it('works where people may forward nothing', async () => {
    const forwarding = { local: false, remote: false, agent: false, x11: false, sftp: false };
    await berth.call('PATCH', pathOf(routes.environment, { id: environment.env_id }), { forwarding });
    const page = await enter();
    const kernel = await page.kernel();
    assert.equal(await runCell(kernel, 'print("in")'), 'in\n');
    kernel.terminate();
  });

  it('is recorded with its bytes, and cut by a kill while what runs inside goes on', async () => {
    const page = await enter();
    const kernel = await page.kernel();
    await runCell(kernel, 'kept = 42');
    const connection = await eventually(liveConnection, ({ bytes_out: out }) => out > 1000);
    assert.deepEqual([connection.method, connection.account], ['session', 'admin']);
    const { items } = (
      await berth.call<{ items: AuditRecord[] }>(
        'GET',
        `${routes.audit}?action=ssh.login&target=${environment.env_id}`,
      )
    ).body;
    const attempt = items.find(({ detail }) => detail['connection'] === connection.id);
    assert.deepEqual([attempt?.outcome, attempt?.detail['way']], ['done', 'jupyter']);
    const closed = once(kernel, 'close');
    await berth.call('DELETE', pathOf(routes.connection, { id: connection.id }));
    await Promise.race([
      closed,
      new Promise((_, reject) => setTimeout(reject, 3000, new Error('still there'))),
    ]);
    assert.equal((await page.lab.ask(at('api/status'))).status, 403);

    const again = await enter();
    const [left] = await again.call<{ id: string }[]>('GET', 'api/kernels');
    const same = await again.socket(`api/kernels/${kernelOf(kernel)}/channels?session_id=${randomUUID()}`);
    assert.ok(left);
    assert.equal(await runCell(same, 'print(kept)'), '42\n');
    same.terminate();
  });

  it('starts the environment that was stopped, and JupyterLab in it', async () => {
    await berth.call('POST', pathOf(routes.environmentStop, { id: environment.env_id }));
    await berth.until(environment.env_id, 'stopped');
    const page = await enter();
    const kernel = await page.kernel();
    assert.equal(await runCell(kernel, 'print(open("/gemini/code/first.ipynb").read(1))'), '{\n');
    assert.equal((await berth.show(environment.env_id))?.status, 'running');
    const closed = once(kernel, 'close');
    await berth.call('DELETE', pathOf(routes.environment, { id: environment.env_id }));
    await closed;
  });

  /** What the command prints in a session of the person's own. */
  async function overSsh(command: string): Promise<string> {
    const { code, stdout, stderr } = await login.ssh(command);
    assert.equal(code, 0, stderr);
    return stdout;
  }
});

function kernelOf({ url }: WebSocket): string {
  return /kernels\/([^/]+)\//.exec(url)?.[1] ?? '';
}
