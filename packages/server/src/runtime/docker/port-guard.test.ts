import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { portRules } from './port-guard.ts';

const now = Date.parse('2026-01-02T03:04:05Z');
const later = new Date(now + 90_500);

/** What the rules say of one port, spaces apart. */
function rulesOf(...ports: Parameters<typeof portRules>[1]): string {
  return portRules('0123456789abcdef', ports, now).replace(/\s+/g, ' ');
}

describe('the rules in front of published ports', () => {
  it('keep a locked address out until its time is over, by the family that it is of', () => {
    const locked = [
      { source: '203.0.113.7', until: later },
      { source: '2001:db8::/64', until: later },
    ];
    const rules = rulesOf({ port: 30_001, allowed: [], locked });
    assert.match(rules, /set locked \{[^}]*elements = \{ 30001 \. 203\.0\.113\.7 timeout 91s \}/);
    assert.match(rules, /set locked6 \{[^}]*elements = \{ 30001 \. 2001:db8::\/64 timeout 91s \}/);
    assert.match(rules, /ct state new tcp dport \. ip saddr @locked drop/);
  });

  it('know nothing of those whose time is over', () => {
    const locked = [{ source: '203.0.113.7', until: new Date(now) }];
    assert.doesNotMatch(rulesOf({ port: 30_001, allowed: [], locked }), /elements/);
  });

  it('shut out whoever is in no block, of either family', () => {
    const rules = rulesOf({ port: 30_001, allowed: ['10.0.0.0/8', '192.0.2.1/32'], locked: [] });
    assert.match(rules, /ipv4 tcp dport 30001 ip saddr != \{ 10\.0\.0\.0\/8, 192\.0\.2\.1\/32 \} drop/);
    assert.match(rules, /ipv6 tcp dport 30001 drop/);
  });

  it('leave a port alone that has none, and what goes to others than this host', () => {
    const rules = rulesOf({ port: 30_001, allowed: [], locked: [] });
    assert.doesNotMatch(rules, /30001/);
    assert.match(rules, /fib daddr type != local accept/);
  });
});
