/** The picture of the ports: each has one place, and each place its port. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gridOf, pathOfPorts, placeOf, portAt } from '../src/pages/ports/grid.ts';

const range = { first: 30000, last: 32767 };

describe('the picture of the ports', () => {
  for (const [what, width] of [
    ['a desk', 968],
    ['a phone', 358],
    ['a very narrow window', 200],
  ] as const)
    test(`has a place for each port on ${what}, and stays within its width`, () => {
      const grid = gridOf(range, width);
      assert.ok(grid.width <= width, `${grid.width} of ${width}`);
      assert.ok(grid.pitch >= 8, `${grid.pitch} pixels are too few for a finger`);
      const places = new Set<string>();
      for (let port = range.first; port <= range.last; port += 1) {
        const { x, y } = placeOf(grid, port);
        assert.ok(
          x >= grid.margin && x + grid.side <= grid.width + 0.01 && y + grid.side <= grid.height + 0.01,
        );
        assert.equal(portAt(grid, x + grid.side / 2, y + grid.side / 2), port);
        places.add(`${x} ${y}`);
      }
      assert.equal(places.size, 2768);
    });

  test('begins its rows with round numbers, and has no ports beyond the range', () => {
    const grid = gridOf({ first: 20454, last: 20999 }, 968);
    assert.equal(grid.origin % grid.columns, 0);
    assert.ok(grid.origin <= 20454);
    assert.equal(portAt(grid, grid.margin + 1, 1), null, 'in front of the first');
    assert.equal(portAt(grid, 1, 1), null, 'where the numbers stand');
    assert.equal(portAt(grid, grid.width + 20, 1), null);
    assert.equal(portAt(grid, grid.margin + 1, grid.height + 20), null);
  });

  test('of all ports that there are is a small document', () => {
    const grid = gridOf({ first: 1, last: 65535 }, 968);
    const path = pathOfPorts(
      grid,
      Array.from({ length: 65535 }, (_, index) => index + 1),
      'square',
    );
    assert.ok(path.length < 2_500_000, `${path.length} characters`);
    assert.equal(pathOfPorts(grid, [], 'half'), '');
    assert.match(pathOfPorts(grid, [1], 'half'), /^M[\d.]+ [\d.]+v[\d.]+h[\d.]+z$/);
  });
});
