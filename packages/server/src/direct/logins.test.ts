import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { databases } from '../../../../test/harness/databases.ts';
import { eventually } from '../../../../test/harness/ssh.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { FollowedLogs } from './followed-logs.ts';
import { DirectLogins } from './logins.ts';
import { PortRules } from './port-rules.ts';

const source = '203.0.113.7';

for (const on of databases) {
  describe(`logins at a container's own sshd, on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let parts: { stop(): Promise<void> }[] = [];
    before(async () => {
      plane = await ControlPlane.open(on);
    });
    afterEach(async () => {
      for (const part of parts.toReversed()) await part.stop();
      parts = [];
      await plane.clear();
    });
    after(() => plane.close());

    async function running(): Promise<string> {
      await plane.startReconciler();
      const logins = new DirectLogins(plane.services);
      parts = [logins, new FollowedLogs(plane.services, logins), new PortRules(plane.services)];
      const { env_id: id } = await plane.create({ name: 'direct' });
      await plane.until(id, 'running');
      await eventually(
        () => plane.runtime.followers(id),
        (count) => count === 1,
      );
      return id;
    }

    it('locks the pair after five wrong passwords, in front of the port', async () => {
      const id = await running();
      const port = plane.services.directory.environment(id)?.port;
      for (let count = 0; count < 5; count += 1)
        plane.runtime.print(id, `Failed password for developer from ${source} port 4000${count} ssh2`);
      const [rule] = await eventually(
        () => plane.runtime.guardedPorts,
        (rules) => rules.length > 0,
      );
      assert.equal(rule?.port, port);
      assert.deepEqual(
        rule?.locked.map((each) => each.source),
        [source],
      );
      assert.ok(plane.services.directory.lockedUntil(id, source));
    });

    it('records each attempt, and a connection from its login to its end with its bytes', async () => {
      const id = await running();
      plane.runtime.print(id, `Failed password for invalid user root from ${source} port 40000 ssh2`);
      plane.runtime.print(id, `Accepted password for developer from ${source} port 40001 ssh2`);
      const live = async () =>
        plane.database.selectFrom('connections').selectAll().where('env_id', '=', id).execute();
      await eventually(live, (rows) => rows.length === 1);
      plane.runtime.traffic = [{ id, source, sourcePort: 40_001, bytesIn: 300, bytesOut: 70_000 }];
      plane.runtime.print(id, `Disconnected from user developer ${source} port 40001`);
      const [row] = await eventually(live, (rows) => rows.some(({ ended_at }) => ended_at !== null));
      assert.deepEqual(
        [row?.bytes_in, row?.bytes_out, row?.way, row?.gateway],
        [300, 70_000, 'own-port', null],
      );
      const attempts = await plane.database
        .selectFrom('audit')
        .select(['outcome', 'source'])
        .where('action', '=', 'ssh.login')
        .where('target', '=', id)
        .orderBy('id')
        .execute();
      assert.deepEqual(attempts, [
        { outcome: 'refused', source },
        { outcome: 'done', source },
      ]);
    });

    it('ends the connections of an environment that stops', async () => {
      const id = await running();
      plane.runtime.print(id, `Accepted password for developer from ${source} port 40001 ssh2`);
      const rows = async () =>
        plane.database.selectFrom('connections').select('ended_at').where('env_id', '=', id).execute();
      await eventually(rows, (found) => found.length === 1);
      plane.runtime.cutLogs(id);
      await eventually(rows, (found) => found.some(({ ended_at }) => ended_at !== null));
    });
  });
}
