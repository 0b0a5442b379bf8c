/** Two customers side by side on one machine: everything that one has, tried by the other, over HTTP and over SSH. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type {
  CreatedAccount,
  CreatedEnvironment,
  Customer,
  LoginToken,
  Problem,
  SshAccess,
  SshKey,
} from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { TestBerth, call, docker, skipWithoutDocker } from '../harness/berth.ts';
import type { Answer } from '../harness/berth.ts';
import { Login, makeKey } from '../harness/ssh.ts';

class Member {
  readonly customerId: number;
  readonly #berth: TestBerth;
  readonly #token: string;

  private constructor(berth: TestBerth, customerId: number, token: string) {
    this.#berth = berth;
    this.customerId = customerId;
    this.#token = token;
  }

  static async make(berth: TestBerth, name: string): Promise<Member> {
    const customer = await berth.call<Customer>('POST', routes.customers, { name });
    assert.equal(customer.status, 201, JSON.stringify(customer.body));
    const account = await berth.call<CreatedAccount>('POST', routes.accounts, {
      name,
      customer_id: customer.body.id,
    });
    assert.equal(account.status, 201, JSON.stringify(account.body));
    const login = await berth.call<LoginToken>('POST', routes.login, {
      account: name,
      password: account.body.password,
    });
    return new Member(berth, customer.body.id, login.body.token);
  }

  /** Over the HTTP address, since the socket in the data folder is the administrator's. */
  ask<T = unknown>(method: string, path: string, body?: unknown): Promise<Answer<T>> {
    return call<T>(this.#berth.httpAddress, method, path, body, {
      authorization: `Bearer ${this.#token}`,
    });
  }
}

