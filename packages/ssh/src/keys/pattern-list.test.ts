// Patterns and networks: what they match, and that no pattern is slow.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KeyError } from './key-error.ts';
import {
  matchesPattern,
  matchesPatternList,
  parseNetwork,
  parseNetworks,
  parseOrigins,
} from './pattern-list.ts';

test('matches as the regular expression of a pattern would', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 12 });
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*', '?'), maxLength: 8 });
  fc.assert(
    fc.property(letters, pattern, (text, glob) => {
      const source = glob.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.');
      assert.equal(matchesPattern(text, glob), new RegExp(`^${source}$`).test(text));
    }),
    { numRuns: 5000 },
  );
});

test('takes no long time for a pattern with many stars', () => {
  const start = process.cpuUsage().user;
  assert.ok(!matchesPattern('a'.repeat(5000), `${'*a'.repeat(2000)}b`));
  assert.ok(process.cpuUsage().user - start < 2_000_000);
});

test('an exception counts wherever it stands', () => {
  assert.ok(matchesPatternList('a.Example.com', ['*.example.com']));
  assert.ok(!matchesPatternList('a.example.com', ['!a.*', '*.example.com']));
  assert.ok(!matchesPatternList('a.example.com', ['*.example.com', '!a.*']));
  assert.ok(!matchesPatternList('b', ['!a']));
  assert.ok(!matchesPatternList('a', []));
});

test('reads networks, and refuses those that could be meant otherwise', () => {
  const inside: [string, string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.0/24', '192.0.2.255'],
    ['192.0.2.0/24', '::ffff:192.0.2.7'],
    ['0.0.0.0/0', '203.0.113.9'],
    ['192.0.2.128/25', '192.0.2.200'],
    ['2001:db8::/32', '2001:db8:ffff::1'],
    ['2001:db8::1', '2001:0db8:0:0:0:0:0:1'],
    ['::/0', 'fe80::1'],
  ];
  for (const [network, address] of inside) assert.ok(parseNetwork(network).contains(address), network);
  const outside: [string, string][] = [
    ['192.0.2.0/24', '192.0.3.0'],
    ['192.0.2.128/25', '192.0.2.1'],
    ['0.0.0.0/0', '::1'],
    ['::/0', '192.0.2.1'],
    ['2001:db8::/32', '2001:db9::1'],
    ['192.0.2.0/24', 'localhost'],
    ['192.0.2.0/24', ''],
  ];
  for (const [network, address] of outside) assert.ok(!parseNetwork(network).contains(address), network);
  const refused = [
    ...['', '*', 'localhost', '192.0.2', '192.0.2.1/', '192.0.2.0/33', '192.0.2.0/-1', '192.0.2.0/024'],
    ...[
      '192.0.2.1/24',
      '2001:db8::1/64',
      '2001:db8::/129',
      '::/0/0',
      ' 192.0.2.1',
      '!192.0.2.1',
      'fe80::1%eth0',
    ],
  ];
  for (const text of refused) assert.throws(() => parseNetwork(text), { code: 'pattern' }, text);
  assert.equal(parseNetworks('10.0.0.0/8,::1').length, 2);
  assert.throws(() => parseNetworks('10.0.0.0/8,'), { code: 'pattern' });
});

test('lets in whom a list of origins names and does not exclude, by address or verified name', () => {
  const origins = parseOrigins('192.0.2.0/24,!192.0.2.7,*.example.com,!evil.example.com,2001:db8::*,10.*');
  for (const [address, name] of [
    ['192.0.2.1'],
    ['::ffff:192.0.2.1'],
    ['198.51.100.1', 'a.Example.com'],
    ['2001:db8::5'],
    ['10.1.2.3'],
  ] as const) {
    assert.ok(origins.contain(address, name), address);
  }
  for (const [address, name] of [
    ['192.0.2.7'],
    ['::ffff:192.0.2.7'],
    ['192.0.2.7', 'a.example.com'],
    ['192.0.2.1', 'evil.example.com'],
    ['198.51.100.1', 'example.com'],
    ['198.51.100.1'],
  ] as const) {
    assert.ok(!origins.contain(address, name), address);
  }
  for (const text of ['', ',', 'a,', '!', 'a b', '192.0.2.1/24', '10.0.0.0/x']) {
    assert.throws(() => parseOrigins(text), { code: 'pattern' }, text);
  }
});

test('throws only KeyError for any text', () => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: fc.constantFrom('1', ':', '.', '/', ',', '!', '*', 'f') }),
  );
  fc.assert(
    fc.property(text, fc.ipV4(), fc.ipV6(), (list, v4, v6) => {
      try {
        const origins = parseOrigins(list);
        origins.contain(v4, list);
        origins.contain(v6);
      } catch (error) {
        assert.ok(error instanceof KeyError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
