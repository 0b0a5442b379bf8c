import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { generateHostKey } from '@berth/ssh';
import { eventually } from '../../../../test/harness/ssh.ts';
import { databases } from '../../../../test/harness/databases.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { addKey } from '../ssh-keys/ssh-keys.ts';
import { FollowedLogs } from './followed-logs.ts';
import { DirectLogins } from './logins.ts';

for (const on of databases) {
  describe(`the last use of keys on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let alice: Account;
    let bob: Account;
    let logs: FollowedLogs;
    let logins: DirectLogins;
    before(async () => {
      plane = await ControlPlane.open(on);
      alice = await plane.account('alice');
      bob = await plane.account('bob');
    });
    afterEach(async () => {
      await logs.stop();
      await logins.stop();
      await plane.clear();
    });
    after(() => plane.close());

    const follow = () => {
      logins = new DirectLogins(plane.services);
      logs = new FollowedLogs(plane.services, logins);
    };
    const key = async ({ principal }: Account, line: string) =>
      (await addKey(plane.database, principal, { principal, source: null }, { name: 'k', public_key: line }))
        .id;
    const usedAt = async (id: number) =>
      (
        await plane.database
          .selectFrom('ssh_keys')
          .select('last_used_at')
          .where('id', '=', id)
          .executeTakeFirstOrThrow()
      ).last_used_at;
    const running = async ({ principal }: Account) => {
      const { env_id: id } = await plane.create({ name: 'mine' }, plane.services, principal);
      await plane.until(id, 'running');
      return id;
    };
    const followed = (id: string, count = 1) =>
      eventually(
        () => plane.runtime.followers(id),
        (found) => found === count,
      );
    const accepted = (fingerprint: string) =>
      `Accepted publickey for developer from 10.0.0.1 port 40000 ssh2: ED25519 ${fingerprint}\r`;
    const used = (id: number) =>
      eventually(
        () => usedAt(id),
        (at) => at !== null,
      );

    test('is written down for the key of the customer whose environment it opened', async () => {
      const { publicLine, fingerprint } = generateHostKey();
      const hers = await key(alice, publicLine);
      const his = await key(bob, publicLine);
      await plane.startReconciler();
      follow();
      const id = await running(alice);
      await followed(id);
      plane.runtime.print(id, accepted(fingerprint));
      await used(hers);
      assert.equal(await usedAt(his), null);
    });

    test('is found in environments that ran before the server did', async () => {
      const { publicLine, fingerprint } = generateHostKey();
      const hers = await key(alice, publicLine);
      await plane.startReconciler();
      const id = await running(alice);
      follow();
      await followed(id);
      plane.runtime.print(id, accepted(fingerprint));
      await used(hers);
    });

    test('is not taken from other lines', async () => {
      const [first, second] = [generateHostKey(), generateHostKey()];
      const hers = await key(alice, first.publicLine);
      const other = await key(alice, second.publicLine);
      await plane.startReconciler();
      follow();
      const id = await running(alice);
      await followed(id);
      for (const line of [
        `Failed publickey for developer from 10.0.0.1 port 40000 ssh2: ED25519 ${first.fingerprint}`,
        `Invalid user ${accepted(first.fingerprint)}`,
        `Accepted publickey for developer from 10.0.0.1 port 40000 ssh2: ED25519-CERT ${first.fingerprint} ID x`,
        accepted(`${first.fingerprint}x`),
        accepted('SHA256:short'),
        'x'.repeat(60_000),
        accepted(second.fingerprint),
      ])
        plane.runtime.print(id, line);
      await used(other);
      assert.equal(await usedAt(hers), null);
    });

    test('is written down once a minute at most', async () => {
      const { publicLine, fingerprint } = generateHostKey();
      const hers = await key(alice, publicLine);
      const beacon = generateHostKey();
      const other = await key(alice, beacon.publicLine);
      await plane.startReconciler();
      const id = await running(alice);
      const second = new Date(Date.now() - 59_000);
      await plane.database
        .updateTable('ssh_keys')
        .set({ last_used_at: second })
        .where('id', '=', hers)
        .execute();
      follow();
      await followed(id);
      plane.runtime.print(id, accepted(fingerprint));
      plane.runtime.print(id, accepted(beacon.fingerprint));
      await used(other);
      assert.deepEqual(await usedAt(hers), second);
    });

    test('is followed again when the engine was away, and when the container was started anew', async () => {
      const { publicLine, fingerprint } = generateHostKey();
      const hers = await key(alice, publicLine);
      await plane.startReconciler();
      follow();
      const id = await running(alice);
      await followed(id);
      plane.runtime.leave();
      plane.runtime.cutLogs(id);
      await followed(id, 0);
      plane.runtime.comeBack();
      await followed(id);
      plane.runtime.print(id, accepted(fingerprint));
      await used(hers);
      plane.runtime.cutLogs(id);
      await followed(id, 0);
      await plane.runtime.vanish(id, false);
      await followed(id);
      await logs.stop();
      assert.equal(plane.runtime.followers(id), 0);
    });
  });
}
