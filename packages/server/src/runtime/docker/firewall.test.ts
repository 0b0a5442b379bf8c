import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import type { FirewallAnswer } from '../runtime.ts';
import { walk } from './firewall.ts';

const match = (left: object, right: unknown, op = '==') => ({ match: { op, left, right } });
const dport = { payload: { protocol: 'tcp', field: 'dport' } };
const saddr = { payload: { protocol: 'ip', field: 'saddr' } };
const saddr6 = { payload: { protocol: 'ip6', field: 'saddr' } };
const iifname = { meta: { key: 'iifname' } };
const state = { ct: { key: 'state' } };
const accept = { accept: null };
const drop = { drop: null };
const jump = (target: string) => ({ jump: { target } });

type Rules = Record<string, object[][]>;

/** One table with a base chain `input`, and chains that it may jump to. */
function answer(
  rules: Rules,
  {
    source = '203.0.113.7',
    port = 30001,
    policy = 'accept',
    hook = 'input',
    toHost = true,
    family = 'inet',
    sets = {} as Record<string, unknown[]>,
    interfaceName = 'eth0' as string | null,
  } = {},
): FirewallAnswer['outcome'] {
  const of = { family, table: 'filter' };
  const ruleset = [
    { chain: { ...of, name: 'input', type: 'filter', hook, prio: 0, policy } },
    ...Object.entries(sets).map(([name, elem]) => ({ set: { ...of, name, elem } })),
    ...Object.entries(rules).flatMap(([chain, list]) =>
      list.map((expr) => ({ rule: { ...of, chain, expr: expr as Record<string, unknown>[] } })),
    ),
  ];
  return walk(ruleset, { source, port, toHost, interfaceName: interfaceName ?? undefined }).outcome;
}

