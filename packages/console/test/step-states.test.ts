import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EnvironmentEvent } from '@berth/contract';
import { stepsOf } from '../src/pages/environment/step-states.ts';

const start = Date.parse('2026-01-01T00:00:00Z');
let nextId = 0;

function line(
  second: number,
  kind: EnvironmentEvent['kind'],
  part: Partial<Pick<EnvironmentEvent, 'step' | 'status' | 'message'>> = {},
): EnvironmentEvent {
  nextId += 1;
  const at = new Date(start + second * 1000).toISOString();
  return { id: nextId, at, kind, step: null, status: null, message: '', ...part };
}

const asked = (second: number, status: EnvironmentEvent['status'] = 'creating') =>
  line(second, 'request', { status });
const step = (second: number, name: string, message = '') => line(second, 'step', { step: name, message });
/** As the page reads them. */
const newestFirst = (...lines: EnvironmentEvent[]) => lines.toReversed();
const summary = (...parameters: Parameters<typeof stepsOf>) =>
  stepsOf(...parameters).map(({ step, state, beganAt, endedAt }) => [
    step,
    state,
    beganAt === null || endedAt === null ? null : (endedAt - beganAt) / 1000,
  ]);

describe('the steps of a start', () => {
  test('are begun with the request, and the last line is what is being done', () => {
    const events = newestFirst(asked(0), line(0, 'port'), step(1, 'image'), step(3, 'image', 'pulling'));
    assert.deepEqual(summary(events, 'creating'), [
      ['quota', 'done', 0],
      ['port', 'done', 0],
      ['image', 'underway', null],
      ['storage', 'waiting', null],
      ['container', 'waiting', null],
      ['handshake', 'waiting', null],
    ]);
    assert.equal(stepsOf(events, 'creating')[2]?.message, 'pulling');
  });

  test('each end where the next one begins, and the last with the state', () => {
    const events = newestFirst(
      asked(0),
      step(1, 'image'),
      step(4, 'storage'),
      step(5, 'container'),
      step(7, 'handshake'),
      line(9, 'status', { status: 'running' }),
    );
    assert.deepEqual(
      summary(events, 'running').map(([, state, seconds]) => [state, seconds]),
      [
        ['done', 0],
        ['done', 0],
        ['done', 3],
        ['done', 1],
        ['done', 2],
        ['done', 2],
      ],
    );
  });

  test('say at which one it failed', () => {
    const events = newestFirst(
      asked(0),
      step(1, 'image'),
      step(2, 'storage'),
      step(3, 'container'),
      line(5, 'status', { status: 'failed' }),
    );
    assert.deepEqual(
      summary(events, 'failed').filter(([, state]) => state === 'failed'),
      [['container', 'failed', 2]],
    );
  });

  test('are those of the last start only', () => {
    const events = newestFirst(
      asked(0),
      step(1, 'image'),
      step(2, 'storage'),
      step(3, 'container'),
      step(4, 'handshake'),
      line(5, 'status', { status: 'running' }),
      line(6, 'request'),
      asked(10, 'restarting'),
      step(11, 'image'),
    );
    assert.deepEqual(
      summary(events, 'restarting').map(([, state]) => state),
      ['done', 'done', 'underway', 'waiting', 'waiting', 'waiting'],
    );
  });

  test('are not begun before anything is known', () => {
    assert.ok(stepsOf([], 'creating').every(({ state }) => state === 'waiting'));
  });
});
