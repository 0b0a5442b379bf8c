import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { AttemptRecord, AuditExportLine, AuditPage } from '@berth/contract';
import { routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { recordAttempts } from './attempts.ts';

let made = 0;
function attempt(given: Partial<AttemptRecord> = {}): AttemptRecord {
  made += 1;
  return {
    type: 'attempt',
    id: `attempt${String(made).padStart(12, '0')}`,
    at: '2026-11-24T19:05:01.123Z',
    connection: 'connection000001',
    way: 'shared-port',
    target: 'demo-7f3k',
    jumper: null,
    user: 'demo-7f3k',
    source: '203.0.113.7',
    source_port: 51234,
    client: 'SSH-2.0-OpenSSH_9.2',
    method: 'password',
    accepted: false,
    reason: 'wrong_password',
    fingerprint: null,
    account: null,
    customer: null,
    count: 1,
    ...given,
  };
}

for (const on of databases) {
  describe(`attempts in the audit log on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let token: string;
    before(async () => {
      plane = await ControlPlane.open(on);
      app = await makeApp(plane.services);
      ({ token } = await plane.account('operators', 'admin'));
    });
    after(async () => {
      await app.close();
      await plane.close();
    });
    const get = (url: string) => app.inject({ url, headers: { authorization: `Bearer ${token}` } });
    const targets = async (query: string) =>
      (await get(`${routes.audit}?action=ssh.login&${query}`))
        .json<AuditPage>()
        .items.map(({ target }) => target);

    test('stand there once, however often they come', async () => {
      const [one, two] = [
        attempt(),
        attempt({ accepted: true, reason: null, account: 'alice', customer: 1 }),
      ];
      const first = await recordAttempts(plane.database, [one, one]);
      assert.deepEqual(first, [{ ...one, keyType: null }]);
      const both = await Promise.all([
        recordAttempts(plane.database, [one, two]),
        recordAttempts(plane.database, [two, one]),
      ]);
      assert.deepEqual(both.flat(), [{ ...two, keyType: null }]);
      assert.deepEqual(await recordAttempts(plane.database, []), []);
      const { items } = (await get(`${routes.audit}?action=ssh.login`)).json<AuditPage>();
      assert.deepEqual(
        items.map(({ id, ...rest }) => {
          assert.ok(id > 0);
          return rest;
        }),
        [
          {
            at: two.at,
            action: 'ssh.login',
            outcome: 'done',
            account: 'alice',
            customer_id: 1,
            source: '203.0.113.7',
            target: 'demo-7f3k',
            detail: {
              way: 'shared-port',
              method: 'password',
              reason: null,
              fingerprint: null,
              client: 'SSH-2.0-OpenSSH_9.2',
              connection: 'connection000001',
              user: 'demo-7f3k',
              jumper: null,
              source_port: 51234,
              count: 1,
            },
          },
          {
            at: one.at,
            action: 'ssh.login',
            outcome: 'refused',
            account: null,
            customer_id: null,
            source: '203.0.113.7',
            target: 'demo-7f3k',
            detail: {
              way: 'shared-port',
              method: 'password',
              reason: 'wrong_password',
              fingerprint: null,
              client: 'SSH-2.0-OpenSSH_9.2',
              connection: 'connection000001',
              user: 'demo-7f3k',
              jumper: null,
              source_port: 51234,
              count: 1,
            },
          },
        ],
      );
    });

    test('are found by environment, source, account and outcome', async () => {
      await recordAttempts(plane.database, [
        attempt({ target: 'found-1111', source: '2001:db8::7' }),
        attempt({ target: 'found-2222', account: 'bob', accepted: true, reason: null }),
      ]);
      assert.deepEqual(await targets('target=found-1111'), ['found-1111']);
      assert.deepEqual(await targets('source=2001:db8::7'), ['found-1111']);
      assert.deepEqual(await targets('account=bob'), ['found-2222']);
      assert.deepEqual(await targets('target=found-2222&outcome=refused'), []);
      assert.equal((await get(`${routes.audit}?source=%00`)).statusCode, 400);
    });

    test('are broken by no character that a stranger sends', async () => {
      const user = 'a\0b\r\n\u001b[2J\ud800"\\\u202e\u{1f600}';
      const record = attempt({ target: user, user, client: user, jumper: user });
      assert.equal((await recordAttempts(plane.database, [record])).length, 1);
      const stored = 'a\ufffdb\r\n\u001b[2J\ufffd"\\\u202e\u{1f600}';
      const line = (await get(`${routes.auditExport}?action=ssh.login`)).body
        .trimEnd()
        .split('\n')
        .map((each) => JSON.parse(each) as AuditExportLine)
        .find(({ attempt: id }) => id === record.id);
      assert.deepEqual(
        [line?.target, line?.detail['user'], line?.detail['client'], line?.detail['jumper']],
        [stored, stored, stored, stored],
      );
    });

    test('of the future are written down as of now', async () => {
      await recordAttempts(plane.database, [
        attempt({ target: 'later-1111', at: '2999-01-01T00:00:00.000Z' }),
      ]);
      const { items } = (await get(`${routes.audit}?target=later-1111`)).json<AuditPage>();
      assert.ok(Math.abs(Date.parse(items[0]?.at ?? '') - Date.now()) < 60_000);
    });

    test('tell the type of a key that is known', async () => {
      const { customerId, accountId } = plane.admin;
      const key = { customer_id: customerId, account_id: accountId, public_key: 'x', name: 'x' };
      await plane.database
        .insertInto('ssh_keys')
        .values({ ...key, type: 'ssh-ed25519', fingerprint: 'SHA256:known' })
        .execute();
      const types = await recordAttempts(plane.database, [
        attempt({ method: 'publickey', fingerprint: 'SHA256:known' }),
        attempt({ method: 'publickey', fingerprint: 'SHA256:strange' }),
      ]);
      assert.deepEqual(
        types.map(({ keyType }) => keyType),
        ['ssh-ed25519', null],
      );
    });

    test('come five thousand at a time', async () => {
      const many = Array.from({ length: 5000 }, () => attempt({ target: 'many-1111' }));
      assert.equal((await recordAttempts(plane.database, many)).length, 5000);
      assert.equal((await recordAttempts(plane.database, many)).length, 0);
    });
  });
}
