/** What a worker knows: laid over by a stream that begins anew, and handed on as one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StateLine } from '@berth/contract';
import { GatewayState } from './state.ts';
import type { StateChange } from './state.ts';
import { route, settings } from './testing/control-double.ts';

const until = new Date(Date.now() + 60_000).toISOString();

function stream(...entries: StateLine[]): StateLine[] {
  return [
    { type: 'begin', number: 0, server: 'one' },
    { type: 'settings', number: 0, settings },
    ...entries,
    { type: 'complete', number: 9 },
  ];
}

function environment(id: string, port: number): StateLine {
  return { type: 'environment', number: 0, id, route: route(id, port) };
}

function told(lines: StateLine[]): { state: GatewayState; changes: StateChange[] } {
  const state = new GatewayState();
  const changes: StateChange[] = [];
  state.onChange((change) => changes.push(change));
  for (const line of lines) state.apply(line);
  return { state, changes };
}

test('is complete when a stream was told to its end, and says so once', () => {
  const { state, changes } = told(stream(environment('demo-7f3k', 30_001)).slice(0, -1));
  assert.equal(state.isComplete, false);
  assert.deepEqual(changes, []);
  state.apply({ type: 'complete', number: 1 });
  assert.equal(state.isComplete, true);
  assert.deepEqual(changes, [{ kind: 'all' }]);
  assert.equal(state.environmentByPort(30_001)?.id, 'demo-7f3k');
});

test('keeps what it knows while a stream begins anew, and forgets what was not told again', () => {
  const lockout = { type: 'lockout', number: 0, target: 'demo-7f3k', source: '192.0.2.1', until } as const;
  const ban = { type: 'ban', number: 0, source: '192.0.2.2', until } as const;
  const { state } = told(
    stream(environment('demo-7f3k', 30_001), environment('gone-1a1a', 30_002), lockout, ban),
  );
  // The port has gone from the one to the other.
  for (const line of stream(environment('demo-7f3k', 30_002)).slice(0, -1)) state.apply(line);
  assert.equal(state.environment('gone-1a1a')?.port, 30_002);
  assert.ok(state.lockedUntil('demo-7f3k', '192.0.2.1'));
  assert.ok(state.bannedUntil('192.0.2.2'));
  state.apply({ type: 'complete', number: 20 });
  assert.equal(state.environment('gone-1a1a'), undefined);
  assert.equal(state.environmentByPort(30_002)?.id, 'demo-7f3k');
  assert.equal(state.environmentByPort(30_001), undefined);
  assert.equal(state.lockedUntil('demo-7f3k', '192.0.2.1'), undefined);
  assert.equal(state.bannedUntil('192.0.2.2'), undefined);
});

test('announces ends at once, also in the middle of a stream', () => {
  const { state, changes } = told(stream(environment('demo-7f3k', 30_001)));
  changes.length = 0;
  state.apply({ type: 'begin', number: 0, server: 'two' });
  state.apply({ type: 'end', number: 0, which: { environment: 'demo-7f3k' }, sentence: 'Deleted.' });
  assert.deepEqual(changes, [{ kind: 'end', which: { environment: 'demo-7f3k' }, sentence: 'Deleted.' }]);
});

test('gives all that it knows as a stream that another one can take', () => {
  const { state } = told(
    stream(
      environment('demo-7f3k', 30_001),
      { type: 'host-keys', number: 0, keys: ['key'] },
      { type: 'customer', number: 0, id: 1, route: { id: 1, allowlist: [], keys: ['a'], authorities: [] } },
      { type: 'account', number: 0, name: 'alice', route: { name: 'alice', customer: 1, keys: ['a'] } },
      { type: 'lockout', number: 0, target: 'demo-7f3k', source: '192.0.2.1', until },
      { type: 'ban', number: 0, source: '192.0.2.2', until },
    ),
  );
  const other = told(state.toLines()).state;
  assert.deepEqual(other.toLines(), state.toLines());
  assert.equal(other.isComplete, true);
  assert.ok(other.bannedUntil('192.0.2.2'));
  assert.equal(other.account('alice')?.customer, 1);
});