describe('two customers on one machine', { skip: skipWithoutDocker }, () => {
  let berth: TestBerth;
  let alice: Member;
  let bob: Member;
  let hers: CreatedEnvironment;
  let his: CreatedEnvironment;
  let folder: string;
  const logins: Login[] = [];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-customers-'));
    berth = await TestBerth.start();
    alice = await Member.make(berth, 'alice');
    bob = await Member.make(berth, 'bob');
    const create = async (member: Member) => {
      const answer = await member.ask<CreatedEnvironment>('POST', routes.environments, {
        name: 'work',
        resources: { cpu: 1, memory: 0.5 },
      });
      assert.equal(answer.status, 202, JSON.stringify(answer.body));
      await berth.until(answer.body.env_id, 'running');
      return answer.body;
    };
    hers = await create(alice);
    his = await create(bob);
  });

  after(async () => {
    for (const each of logins) each.remove();
    await berth?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const access = async (member: Member, id: string) => {
    const answer = await member.ask<SshAccess>('GET', pathOf(routes.environmentSsh, { id }));
    assert.equal(answer.status, 200);
    return answer.body;
  };
  const login = (how: SshAccess, privateKey?: string) => {
    const made = new Login(how, privateKey);
    logins.push(made);
    return made;
  };

  it('may have environments of the same name, each its own', async () => {
    assert.notEqual(hers.env_id, his.env_id);
    for (const [member, environment] of [
      [alice, hers],
      [bob, his],
    ] as const) {
      const ran = await login(await access(member, environment.env_id)).ssh('hostname');
      assert.equal(ran.stdout.trim(), environment.env_id);
    }
  });

  it("do not get into each other's environments by their passwords or keys", async () => {
    const how = await access(alice, hers.env_id);
    const { ssh_password } = await access(bob, his.env_id);
    const wrong = await login({ ...how, ssh_password }).ssh('true');
    assert.equal(wrong.code, 255);
    assert.match(wrong.stderr, /Permission denied/);
    const key = await makeKey(folder, 'of-bob');
    const added = await bob.ask<SshKey>('POST', routes.sshKeys, {
      name: 'laptop',
      public_key: readFileSync(`${key}.pub`, 'utf8').trim(),
    });
    assert.equal(added.status, 201, JSON.stringify(added.body));
    const inHis = login(await access(bob, his.env_id), key);
    for (const deadline = Date.now() + 10_000; (await inHis.ssh('true')).code !== 0;)
      assert.ok(Date.now() < deadline, 'the key opens his own');
    const refused = await login(how, key).ssh('true');
    assert.equal(refused.code, 255);
    assert.match(refused.stderr, /Permission denied/);
  });

  it('may add the same key, and each deletes only its own', async () => {
    const key = readFileSync(`${await makeKey(folder, 'shared')}.pub`, 'utf8').trim();
    const [one, two] = await Promise.all(
      [alice, bob].map((member) =>
        member.ask<SshKey>('POST', routes.sshKeys, { name: 'shared', public_key: key }),
      ),
    );
    assert.deepEqual([one?.status, two?.status], [201, 201]);
    const theirs = pathOf(routes.sshKey, { id: String(one?.body.id) });
    assert.equal((await bob.ask('DELETE', theirs)).status, 404);
    assert.equal((await alice.ask('DELETE', theirs)).status, 204);
  });

  it("find nothing of each other's by any path, and change nothing", async () => {
    const id = hers.env_id;
    const attempts: [method: string, path: string, body?: unknown][] = [
      ['GET', pathOf(routes.environment, { id })],
      ['PATCH', pathOf(routes.environment, { id }), { name: 'mine now' }],
      ['DELETE', pathOf(routes.environment, { id })],
      ['DELETE', `${pathOf(routes.environment, { id })}?keep_storage=true`],
      ['POST', pathOf(routes.environmentStart, { id })],
      ['POST', pathOf(routes.environmentStop, { id })],
      ['POST', pathOf(routes.environmentRestart, { id })],
      ['GET', pathOf(routes.environmentSsh, { id })],
      ['POST', pathOf(routes.environmentResetPassword, { id })],
      ['GET', pathOf(routes.environmentEvents, { id })],
      ['GET', pathOf(routes.environmentLogs, { id })],
      ['GET', pathOf(routes.jupyter, { id })],
      ['GET', pathOf(routes.quota, { id: String(alice.customerId) })],
    ];
    for (const [method, path, body] of attempts) {
      const answer = await bob.ask<Problem>(method, path, body);
      assert.equal(answer.status, 404, `${method} ${path}: ${JSON.stringify(answer.body)}`);
      assert.equal(answer.body.code, 'not_found');
    }
    const { status, name } = (await berth.show(id)) ?? {};
    assert.deepEqual({ status, name }, { status: 'running', name: 'work' });
    for (const path of [routes.environments, routes.ports, routes.keptStorage]) {
      const { body } = await bob.ask<{ items: { env_id: string }[] }>('GET', path);
      assert.ok(!body.items.some(({ env_id }) => env_id === id), path);
    }
  });

  it('may make nothing for each other', async () => {
    const answer = await bob.ask<Problem>('POST', routes.environments, {
      name: 'for her',
      customer_id: alice.customerId,
    });
    assert.ok([403, 404, 422].includes(answer.status), JSON.stringify(answer.body));
    const { body } = await alice.ask<{ items: unknown[] }>('GET', routes.environments);
    assert.equal(body.items.length, 1);
  });

  it('cannot adopt the files that the other kept', async () => {
    const made = await alice.ask<CreatedEnvironment>('POST', routes.environments, {
      name: 'old',
      resources: { cpu: 1, memory: 0.5 },
    });
    const { env_id: id } = made.body;
    await berth.until(id, 'running');
    const ran = await login(await access(alice, id)).ssh('echo precious > /gemini/code/file');
    assert.equal(ran.code, 0, ran.stderr);
    await alice.ask('DELETE', `${pathOf(routes.environment, { id })}?keep_storage=true`);
    await berth.until(id, 'gone');
    const adopt = (member: Member) =>
      member.ask<CreatedEnvironment>('POST', routes.environments, {
        name: 'new',
        resources: { cpu: 1, memory: 0.5 },
        adopt_storage: id,
      });
    const refused = await adopt(bob);
    assert.equal(refused.status, 422, JSON.stringify(refused.body));
    assert.equal((await bob.ask('DELETE', pathOf(routes.keptStorageOf, { id }))).status, 404);
    const adopted = await adopt(alice);
    assert.equal(adopted.status, 202, JSON.stringify(adopted.body));
    await berth.until(adopted.body.env_id, 'running');
    const read = await login(await access(alice, adopted.body.env_id)).ssh('cat /gemini/code/file');
    assert.equal(read.stdout, 'precious\n');
  });

  it('do not reach each other inside the network', async () => {
    const target = await docker.getContainer(hers.env_id).inspect();
    const address = Object.values(target.NetworkSettings.Networks)[0]?.IPAddress ?? '';
    assert.notEqual(address, '');
    const reach = `timeout 3 bash -c 'exec 3<>/dev/tcp/${address}/22; head -c 4 <&3'`;
    const fromHis = await login(await access(bob, his.env_id)).ssh(reach);
    assert.doesNotMatch(fromHis.stdout, /SSH/);
    assert.notEqual(fromHis.code, 0);
    const fromHers = await login(await access(alice, hers.env_id)).ssh(reach);
    assert.equal(fromHers.stdout, 'SSH-', 'it is there for itself');
  });

  it('are held to their own quotas', async () => {
    const set = await berth.call('PUT', pathOf(routes.quota, { id: String(bob.customerId) }), {
      environments: 1,
    });
    assert.equal(set.status, 200, JSON.stringify(set.body));
    const over = await bob.ask<Problem>('POST', routes.environments, { name: 'second' });
    assert.equal(over.status, 403);
    assert.equal(over.body.code, 'quota_exceeded');
    assert.match(over.body.detail, /environments.*1/);
    const free = await alice.ask<CreatedEnvironment>('POST', routes.environments, {
      name: 'third',
      resources: { cpu: 1, memory: 0.5 },
    });
    assert.equal(free.status, 202);
    assert.equal(
      (await alice.ask('PUT', pathOf(routes.quota, { id: String(alice.customerId) }), {})).status,
      403,
    );
  });
});
