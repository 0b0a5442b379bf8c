/** Addresses as sockets report them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sourceOf } from './source.ts';

test('an address has one form, mapped IPv4 is IPv4, and what is none is nothing', () => {
  const forms: [string, string | undefined][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['0:0:0:0:0:FFFF:C000:0201', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
    ['192.0.2', undefined],
    ['', undefined],
    ['example.com', undefined],
  ];
  for (const [text, source] of forms) assert.equal(sourceOf(text), source, text);
});
