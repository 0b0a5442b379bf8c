import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { databases } from '../../../../test/harness/databases.ts';
import { seal } from '../audit/sealing.ts';
import { getEnvironment, sshAccess } from '../environments/environments.ts';
import type { Services } from '../http/app.ts';
import type { Settings } from '../settings.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { keepHouse } from './housekeeping.ts';
import { lockHousekeeping } from './table.ts';

const dayMs = 24 * 60 * 60 * 1000;
const daysAgo = (days: number) => new Date(Date.now() - days * dayMs);

for (const on of databases) {
  describe(`housekeeping on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    before(async () => {
      plane = await ControlPlane.open(on);
    });
    after(() => plane.close());
    afterEach(() => plane.clear());

    const withSettings = (settings: Partial<Settings>): Services => {
      const services = plane.with(settings);
      return { ...services, addresses: { ...services.addresses, passwordAges: services.settings } };
    };
    const deleted = async (name: string, days: number, storage: Date | null = null) => {
      const { env_id: id } = await plane.create({ name });
      await plane.database
        .updateTable('environments')
        .set({ status: 'deleted', wanted: 'deleted', deleted_at: daysAgo(days), storage_kept_since: storage })
        .where('id', '=', id)
        .execute();
      await plane.database
        .updateTable('port_mappings')
        .set({ status: 'released', released_at: daysAgo(days) })
        .where('env_id', '=', id)
        .execute();
      return id;
    };
    const known = async () =>
      (await plane.database.selectFrom('environments').select('id').execute()).map(({ id }) => id).toSorted();

    test('lets timelines of deleted environments go after 90 days, and what is left of them after 365', async () => {
      const young = await deleted('young', 80);
      const old = await deleted('old', 100);
      const ancient = await deleted('ancient', 400);
      const keeps = await deleted('keeps', 400, new Date());
      const { env_id: lives } = await plane.create({ name: 'lives' });
      await plane.database
        .updateTable('environment_events')
        .set({ at: daysAgo(500) })
        .execute();
      await keepHouse(plane.services);
      assert.deepEqual(await known(), [young, old, keeps, lives].toSorted());
      assert.ok(!(await known()).includes(ancient));
      const lines = await plane.database
        .selectFrom('environment_events')
        .select('env_id')
        .distinct()
        .execute();
      assert.deepEqual(lines.map(({ env_id }) => env_id).toSorted(), [young, lives].toSorted());
      const ports = await plane.database.selectFrom('port_mappings').select('env_id').execute();
      assert.deepEqual(ports.map(({ env_id }) => env_id).toSorted(), [young, old, lives].toSorted());
    });

    test('keeps the id of files that another environment adopted', async () => {
      const ancient = await deleted('adopted', 400);
      const { env_id: heir } = await plane.create({ name: 'heir' });
      await plane.database
        .updateTable('environments')
        .set({ storage_id: ancient })
        .where('id', '=', heir)
        .execute();
      await keepHouse(plane.services);
      assert.deepEqual(await known(), [ancient, heir].toSorted());
    });

    test('keeps everything for ever where the settings say 0', async () => {
      const ancient = await deleted('for-ever', 4000);
      await plane.clearAudit();
      await plane.database
        .insertInto('audit')
        .values({ action: 'x', outcome: 'done', detail: '{}', at: daysAgo(4000) })
        .execute();
      await seal(plane.database);
      await keepHouse(withSettings({ 'retention.events': 0, 'retention.audit': 0, 'retention.history': 0 }));
      assert.deepEqual(await known(), [ancient]);
      assert.ok((await plane.timeline(ancient)).length > 0);
      const records = () =>
        plane.database.selectFrom('audit').select('id').where('action', '=', 'x').execute();
      assert.equal((await records()).length, 1);
      await keepHouse(plane.services);
      assert.equal((await records()).length, 0);
    });

    test('removes expired tokens, device logins and repeatable requests', async () => {
      const { database, admin } = plane;
      const token = (hash: string, expires_at: Date | null) =>
        database
          .insertInto('tokens')
          .values({ account_id: admin.accountId, hash: Buffer.from(hash), expires_at })
          .execute();
      await token('expired', daysAgo(1));
      await token('fresh', daysAgo(-1));
      await token('for-ever', null);
      for (const [word, days] of [
        ['OLD', 1],
        ['NEW', -1],
      ] as const) {
        await database
          .insertInto('device_logins')
          .values({
            device_code_hash: Buffer.from(word),
            user_code: word,
            name: 'x',
            source: null,
            account_id: null,
            expires_at: daysAgo(days),
          })
          .execute();
        await database
          .insertInto('repeatable_requests')
          .values({
            account_id: admin.accountId,
            key: word,
            request_hash: Buffer.alloc(1),
            status: null,
            answer: null,
            created_at: daysAgo(days > 0 ? 1.1 : 0.9),
          })
          .execute();
      }
      await keepHouse(plane.services);
      const tokens = await database.selectFrom('tokens').select('hash').execute();
      assert.deepEqual(tokens.map(({ hash }) => Buffer.from(hash).toString()).toSorted(), [
        'for-ever',
        'fresh',
      ]);
      const logins = await database.selectFrom('device_logins').select('user_code').execute();
      assert.deepEqual(logins, [{ user_code: 'NEW' }]);
      const requests = await database.selectFrom('repeatable_requests').select('key').execute();
      assert.deepEqual(requests, [{ key: 'NEW' }]);
    });

    test('announces and then replaces a password that has become too old, once', async () => {
      const services = withSettings({ passwordMaxAgeDays: 90, passwordNoticeDays: 7 });
      const { env_id: id } = await plane.create({ name: 'aged' });
      const { env_id: young } = await plane.create({ name: 'young' });
      const age = (days: number) =>
        plane.database
          .updateTable('ssh_credentials')
          .set({ password_changed_at: daysAgo(days) })
          .where('env_id', '=', id)
          .execute();
      const lines = async (of = id) => (await plane.timeline(of)).filter((line) => /password/.test(line));
      const read = async () => (await sshAccess(services, plane.admin, id)).ssh_password;
      const first = await read();
      await age(82);
      await keepHouse(services);
      assert.deepEqual(await lines(), []);

      await age(84);
      await keepHouse(services);
      await keepHouse(services);
      const when = new Date(Date.now() + 7 * dayMs);
      const [notice, ...more] = await lines();
      assert.match(notice ?? '', /^note: Its password will be replaced on \d{4}-\d\d-\d\d\.$/);
      assert.deepEqual(more, []);
      const shown = await getEnvironment(services, plane.admin, id);
      assert.ok(Math.abs(Date.parse(shown.password_expires_at ?? '') - when.getTime()) < dayMs);
      assert.equal(
        (await sshAccess(services, plane.admin, id)).password_expires_at,
        shown.password_expires_at,
      );

      await age(91);
      await keepHouse(services);
      assert.equal(await read(), first, 'its owner has not known for a week');
      await plane.database
        .updateTable('ssh_credentials')
        .set({ password_notice_at: daysAgo(7) })
        .where('env_id', '=', id)
        .execute();
      await Promise.all([keepHouse(services), keepHouse(services)]);
      assert.notEqual(await read(), first);
      assert.deepEqual((await lines()).slice(1), ['note: Its password was replaced after 91 days.']);
      const { generation } = await plane.database
        .selectFrom('environments')
        .select('generation')
        .where('id', '=', id)
        .executeTakeFirstOrThrow();
      assert.equal(generation, 2, 'the reconciler brings it into the container');
      assert.deepEqual(await lines(young), []);
      assert.equal((await getEnvironment(plane.services, plane.admin, young)).password_expires_at, null);
    });

    // PGlite has one server.
    if (on.name === 'PostgreSQL')
      test('leaves it to the server that is at it', async () => {
        const beside = await ControlPlane.open(on, {}, plane);
        const ancient = await deleted('ancient', 400);
        await beside.database.transaction().execute(async (transaction) => {
          assert.ok(await lockHousekeeping(transaction));
          await keepHouse(plane.services);
          assert.deepEqual(await known(), [ancient]);
        });
        await keepHouse(plane.services);
        assert.deepEqual(await known(), []);
        await beside.close();
      });
  });
}
