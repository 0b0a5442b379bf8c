import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PullProgress } from './pull-progress.ts';

const begun = (...ids: string[]) => ids.map((id) => ({ id, status: 'Pulling fs layer' }));
const of = (id: string, status: string, current = 0, total = 0) => ({
  id,
  status,
  progressDetail: total === 0 ? {} : { current, total },
});
const percents = (lines: Parameters<PullProgress['take']>[0][]) => {
  const progress = new PullProgress();
  return lines.map((line) => progress.take(line));
};

test('a pull is as far as its layers by their size, two thirds of it fetching', () => {
  const lines = [
    { id: 'latest', status: 'Pulling from library/debian' },
    ...begun('big', 'small'),
    of('big', 'Downloading', 0, 900),
    of('small', 'Downloading', 50, 100),
    of('small', 'Download complete'),
    of('big', 'Downloading', 450, 900),
    of('big', 'Verifying Checksum'),
    of('small', 'Extracting', 100, 100),
    of('small', 'Pull complete'),
    of('big', 'Extracting', 450, 900),
    of('big', 'Pull complete'),
    { status: 'Digest: sha256:abc' },
  ];
  assert.deepEqual(percents(lines), [0, 0, 0, 0, 3, 6, 36, 66, 70, 70, 85, 100, 100]);
});

test('a pull never goes back when a layer turns out to be larger than thought', () => {
  const seen = percents([
    ...begun('one', 'two'),
    of('one', 'Downloading', 10, 10),
    of('two', 'Downloading', 0, 1_000_000),
    of('two', 'Downloading', 500_000, 1_000_000),
  ]);
  assert.deepEqual(seen, [0, 0, 33, 33, 33]);
});

test('layers that are there already are no work', () => {
  const seen = percents([
    of('there', 'Already exists'),
    ...begun('new'),
    of('new', 'Downloading', 5, 10),
    of('there', 'Already exists'),
  ]);
  assert.deepEqual(seen, [0, 0, 33, 33]);
});

test('what an engine may say otherwise changes nothing', () => {
  const progress = new PullProgress();
  for (const line of [
    {},
    { status: 'Retrying in 5 seconds', id: 'x' },
    { id: 'y' },
    of('z', 'Unheard of', 1, 2),
  ])
    assert.equal(progress.take(line), 0);
});
