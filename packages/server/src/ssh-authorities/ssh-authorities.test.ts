import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { AuditPage, Problem, SshAuthority, SshAuthorityPage, SshRevocations } from '@berth/contract';
import { largestRevocationList, pathOf, routes } from '@berth/contract';
import { RevocationList, generateHostKey, parsePublicKey } from '@berth/ssh';
import { databases } from '../../../../test/harness/databases.ts';
import { eventually } from '../../../../test/harness/ssh.ts';
import { makeKey, sshKeygenIn } from '../../../ssh/src/testing/ssh-keygen.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';

for (const on of databases) {
  describe(`authorities of user certificates on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let chief: Account;
    let alice: Account;
    let bob: Account;
    before(async () => {
      plane = await ControlPlane.open(on);
      app = await makeApp(plane.services);
      chief = await plane.account('operators', 'admin');
      alice = await plane.account('alice');
      bob = await plane.account('bob');
    });
    after(async () => {
      await app.close();
      await plane.close();
    });

    const ask = (
      method: 'GET' | 'POST' | 'PUT' | 'DELETE',
      url: string,
      { token }: Account,
      payload?: object,
    ) =>
      app.inject({
        method,
        url,
        headers: { authorization: `Bearer ${token}` },
        ...(payload ? { payload } : {}),
      });
    const list = async (who: Account, query = '') =>
      (await ask('GET', `${routes.sshAuthorities}${query}`, who)).json<SshAuthorityPage>().items;
    const problemOf = (answer: { statusCode: number; body: string }, status: number) => {
      assert.equal(answer.statusCode, status, answer.body);
      return JSON.parse(answer.body) as Problem;
    };
    const known = () => plane.services.directory.customer(alice.principal.customerId);
    const audited = async (action: string) =>
      (await ask('GET', `${routes.audit}?action=${action}`, chief)).json<AuditPage>().items;

    test('are added, known to every attempt at once, and deleted', async () => {
      const { publicLine, fingerprint } = generateHostKey();
      const answer = await ask('POST', routes.sshAuthorities, alice, { name: 'CA', public_key: publicLine });
      assert.equal(answer.statusCode, 201, answer.body);
      const authority = answer.json<SshAuthority>();
      assert.deepEqual([authority.name, authority.fingerprint], ['CA', fingerprint]);
      await eventually(
        () => known()?.authorities.has(fingerprint),
        (found) => found === true,
      );
      assert.deepEqual(await list(alice), [authority]);
      assert.deepEqual(await list(bob), []);
      assert.deepEqual(await list(bob, `?customer_id=${alice.principal.customerId}`), []);
      assert.deepEqual(await list(chief, `?customer_id=${alice.principal.customerId}`), [authority]);
      const at = pathOf(routes.sshAuthority, { id: String(authority.id) });
      assert.equal((await ask('DELETE', at, bob)).statusCode, 404);
      assert.equal((await ask('DELETE', at, alice)).statusCode, 204);
      await eventually(
        () => known()?.authorities.has(fingerprint),
        (found) => found === false,
      );
      assert.equal((await ask('DELETE', at, alice)).statusCode, 404);
      const records = (await audited('ssh_authority')).map(({ action, target }) => [action, target]);
      assert.deepEqual(records, [
        ['ssh_authority.delete', fingerprint],
        ['ssh_authority.add', fingerprint],
      ]);
    });

    test('are refused when they are no key, there already, or for others', async () => {
      const { publicLine } = generateHostKey();
      const add = (public_key: string, who = alice, more = {}) =>
        ask('POST', routes.sshAuthorities, who, { name: 'CA', public_key, ...more });
      const { privateKey } = makeKey('-t', 'ed25519');
      for (const bad of ['rubbish', `cert-authority ${publicLine}`, 'ssh-ed25519 AAAA', privateKey]) {
        const problem = problemOf(await add(bad), 422);
        assert.deepEqual([problem.code, problem.field], ['bad_ssh_key', 'public_key'], bad);
      }
      assert.equal((await add(publicLine)).statusCode, 201);
      assert.equal(problemOf(await add(`${publicLine} again`), 409).code, 'duplicate_key');
      const customer_id = alice.principal.customerId;
      assert.equal(problemOf(await add(publicLine, bob, { customer_id }), 403).code, 'forbidden');
      assert.equal((await add(publicLine, bob)).statusCode, 201, 'of another customer');
      const { publicLine: second } = generateHostKey();
      assert.equal((await add(second, chief, { customer_id })).statusCode, 201);
      assert.equal((await list(alice)).length, 2);
      const unknown = problemOf(await add(second, chief, { customer_id: 999_999 }), 422);
      assert.equal(unknown.code, 'unknown_reference');
    });

    const set = (content: string | Buffer, who = alice, more = {}) =>
      ask('PUT', routes.sshRevocations, who, { list: Buffer.from(content).toString('base64'), ...more });

    test('have what they revoked in a list of ssh-keygen, or of keys, which is in force at once', async () => {
      const gone = makeKey('-t', 'ecdsa').publicLine;
      const stays = makeKey('-t', 'ed25519').publicLine;
      assert.equal((await ask('GET', routes.sshRevocations, alice)).statusCode, 404);
      const { files } = sshKeygenIn({ 'gone.pub': gone }, ['-q', '-k', '-f', 'krl', '-z', '7', 'gone.pub']);
      const isRevoked = (line: string) => known()?.revocations?.isRevoked(parsePublicKey(line).blob) ?? false;
      for (const [content, version] of [
        [files.get('krl') ?? '', '7'],
        [`# lost on the train\r\n\n  ${gone}\n`, '0'],
      ] as const) {
        const answer = await set(content);
        assert.equal(answer.statusCode, 200, answer.body);
        const shown = answer.json<SshRevocations>();
        assert.equal(shown.version, version);
        assert.ok(new RevocationList(Buffer.from(shown.list, 'base64')).isRevoked(parsePublicKey(gone).blob));
        assert.deepEqual((await ask('GET', routes.sshRevocations, alice)).json(), shown);
        await eventually(
          () => isRevoked(gone),
          (found) => found,
        );
        assert.ok(!isRevoked(stays));
        assert.equal((await ask('GET', routes.sshRevocations, bob)).statusCode, 404);
        assert.equal((await ask('DELETE', routes.sshRevocations, alice)).statusCode, 204);
        await eventually(
          () => isRevoked(gone),
          (found) => !found,
        );
      }
      assert.equal((await ask('DELETE', routes.sshRevocations, alice)).statusCode, 404);
      const records = (await audited('ssh_revocations')).map(({ action }) => action);
      assert.deepEqual(records.slice(0, 2), ['ssh_revocations.clear', 'ssh_revocations.set']);
    });

    test('that what OpenSSH would read of such a list is the same', async () => {
      const gone = makeKey('-t', 'rsa', '-b', '2048').publicLine;
      const { list: krl } = (await set(gone)).json<SshRevocations>();
      const files = { krl: Buffer.from(krl, 'base64'), 'gone.pub': gone };
      assert.throws(
        () => sshKeygenIn(files, ['-Q', '-f', 'krl', 'gone.pub']),
        (error: { stdout?: string }) => /REVOKED/.test(error.stdout ?? ''),
      );
      const other = { ...files, 'gone.pub': makeKey('-t', 'ed25519').publicLine };
      assert.match(sshKeygenIn(other, ['-Q', '-f', 'krl', 'gone.pub']).printed, /: ok/);
    });

    test('refuse a list that they cannot read, and say what is wrong with it', async () => {
      const { publicLine } = generateHostKey();
      const krl = sshKeygenIn({ 'k.pub': `${publicLine}\n` }, ['-q', '-k', '-f', 'krl', 'k.pub']).files.get(
        'krl',
      );
      assert.ok(krl);
      const before = (await set(publicLine)).json<SshRevocations>();
      for (const [content, said] of [
        ['rubbish', /line 1: /],
        [`${publicLine}\n\nssh-ed25519 AAAA\n`, /line 3: /],
        ['# nothing\n', /no key/],
        [krl.subarray(0, -3), /revocation list/],
        [Buffer.concat([krl, Buffer.from('x')]), /revocation list/],
        [Buffer.alloc(largestRevocationList + 1, '#'), /bytes|list/],
      ] as const) {
        const answer = await set(content);
        const problem = problemOf(answer, content.length > largestRevocationList ? answer.statusCode : 422);
        assert.ok(problem.status >= 400 && problem.status < 500);
        assert.equal(problem.field, 'list');
        assert.match(problem.detail, said);
      }
      assert.deepEqual(
        (await ask('GET', routes.sshRevocations, alice)).json(),
        before,
        'the one before holds',
      );
      const customer_id = alice.principal.customerId;
      assert.equal(problemOf(await set(publicLine, bob, { customer_id }), 403).code, 'forbidden');
      for (const method of ['GET', 'DELETE'] as const) {
        const url = `${routes.sshRevocations}?customer_id=${customer_id}`;
        assert.equal((await ask(method, url, bob)).statusCode, 403);
      }
    });

    test('go with their customer', async () => {
      const carol = await plane.account('carol');
      const { publicLine } = generateHostKey();
      const body = { name: 'CA', public_key: publicLine };
      assert.equal((await ask('POST', routes.sshAuthorities, carol, body)).statusCode, 201);
      assert.equal((await set(publicLine, carol)).statusCode, 200);
      const { customerId } = carol.principal;
      const gone = await ask('DELETE', pathOf(routes.customer, { id: String(customerId) }), chief);
      assert.equal(gone.statusCode, 204, gone.body);
      for (const table of ['ssh_authorities', 'ssh_revocations'] as const) {
        const left = await plane.database
          .selectFrom(table)
          .select('customer_id')
          .where('customer_id', '=', customerId)
          .execute();
        assert.deepEqual(left, [], table);
      }
    });
  });
}
