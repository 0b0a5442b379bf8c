/** An image that is pulled while an environment is made from it: how far that is, and what a cancellation leaves. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { pathOf, routes } from '@berth/contract';
import { TestBerth, docker, skipWithoutDocker } from '../harness/berth.ts';
import { startRegistry } from '../harness/registry.ts';
import type { TestRegistry } from '../harness/registry.ts';
import { eventually } from '../harness/ssh.ts';

const mebibyte = 1024 ** 2;

describe('the pull of an image', { skip: skipWithoutDocker }, () => {
  let berth: TestBerth;
  let registry: TestRegistry;
  before(async () => {
    registry = await startRegistry([8 * mebibyte, 2 * mebibyte], mebibyte);
    berth = await TestBerth.start();
    const { reference } = registry;
    const added = await berth.call('POST', routes.images, { name: 'slow', reference });
    assert.equal(added.status, 201, JSON.stringify(added.body));
  });
  after(async () => {
    await berth.remove();
    await registry.close();
    await docker
      .getImage(registry.reference)
      .remove({ force: true })
      .catch(() => undefined);
  });
  const begin = async (name: string): Promise<string> => {
    const answer = await berth.call<{ env_id: string; detail?: string }>('POST', routes.environments, {
      name,
      image: 'slow',
    });
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
    return answer.body.env_id;
  };

  test('can be given up, and leaves nothing', async () => {
    const id = await begin('given-up');
    await eventually(
      () => berth.show(id),
      (environment) => (environment?.step_percent ?? 0) > 0,
      30_000,
    );
    await berth.call('DELETE', pathOf(routes.environment, { id }));
    await berth.until(id, 'gone', 10_000);
    assert.deepEqual(await berth.things(), []);
  });

  test('is shown in percents that grow, of which the timeline keeps one line', async () => {
    const id = await begin('slow');
    const seen: number[] = [];
    for (const deadline = Date.now() + 60_000; ; await pause(50)) {
      const environment = await berth.show(id);
      if (environment?.status === 'failed') break;
      assert.ok(Date.now() < deadline, JSON.stringify(environment));
      const percent = environment?.step_percent ?? null;
      if (percent === null) continue;
      assert.equal(environment?.step, 'image');
      if (percent !== seen.at(-1)) seen.push(percent);
    }
    assert.ok(seen.length >= 4, seen.join());
    assert.deepEqual(
      seen,
      seen.toSorted((one, other) => one - other),
    );
    assert.ok((seen.at(-1) ?? 0) > 50 && (seen.at(-1) ?? 101) <= 100, seen.join());
    const lines = (await berth.events(id)).filter(({ step }) => step === 'image');
    assert.deepEqual(
      lines.map(({ message }) => message),
      ['Looking for its image.', `Pulling the image ${registry.reference}.`],
    );
  });
});
