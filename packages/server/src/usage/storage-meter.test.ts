import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { pino } from 'pino';
import { RuntimeError } from '../runtime/runtime.ts';
import { MemoryRuntime } from '../testing/memory-runtime.ts';
import { StorageMeter } from './storage-meter.ts';

const minuteMs = 60_000;

describe('what is in the storage', () => {
  let runtime: MemoryRuntime;
  let running: string[];
  let meter: StorageMeter;
  const { signal } = new AbortController();
  beforeEach(() => {
    runtime = new MemoryRuntime();
    running = ['one', 'two'];
    for (const [index, id] of running.entries()) runtime.storageUses.set(id, index + 1);
    meter = new StorageMeter({ runtime, logger: pino({ level: 'silent' }) }, () => running);
  });
  afterEach(() => runtime.close());
  const counted = () => runtime.calls.filter((call) => call === 'storageUse').length;
  const known = () => ['one', 'two', 'three'].map((id) => meter.bytesOf(id));

  test('is counted for one after the other, each once in ten minutes', async () => {
    const now = Date.now();
    assert.deepEqual(known(), [null, null, null]);
    await meter.countNext(signal, now);
    assert.deepEqual(known(), [1, null, null]);
    await meter.countNext(signal, now + 1);
    assert.deepEqual(known(), [1, 2, null]);
    await meter.countNext(signal, now + 9 * minuteMs);
    assert.equal(counted(), 2);
    runtime.storageUses.set('one', 5).set('two', 6);
    await meter.countNext(signal, now + 11 * minuteMs);
    assert.deepEqual(known(), [5, 2, null], 'the one that has waited longest');
  });

  test('is counted first for those of which nothing is known', async () => {
    const now = Date.now();
    for (const id of running) await meter.countNext(signal, now + (id === 'one' ? 0 : 1));
    running.push('three');
    runtime.storageUses.set('three', 3);
    await meter.countNext(signal, now + 20 * minuteMs);
    assert.deepEqual(known(), [1, 2, 3]);
  });

  test('is forgotten with the end of the run, and kept while it cannot be counted', async () => {
    const now = Date.now();
    await meter.countNext(signal, now);
    runtime.failOn('storageUse', () => new RuntimeError('other', 'It failed.', 'Try again.'));
    await meter.countNext(signal, now + 1);
    await meter.countNext(signal, now + 11 * minuteMs);
    assert.deepEqual(known(), [1, null, null]);
    running = ['two'];
    await meter.countNext(signal, now + 12 * minuteMs);
    assert.deepEqual(known(), [null, null, null]);
  });

  test('has a pause after each count that is many times as long', async () => {
    const gate = runtime.holdOn('storageUse');
    const counting = meter.countNext(signal);
    await gate.entered;
    setTimeout(gate.open, 20);
    const pauseMs = await counting;
    assert.ok(pauseMs >= 20 * 200 * 0.9 && pauseMs <= 20_000, String(pauseMs));
  });

  test('keeps nobody waiting who wants it to end', async () => {
    const ending = new AbortController();
    const gate = runtime.holdOn('storageUse');
    const work = meter.run(ending.signal);
    await gate.entered;
    ending.abort();
    await work;
  });
});
