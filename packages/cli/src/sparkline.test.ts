import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sparkline } from './sparkline.ts';

test('a curve is as high as its greatest value, or as what it is said to be full at', () => {
  assert.equal(sparkline([0, 1, 2, 3, 4, 5, 6, 7, 8], 20), '▁▁▂▃▄▅▆▇█');
  assert.equal(sparkline([1, 2], 20, 4), '▂▄');
  assert.equal(sparkline([9], 20, 4), '█', 'no higher than full');
  assert.equal(sparkline([0, 0], 20), '▁▁');
});

test('a curve has a gap where nothing was measured', () => {
  assert.equal(sparkline([4, null, 4], 20), '█ █');
  assert.equal(sparkline([null], 20), ' ');
  assert.equal(sparkline([], 20), '');
});

test('a curve that is longer than its room keeps its peaks', () => {
  const values = Array.from({ length: 360 }, (_, index) => (index === 200 ? 100 : 1));
  const text = sparkline(values, 60);
  assert.equal(text.length, 60);
  assert.equal(text.indexOf('█'), 33);
  assert.equal(text.replace('█', ''), '▁'.repeat(59));
});
