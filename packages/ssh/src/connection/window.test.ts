// How a receive window is granted and how it grows.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WindowBudget } from '../window-budget.ts';
import { ProtocolError } from '../transport/transport-error.ts';
import { ReceiveWindow } from './window.ts';

function open({ initialBytes = 1000, maximumBytes = 8000, budgetBytes = 1_000_000 } = {}) {
  const budget = new WindowBudget(budgetBytes);
  return { budget, window: new ReceiveWindow({ initialBytes, maximumBytes, budget }) };
}

test('grants what was read, once it is a quarter of the window', () => {
  const { window } = open();
  window.received(240);
  assert.equal(window.grant(0), 0);
  window.received(100);
  assert.equal(window.grant(90), 250);
  assert.equal(window.grant(90), 0);
});

test('grants nothing to the peer of a reader that does not read', () => {
  const { window } = open();
  window.received(1000);
  assert.equal(window.grant(1000), 0);
  assert.throws(() => window.received(1), ProtocolError);
});

test('grows when the peer had to wait although all was read, up to the maximum', () => {
  const { window, budget } = open();
  const sizes: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    window.received(window.sizeBytes);
    window.grant(0);
    sizes.push(window.sizeBytes);
  }
  assert.deepEqual(sizes, [2000, 4000, 8000, 8000, 8000]);
  window.close();
  assert.equal(budget.takenBytes, 0);
});

test('grows on a path where grants arrive late', () => {
  const { window } = open();
  window.received(300);
  assert.equal(window.grant(0), 300);
  // The peer sent the rest of what it knew of, and now waits for the grant.
  window.received(700);
  window.grant(0);
  assert.equal(window.sizeBytes, 2000);
});

test('does not grow for a peer that sends less than it may, nor for a reader that is slow', () => {
  const slow = open().window;
  slow.received(1000);
  slow.grant(1000);
  slow.grant(600);
  assert.equal(slow.sizeBytes, 1000);
  const idle = open().window;
  for (let round = 0; round < 10; round += 1) {
    idle.received(333);
    idle.grant(0);
  }
  assert.equal(idle.sizeBytes, 1000);
});

test('stays small when the budget is spent', () => {
  const { window, budget } = open({ initialBytes: 100_000, maximumBytes: 400_000, budgetBytes: 100_000 });
  window.received(100_000);
  assert.equal(window.grant(0), 100_000);
  assert.equal(window.sizeBytes, 100_000);
  const second = new ReceiveWindow({ initialBytes: 100_000, maximumBytes: 400_000, budget });
  assert.equal(second.sizeBytes, 32 * 1024);
  window.close();
  second.close();
  assert.equal(budget.takenBytes, 0);
});
