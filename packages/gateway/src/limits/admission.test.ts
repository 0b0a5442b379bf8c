/** Who is looked at at all, by the numbers. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { countedSource } from '@berth/contract';
import type { GatewaySettings } from '@berth/contract';
import { GatewayState } from '../state.ts';
import { settings as usualSettings } from '../testing/control-double.ts';
import { Admission, isDroppedEarly } from './admission.ts';
import type { Admitted } from './admission.ts';

function admission(settings: Partial<GatewaySettings>, random = 0.999) {
  const state = new GatewayState();
  state.apply({ type: 'settings', number: 1, settings: { ...usualSettings, ...settings } });
  const clock = { ms: 1_000_000 };
  return { state, clock, door: new Admission(state, { now: () => clock.ms, random: () => random }) };
}

function place(admitted: Admitted | string): Admitted {
  assert.ok(typeof admitted !== 'string', 'was not admitted');
  return admitted;
}

describe('admission', () => {
  test('counts connections of a source in a second, IPv6 by /64, and forgets them then', () => {
    const { clock, door } = admission({ connectionsPerSecond: 2 });
    for (const [one, another] of [
      ['192.0.2.1', '192.0.2.2'],
      ['2001:db8::1', '2001:db8:0:1::1'],
    ] as const) {
      place(door.admit(one)).leave();
      place(door.admit(one.endsWith('::1') ? '2001:db8::ffff:1' : one)).leave();
      assert.equal(door.admit(one), 'flood');
      place(door.admit(another)).leave();
    }
    clock.ms += 1000;
    place(door.admit('192.0.2.1'));
  });

  test('holds a source to its connections that have not logged in', () => {
    const { door } = admission({ unauthenticatedPerSource: 2 });
    const first = place(door.admit('192.0.2.1'));
    place(door.admit('192.0.2.1'));
    assert.equal(door.admit('192.0.2.1'), 'flood');
    place(door.admit('192.0.2.2'));
    first.leave();
    first.leave();
    assert.equal(door.waiting, 2);
    place(door.admit('192.0.2.1'));
    assert.equal(door.admit('192.0.2.1'), 'flood');
  });

  test('drops all beyond the limit of those that have not logged in', () => {
    const { door } = admission({ startups: { begin: 2, ratePercent: 50, full: 4 } });
    for (let count = 0; count < 4; count += 1) place(door.admit(`192.0.2.${count}`));
    assert.equal(door.admit('192.0.2.9'), 'flood');
  });

  test('does not look at a banned source, nor at its network', () => {
    const { state, door } = admission({});
    const until = new Date(Date.now() + 60_000).toISOString();
    state.apply({ type: 'ban', number: 2, source: '192.0.2.1', until });
    state.apply({ type: 'ban', number: 3, source: countedSource('2001:db8::'), until });
    state.apply({ type: 'ban', number: 4, source: '192.0.2.3', until: new Date(0).toISOString() });
    assert.equal(door.admit('192.0.2.1'), 'banned');
    assert.equal(door.admit('2001:db8::7'), 'banned');
    place(door.admit('2001:db8:0:1::7'));
    place(door.admit('192.0.2.2'));
    place(door.admit('192.0.2.3'));
  });
});

test('random early drop begins, grows and ends where MaxStartups has it', () => {
  const startups = { begin: 10, ratePercent: 30, full: 100 };
  assert.equal(isDroppedEarly(9, startups, 0), false);
  assert.equal(isDroppedEarly(10, startups, 0.29), true);
  assert.equal(isDroppedEarly(10, startups, 0.31), false);
  assert.equal(isDroppedEarly(55, startups, 0.64), true);
  assert.equal(isDroppedEarly(55, startups, 0.66), false);
  assert.equal(isDroppedEarly(100, startups, 0.999), true);
});