describe('a newcomer at the firewall', () => {
  test('passes where there are no rules, and where none is about it', () => {
    assert.equal(
      walk([], { source: '203.0.113.7', port: 22, toHost: true, interfaceName: 'eth0' }).outcome,
      'passes',
    );
    assert.equal(answer({ input: [[match(dport, 22), drop]] }), 'passes');
    assert.equal(answer({ input: [[match(saddr6, '2001:db8::7'), drop]] }), 'passes');
    assert.equal(
      answer({ input: [[match({ payload: { protocol: 'udp', field: 'dport' } }, 30001), drop]] }),
      'passes',
    );
  });

  test('is stopped by its port, its address, a set, a range, or the policy', () => {
    assert.equal(answer({ input: [[match(dport, 30001), drop]] }), 'drops');
    assert.equal(answer({ input: [[match(dport, { range: [30000, 32767] }), { reject: null }]] }), 'drops');
    assert.equal(
      answer({ input: [[match(dport, { set: [22, { range: [30000, 32767] }] }), drop]] }),
      'drops',
    );
    const network = { prefix: { addr: '203.0.113.0', len: 24 } };
    assert.equal(answer({ input: [[match(saddr, network), drop]] }), 'drops');
    assert.equal(answer({ input: [[match(saddr, network, '!='), drop]] }), 'passes');
    assert.equal(answer({ input: [[match(saddr, '@bad'), drop]] }, { sets: { bad: [network] } }), 'drops');
    assert.equal(answer({ input: [[match(saddr, '@bad'), drop]] }, { sets: { bad: [] } }), 'passes');
    assert.equal(answer({ input: [] }, { policy: 'drop' }), 'drops');
  });

  test('is let in by what accepts it before the policy, or before a rule that drops', () => {
    const rules = {
      input: [
        [match(state, ['established', 'related'], 'in'), accept],
        [match(dport, 30001), accept],
      ],
    };
    assert.equal(answer(rules, { policy: 'drop' }), 'passes');
    assert.equal(
      answer({ input: [[match(state, ['established'], 'in'), accept]] }, { policy: 'drop' }),
      'drops',
    );
    assert.equal(answer({ input: [[accept], [drop]] }), 'passes');
  });

  test('is led through chains, and back where they say so', () => {
    const ports = { input: [[match(dport, 30001), jump('ports')]] };
    assert.equal(
      answer({ ...ports, ports: [[match(saddr, '@us'), accept], [drop]] }, { sets: { us: [] } }),
      'drops',
    );
    assert.equal(
      answer({ ...ports, ports: [[match(saddr, '@us'), accept], [drop]] }, { sets: { us: ['203.0.113.7'] } }),
      'passes',
    );
    assert.equal(answer({ ...ports, ports: [[{ return: null }], [drop]] }), 'passes');
    assert.equal(answer({ input: [[jump('input')]] }), 'passes', 'a circle ends');
  });

  test('of which something cannot be told is unclear only where that matters', () => {
    const unknowable = { xt: { type: 'match', name: 'geoip' } };
    assert.equal(answer({ input: [[unknowable, drop]] }), 'unclear');
    assert.equal(answer({ input: [[unknowable, accept]] }), 'passes');
    assert.equal(answer({ input: [[unknowable, accept]] }, { policy: 'drop' }), 'unclear');
    assert.equal(answer({ input: [[unknowable, { return: null }], [drop]] }), 'unclear');
    assert.equal(
      answer({
        input: [
          [match(dport, 30001), drop],
          [unknowable, accept],
        ],
      }),
      'drops',
    );
    assert.equal(answer({ input: [[match(saddr, '@gone'), drop]] }), 'unclear');
  });

  test('comes by the interface that leads back to it', () => {
    const lo = { input: [[match(iifname, 'lo'), accept]] };
    assert.equal(answer(lo, { policy: 'drop' }), 'drops');
    assert.equal(answer(lo, { policy: 'drop', interfaceName: 'lo' }), 'passes');
    assert.equal(answer(lo, { policy: 'drop', interfaceName: null }), 'unclear');
    assert.equal(answer({ input: [[match(iifname, 'berth-*'), drop]] }), 'passes');
    assert.equal(answer({ input: [[match(iifname, 'eth*'), drop]] }), 'drops');
  });

  test('to a container meets no chain of the host itself', () => {
    const rules = { input: [[match(dport, 30001), drop]] };
    assert.equal(answer(rules, { toHost: false }), 'passes');
    assert.equal(answer(rules, { toHost: false, hook: 'prerouting' }), 'drops');
    assert.equal(answer(rules, { family: 'ip6' }), 'passes');
    assert.equal(answer(rules, { family: 'ip6', source: '2001:db8::7' }), 'drops');
  });

  test('is found in what several things together name, with and without a time', () => {
    const both = { concat: [dport, saddr] };
    const element = { elem: { val: { concat: [30001, '203.0.113.7'] }, timeout: 1800, expires: 1799 } };
    const rules = { input: [[match(both, '@locked'), drop]] };
    assert.equal(answer(rules, { sets: { locked: [element] } }), 'drops');
    assert.equal(answer(rules, { sets: { locked: [element] }, port: 30002 }), 'passes');
    const map = {
      set: [
        ['established', accept],
        ['new', drop],
      ],
    };
    assert.equal(answer({ input: [[{ vmap: { key: state, data: map } }]] }), 'drops');
  });

  test('is told from the rules as nft itself prints them', (context) => {
    const rules = `table inet filter {
      set us { type ipv4_addr; flags interval; elements = { 203.0.113.0/24, 198.51.100.1-198.51.100.9 }
      }
      chain other { reject with tcp reset
      }
      chain input { type filter hook input priority 0; policy drop;
        ct state vmap { established : accept, related : accept, invalid : drop }
        iifname "lo" accept
        tcp dport { 22, 30000-32767 } ip saddr @us counter accept
        tcp dport 80 limit rate 3/second accept
        tcp flags & (fin|syn|rst|ack) == syn jump other
      }
    }`;
    // In a network of its own, so that nothing here is changed.
    const script = 'nft -f - && nft -j list ruleset';
    const listed = spawnSync('unshare', ['-n', 'sh', '-c', script], { input: rules, encoding: 'utf8' });
    if (listed.status !== 0) return context.skip(`needs root and nft: ${listed.stderr}`);
    const { nftables } = JSON.parse(listed.stdout) as { nftables: Parameters<typeof walk>[0] };
    const from = (source: string, port: number) =>
      walk(nftables, { source, port, toHost: true, interfaceName: 'eth0' }).outcome;
    assert.equal(from('203.0.113.7', 30001), 'passes');
    assert.equal(from('198.51.100.5', 22), 'passes');
    assert.equal(from('198.51.100.10', 22), 'drops');
    assert.equal(from('203.0.113.7', 443), 'drops');
    assert.equal(from('203.0.113.7', 80), 'unclear');
    assert.equal(from('2001:db8::7', 30001), 'drops');
  });
});
