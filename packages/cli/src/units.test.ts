import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cores, gibibyteSize, wholeNumber } from './units.ts';

const bounds = { minimum: 0.1, maximum: 1000 };

test('cores are whole, broken or in thousandths', () => {
  const parse = cores(bounds);
  assert.deepEqual(['2', '0.5', '500m', '1500m', '1000'].map(parse), [2, 0.5, 0.5, 1.5, 1000]);
  for (const value of ['', '-1', '0', '50m', '1001', '2c', '1e2', 'NaN', ' 2', '2,5']) {
    assert.throws(() => parse(value), /Allowed: cores from 0.1 to 1000/, value);
  }
});

test('sizes are GiB unless they name a unit', () => {
  const parse = gibibyteSize(bounds);
  assert.deepEqual(
    ['16', '16G', '16Gi', '512M', '512Mi', '0.5', '0.5T'].map(parse),
    [16, 16, 16, 0.5, 0.5, 0.5, 512],
  );
  for (const value of ['', '16Q', '16GB', '-1', '10M', '1T1', 'G', '0x10']) {
    assert.throws(() => parse(value), /Allowed: from 0.1 to 1000 GiB/, value);
  }
});

test('counts are whole', () => {
  const parse = wholeNumber({ minimum: 0, maximum: 64 });
  assert.deepEqual(['0', '64'].map(parse), [0, 64]);
  for (const value of ['', '1.5', '65', '-1', 'one'])
    assert.throws(() => parse(value), /whole number from 0 to 64/, value);
});
