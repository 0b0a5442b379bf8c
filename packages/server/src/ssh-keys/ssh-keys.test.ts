import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
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

    test('refuse each kind of text that is no key of today in words of its own', async () => {
      const rsa = (bits: number) => sshLine(generateKeyPairSync('rsa', { modulusLength: bits }).publicKey);
      const { publicLine } = generateHostKey();
      const blob = publicLine.split(' ')[1] ?? '';
      const bad: [what: string, text: string, said: RegExp][] = [
        ['RSA below 2048 bits', rsa(1024), /1024 bits/],
        ['DSA', `ssh-dss ${blob}`, /DSA keys are no longer safe/],
        ['a certificate', `ssh-ed25519-cert-v01@openssh.com ${blob}`, /certificate, not a public key/],
        ['options', `from="10.0.0.1",no-pty ${publicLine}`, /Options .* are not taken/],
        ['two keys', `${publicLine}\n${generateHostKey().publicLine}\n`, /one line, and this is several/],
        ['PEM', '-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----', /PEM format/],
        ['nothing', '  ', /There is no key here/],
      ];
      for (const [what, text, said] of bad) {
        const answer = await add(alice, text);
        assert.equal(answer.statusCode, 422, what);
        const problem = answer.json<Problem>();
        assert.equal(problem.code, 'bad_ssh_key', what);
        assert.equal(problem.field, 'public_key', what);
        assert.match(problem.detail, said, what);
      }
      assert.equal((await add(alice, rsa(2048))).statusCode, 201);
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
      const answer = await add(alice, `${generateHostKey().publicLine} a\u0007b\u001b[31mc`);
      assert.equal(answer.statusCode, 201);
      assert.match(answer.json<SshKey>().public_key, /^[\x20-\x7e]+$/);
    });

    test("of another customer are neither seen nor deleted, by a member or by an administrator's own list", async () => {
      const key = (await add(alice, generateHostKey().publicLine)).json<SshKey>();
      assert.ok(!(await list(mallory)).some(({ id }) => id === key.id));
      assert.equal((await remove(mallory, key.id)).statusCode, 404);
      assert.ok((await list(alice)).some(({ id }) => id === key.id));
    });

    test('are listed in pages, and of another customer for an administrator who names it', async () => {
      const carol = await plane.account('carol');
      const chief = await plane.account('company', 'admin');
      const ids = [];
      for (const name of ['one', 'two', 'three'])
        ids.push((await add(carol, generateHostKey().publicLine, name)).json<SshKey>().id);
      const page = async (account: Account, query: string) =>
        (
          await app.inject({
            url: `${routes.sshKeys}${query}`,
            headers: { authorization: `Bearer ${account.token}` },
          })
        ).json<SshKeyPage>();
      const first = await page(carol, '?limit=2');
      const second = await page(carol, `?limit=2&cursor=${first.next_cursor}`);
      assert.deepEqual(
        [...first.items, ...second.items].map(({ id }) => id),
        ids,
      );
      assert.equal(second.next_cursor, null);
      const beyond = Buffer.from(JSON.stringify([Number.MAX_SAFE_INTEGER])).toString('base64url');
      assert.deepEqual((await page(carol, `?cursor=${beyond}`)).items, []);
      const query = `?customer_id=${carol.principal.customerId}`;
      assert.deepEqual((await page(chief, '')).items, []);
      assert.equal((await page(chief, query)).items.length, 3);
      assert.deepEqual((await page(mallory, query)).items, []);
      assert.equal((await remove(chief, ids[0] ?? 0)).statusCode, 204);
      const acts = await plane.database
        .selectFrom('audit')
        .select(['action', 'account', 'customer_id'])
        .where('customer_id', '=', carol.principal.customerId)
        .orderBy('id', 'desc')
        .execute();
      assert.deepEqual(acts[0], {
        action: 'ssh_key.delete',
        account: chief.principal.account,
        customer_id: carol.principal.customerId,
      });
      assert.equal(acts.length, 4);
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

/** As a .pub file has it. */
function sshLine(key: KeyObject): string {
  const { n = '', e = '' } = key.export({ format: 'jwk' });
  const text = (bytes: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  // RFC 4251: a number whose first bit is set has a zero byte in front.
  const number = (value: string) => {
    const bytes = Buffer.from(value, 'base64url');
    return text((bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes);
  };
  const blob = Buffer.concat([text(Buffer.from('ssh-rsa')), number(e), number(n)]);
  return `ssh-rsa ${blob.toString('base64')}`;
}
