// Bytes come out of the queue as they went in.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteQueue } from './byte-queue.ts';

test('gives the bytes back in order, however they come and go', () => {
  const step = fc.oneof(fc.uint8Array({ maxLength: 5000 }), fc.constant('take'));
  fc.assert(
    fc.property(fc.array(step, { size: 'max', maxLength: 60 }), (steps) => {
      const queue = new ByteQueue();
      const [written, taken]: [Buffer[], Buffer[]] = [[], []];
      for (const step of [...steps, ...Array<string>(60).fill('take')]) {
        if (typeof step === 'string') {
          const bytes = queue.take();
          if (bytes !== undefined) taken.push(bytes);
        } else {
          written.push(Buffer.from(step));
          queue.append(Buffer.from(step));
        }
      }
      assert.ok(Buffer.concat(taken).equals(Buffer.concat(written)));
      assert.equal(queue.length, 0);
    }),
  );
});

test('keeps many small pieces in few blocks', () => {
  const queue = new ByteQueue();
  for (let count = 0; count < 200_000; count += 1) queue.append(Buffer.from('x'));
  let blocks = 0;
  while (queue.take() !== undefined) blocks += 1;
  assert.ok(blocks < 15, `${blocks} blocks`);
});
