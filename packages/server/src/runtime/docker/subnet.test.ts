/** The choice of a subnet, against routes of other sizes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { addressAt, defaultPools, freeSubnets, routesIn } from './subnet.ts';

const first = (taken: string[], pools = defaultPools) => freeSubnets(pools, taken).next().value;

describe('the subnet of the environments', () => {
  it("is the first of Docker's own pools that nothing uses", () => {
    assert.equal(first([]), '172.17.0.0/16');
    assert.equal(first(['172.17.0.0/16']), '172.18.0.0/16');
    assert.equal(first(['172.17.0.0/16', '172.18.0.0/16', '172.20.0.0/16']), '172.19.0.0/16');
  });

  it("comes after all of Docker's 31 pools in their order", () => {
    const all = [...freeSubnets(defaultPools, [])];
    const middle = Array.from({ length: 15 }, (_, index) => `172.${17 + index}.0.0/16`);
    const last = Array.from({ length: 16 }, (_, index) => `192.168.${16 * index}.0/20`);
    assert.deepEqual(all, [...middle, ...last]);
  });

  it('overlaps no wider route', () => {
    assert.equal(first(['172.16.0.0/12']), '192.168.0.0/20');
    assert.equal(first(['172.16.0.0/13']), '172.24.0.0/16');
  });

  it('overlaps no narrower route, and no single address', () => {
    assert.equal(first(['172.17.255.0/24']), '172.18.0.0/16');
    assert.equal(first(['172.17.4.0/30', '172.18.9.1', '172.19.255.255/32']), '172.20.0.0/16');
    assert.equal(first(['172.16.0.0/12', '192.168.15.128/25']), '192.168.16.0/20');
  });

  it('takes a route for the network that it is in, wherever in it its address is', () => {
    assert.equal(first(['172.17.200.1/16']), '172.18.0.0/16');
  });

  it('passes over default routes, whole or cut in two', () => {
    assert.equal(first(['0.0.0.0/0', '0.0.0.0/1', '128.0.0.0/1']), '172.17.0.0/16');
  });

  it('is there no more when everything is in use', () => {
    assert.equal(first(['172.16.0.0/12', '192.168.0.0/16']), undefined);
  });

  it('is of the pools that the engine names, the IPv4 ones', () => {
    const pools = [
      { Base: 'fd00::/48', Size: 64 },
      { Base: '10.200.0.0/16', Size: 24 },
    ];
    assert.equal(first(['10.200.0.0/23', 'fd00::/64'], pools), '10.200.2.0/24');
  });

  it('has its addresses counted from its own', () => {
    assert.equal(addressAt('172.18.0.0/16', 1), '172.18.0.1');
    assert.equal(addressAt('192.168.240.0/20', 4094), '192.168.255.254');
  });
});

describe("the kernel's table of routes", () => {
  it('gives routes of every table, and addresses', () => {
    const table = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.1.0.0/16 2 0 1
        |-- 10.1.0.0
           /16 universe UNICAST
           /24 link UNICAST
Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.1.0.7
        /32 host LOCAL
Id 52:
  +-- 100.64.0.0/10 3 0 5
     |-- 100.64.0.0
        /10 universe UNICAST
`;
    const routes = ['0.0.0.0/0', '10.1.0.0/16', '10.1.0.0/24', '10.1.0.7/32', '100.64.0.0/10'];
    assert.deepEqual(routesIn(table), routes);
  });

  it('can be read from this kernel', { skip: process.platform !== 'linux' && 'needs Linux' }, () => {
    assert.ok(routesIn(readFileSync('/proc/net/fib_trie', 'utf8')).includes('127.0.0.1/32'));
  });
});
