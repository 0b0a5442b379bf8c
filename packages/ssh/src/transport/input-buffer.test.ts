// The input buffer gives back the bytes it got, in their order, however both are cut.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InputBuffer } from './input-buffer.ts';

test('gives back what was pushed, however pushes and takes alternate', () => {
  const step = fc.tuple(fc.uint8Array({ maxLength: 3000, size: 'max' }), fc.nat(3000));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const input = new InputBuffer();
      const taken: Buffer[] = [];
      for (const [pushed, length] of steps) {
        input.push(pushed);
        taken.push(input.take(length));
      }
      const all = Buffer.concat(steps.map(([pushed]) => pushed));
      assert.equal(Buffer.concat(taken).length + input.length, all.length);
      assert.deepEqual(Buffer.concat([...taken, input.peek()]), all);
    }),
  );
});
