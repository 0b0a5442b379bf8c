/** Networks in CIDR notation, beside what the system's own functions say of them. */
import assert from 'node:assert/strict';
import { BlockList, isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { NetworkError, canonicalAddress, covers, formatNetwork, readNetwork } from './network.ts';

const canonical = (text: string) => formatNetwork(readNetwork(text));

test('a network has one shortest form', () => {
  const forms = {
    '203.0.113.7': '203.0.113.7/32',
    '203.0.113.0/24': '203.0.113.0/24',
    '0.0.0.0/0': '0.0.0.0/0',
    '::/0': '::/0',
    '2001:DB8:0:0:0:0:0:0/32': '2001:db8::/32',
    '2001:db8::0001': '2001:db8::1/128',
    '2001:db8:0:0:1:0:0:1': '2001:db8::1:0:0:1/128',
    '2001:db8:0:1:1:1:1:1': '2001:db8:0:1:1:1:1:1/128',
    '1::': '1::/128',
    '64:ff9b::192.0.2.33': '64:ff9b::c000:221/128',
    '::ffff:203.0.113.7': '203.0.113.7/32',
    '::FFFF:cb00:7100/120': '203.0.113.0/24',
    '::ffff:0:0/96': '0.0.0.0/0',
  };
  for (const [text, form] of Object.entries(forms)) assert.equal(canonical(text), form, text);
});

test('an address within a network is refused with the network that was meant, and with the address alone', () => {
  const cures = {
    '203.0.113.7/24': ['203.0.113.0/24', '203.0.113.7 '],
    '2001:db8::1/32': ['2001:db8::/32', '2001:db8::1 '],
    '::ffff:203.0.113.7/120': ['203.0.113.0/24', '::ffff:203.0.113.7 '],
    '::ffff:0:0/64': ['::/64', '::ffff:0:0 '],
  };
  for (const [text, parts] of Object.entries(cures)) {
    assert.throws(
      () => readNetwork(text),
      (error) => {
        assert.ok(error instanceof NetworkError);
        assert.ok(error.message.includes(JSON.stringify(text)));
        for (const part of parts) assert.ok(error.cure.includes(part), error.cure);
        return true;
      },
    );
  }
});

test('what is no network is refused', () => {
  const wrong = [
    '',
    ' ',
    'office',
    'example.com',
    '203.0.113',
    '203.0.113.256',
    '203.0.113.07',
    '0x7f.0.0.1',
    '203.0.113.0/33',
    '203.0.113.0/',
    '203.0.113.0/08',
    '203.0.113.0/-1',
    '203.0.113.0/24/24',
    '203.0.113.0/255.255.255.0',
    '203.0.113.1-203.0.113.9',
    ' 203.0.113.7',
    '203.0.113.7\n',
    '２03.0.113.7',
    '::/129',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '12345::',
    'fe80::1%eth0',
    '203.0.113.7::',
    '::203.0.113.7:1',
    '[::1]',
  ];
  for (const text of wrong) assert.throws(() => readNetwork(text), NetworkError, JSON.stringify(text));
});

test('a mapped address counts as its IPv4 address, and only there', () => {
  assert.equal(covers(readNetwork('203.0.113.0/24'), '::ffff:203.0.113.9'), true);
  assert.equal(covers(readNetwork('::ffff:203.0.113.0/120'), '203.0.113.9'), true);
  assert.equal(covers(readNetwork('::/0'), '::ffff:203.0.113.9'), false);
  assert.equal(covers(readNetwork('0.0.0.0/0'), '::1'), false);
  assert.equal(covers(readNetwork('0.0.0.0/0'), 'nonsense'), false);
  assert.equal(canonicalAddress('::ffff:cb00:7107'), '203.0.113.7');
  assert.equal(canonicalAddress('fe80::1%eth0'), undefined);
});

test('any address is known as the system knows it, and held by just the networks that hold it', () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(address, address, fc.nat(128), (one, other, bits) => {
      fc.pre([one, other].every((each) => isIP(canonicalAddress(each) ?? '') === isIP(each)));
      const family = isIP(one) as 4 | 6;
      const prefix = Math.min(bits, family === 4 ? 32 : 128);
      let network;
      try {
        network = readNetwork(`${one}/${prefix}`);
      } catch (error) {
        assert.ok(error instanceof NetworkError);
        network = readNetwork(/Write (\S+) for/.exec(error.cure)?.[1] ?? '');
      }
      assert.deepEqual(readNetwork(formatNetwork(network)), network);
      const list = new BlockList();
      list.addSubnet(one, prefix, family === 4 ? 'ipv4' : 'ipv6');
      assert.ok(covers(network, one));
      const expected = isIP(other) === family && list.check(other, family === 4 ? 'ipv4' : 'ipv6');
      assert.equal(covers(network, other), expected);
    }),
    { numRuns: 1000 },
  );
});

test('no text makes anything but a network or a reason', () => {
  const character = fc.constantFrom(...'0123456789abcdefABCDEF:./%- x');
  fc.assert(
    fc.property(fc.string({ unit: character, maxLength: 45 }), (text) => {
      const [address = ''] = text.split('/');
      const isAddress = isIP(address) !== 0 && !address.includes('%');
      assert.equal(canonicalAddress(address) !== undefined, isAddress, address);
      try {
        readNetwork(text);
      } catch (error) {
        assert.ok(error instanceof NetworkError);
      }
    }),
    { numRuns: 2000 },
  );
});
