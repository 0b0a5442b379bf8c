/** The setting portAddress, with Docker publishing the ports: which addresses of this machine lead to an environment. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { TestBerth, skipWithoutDocker } from '../harness/berth.ts';

/** What a server says first; undefined where none is. */
async function greetingAt(host: string, port: number): Promise<string | undefined> {
  const socket = connect({ host, port, timeout: 5_000 });
  socket.once('timeout', () => socket.destroy(new Error('nothing is said')));
  try {
    const [data] = (await once(socket, 'data')) as [Buffer];
    return data.toString('latin1');
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}

describe('own ports', { skip: skipWithoutDocker }, () => {
  const cases = [
    { address: '::', answers: { '127.0.0.1': true, '::1': true } },
    { address: '::1', answers: { '127.0.0.1': false, '::1': true } },
    { address: '127.0.0.1', answers: { '127.0.0.1': true, '::1': false } },
  ];
  for (const { address, answers } of cases) {
    it(`are opened on ${address} and nowhere else`, async () => {
      const berth = await TestBerth.start({
        settings: { BERTH_PORT_ADDRESS: address, BERTH_EXPOSURE: 'direct' },
      });
      try {
        const { env_id: id, ssh_port: port } = await berth.create({ name: 'demo' });
        assert.ok(port !== null);
        await berth.until(id, 'running');
        for (const [host, reachable] of Object.entries(answers)) {
          const said = await greetingAt(host, port);
          if (reachable) assert.match(said ?? '', /^SSH-2\.0-/, host);
          else assert.equal(said, undefined, host);
        }
      } finally {
        await berth.remove();
      }
    });
  }
});
