import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { Problem, SshKey, SshKeyPage } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { formatPrivateKey, generateHostKey } from '@berth/ssh';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';

for (const on of databases) {
  describe(`public keys on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let alice: Account;
    let mallory: Account;
    before(async () => {
      plane = await ControlPlane.open(on);
      app = await makeApp(plane.services);
      alice = await plane.account('alice');
      mallory = await plane.account('mallory');
    });
    after(async () => {
      await app.close();
      await plane.close();
    });

    const add = (account: Account, public_key: string, name = 'laptop') =>
      app.inject({
        method: 'POST',
        url: routes.sshKeys,
        headers: { authorization: `Bearer ${account.token}` },
        payload: { name, public_key },
      });
    const list = async (account: Account) =>
      (
        await app.inject({ url: routes.sshKeys, headers: { authorization: `Bearer ${account.token}` } })
      ).json<SshKeyPage>().items;
    const remove = (account: Account, id: number | string) =>
      app.inject({
        method: 'DELETE',
        url: pathOf(routes.sshKey, { id: String(id) }),
        headers: { authorization: `Bearer ${account.token}` },
      });

    test('are added, listed and deleted', async () => {
      const { publicLine, fingerprint } = generateHostKey();
      const answer = await add(alice, `  ${publicLine} alice@laptop\n`, 'Mein Läptop 🚢');
      assert.equal(answer.statusCode, 201);
      const key = answer.json<SshKey>();
      assert.equal(key.name, 'Mein Läptop 🚢');
      assert.equal(key.type, 'ssh-ed25519');
      assert.equal(key.fingerprint, fingerprint);
      assert.ok(key.public_key.startsWith(publicLine));
      assert.deepEqual(await list(alice), [key]);
      const gone = await remove(alice, key.id);
      assert.equal(gone.statusCode, 204);
      assert.equal(gone.body, '');
      assert.deepEqual(await list(alice), []);
      assert.equal((await remove(alice, key.id)).statusCode, 404);
    });

    test('are kept once a customer, whatever the comment', async () => {
      const { publicLine, fingerprint } = generateHostKey();
      assert.equal((await add(alice, publicLine)).statusCode, 201);
      const again = await add(alice, `${publicLine} another comment`, 'another name');
      assert.equal(again.statusCode, 409);
      const problem = again.json<Problem>();
      assert.equal(problem.code, 'duplicate_key');
      assert.ok(problem.detail.includes(fingerprint));
      assert.equal((await add(mallory, publicLine)).statusCode, 201, 'another customer may have it too');
    });

    test('refuse a private key in clear words, and repeat none of it', async () => {
      const key = formatPrivateKey(generateKeyPairSync('ed25519').privateKey);
      const answer = await add(alice, key);
      assert.equal(answer.statusCode, 422);
      const problem = answer.json<Problem>();
      assert.equal(problem.code, 'bad_ssh_key');
      assert.equal(problem.field, 'public_key');
      assert.match(problem.detail, /private key/i);
      for (const line of key.split('\n').slice(1, -2)) assert.ok(!answer.body.includes(line.slice(0, 20)));
    });

    test('refuse what is no key, several keys, and options in front of one', async () => {
      const { publicLine } = generateHostKey();
      const bad = [
        'hello',
        'ssh-ed25519',
        'ssh-ed25519 AAAA',
        `${publicLine}\n${generateHostKey().publicLine}`,
        `command="reboot" ${publicLine}`,
        `ssh-rsa ${publicLine.split(' ')[1]}`,
        publicLine.replace('ssh-ed25519', 'ssh-dss'),
      ];
      for (const line of bad) {
        const answer = await add(alice, line);
        assert.ok(answer.statusCode === 422 || answer.statusCode === 400, `${line}: ${answer.body}`);
        assert.match(answer.json<Problem>().detail, /^public_key: /);
      }
    });

    test('keep no control character of a comment', async () => {
      const answer = await add(alice, `${generateHostKey().publicLine} a\u0000b\u001b[31mc`);
      assert.equal(answer.statusCode, 201);
      assert.match(answer.json<SshKey>().public_key, /^[\x20-\x7e]+$/);
    });

    test("of another customer are neither seen nor deleted, by a member or by an administrator's own list", async () => {
      const key = (await add(alice, generateHostKey().publicLine)).json<SshKey>();
      assert.ok(!(await list(mallory)).some(({ id }) => id === key.id));
      assert.equal((await remove(mallory, key.id)).statusCode, 404);
      assert.ok((await list(alice)).some(({ id }) => id === key.id));
    });

    test('with an id that is none are not found or a bad request, never an error of ours', async () => {
      for (const id of ['0', '-1', '1.5', 'abc', '99999999999999999999', '1e3', '%00', '2147483648']) {
        const { statusCode } = await app.inject({
          method: 'DELETE',
          url: `${routes.sshKeys}/${id}`,
          headers: { authorization: `Bearer ${alice.token}` },
        });
        assert.ok(statusCode === 400 || statusCode === 404, `${id}: ${statusCode}`);
      }
    });
  });
}
