import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SignInLimits, TooManyTries } from './limits.ts';

const minute = 60_000;
const source = '192.0.2.1';

/** Wrong passwords, as many as are let through; and what then refuses. */
function tryWrong(limits: SignInLimits, from: string, account: string, times: number): TooManyTries[] {
  const refused: TooManyTries[] = [];
  for (let count = 0; count < times; count += 1) {
    try {
      limits.begin(from, account);
    } catch (error) {
      assert.ok(error instanceof TooManyTries);
      refused.push(error);
    }
  }
  return refused;
}

describe('limits of wrong passwords', () => {
  test('end five minutes after the first wrong one, and say when that is', () => {
    const began = 1000;
    let now = began;
    const limits = new SignInLimits(() => now);
    assert.equal(tryWrong(limits, source, 'alice', 9).length, 0);
    now = began + 4 * minute;
    const [refused] = tryWrong(limits, source, 'alice', 2);
    assert.equal(refused?.retryAfterSeconds, 60);
    now = began + 5 * minute - 1;
    assert.throws(() => limits.mustBeOpen(source, 'alice'), { code: 'rate_limited' });
    now = began + 5 * minute + 1;
    limits.mustBeOpen(source, 'alice');
    assert.equal(tryWrong(limits, source, 'alice', 10).length, 0);
  });

  test('tell once that they begin', () => {
    const refused = tryWrong(new SignInLimits(), source, 'alice', 14);
    assert.deepEqual(
      refused.map(({ isFirst }) => isFirst),
      [true, false, false, false],
    );
  });

  test('forget the wrong ones before a right one, for that account', () => {
    const limits = new SignInLimits();
    tryWrong(limits, source, 'alice', 9);
    limits.begin(source, 'alice');
    limits.succeed(source, 'alice');
    assert.equal(tryWrong(limits, source, 'alice', 10).length, 0);
    assert.equal(tryWrong(limits, source, 'bob', 2).length, 1, 'the address has had 19, one more was right');
  });

  test('see an IPv4 address behind every way of writing it', () => {
    const limits = new SignInLimits();
    tryWrong(limits, source, 'alice', 5);
    tryWrong(limits, `::ffff:${source}`, 'alice', 5);
    assert.equal(tryWrong(limits, '::ffff:c000:201', 'alice', 1).length, 1);
  });

  test('take a link-local address with its zone', () => {
    assert.equal(tryWrong(new SignInLimits(), 'fe80::1%eth0', 'alice', 11).length, 1);
  });

  test('do not hold for the socket in the data folder', () => {
    const limits = new SignInLimits();
    for (let count = 0; count < 50; count += 1) limits.begin(null, 'admin');
  });
});
