import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redact, redactText } from './redact.ts';

/** What must not be left of each text. */
const secrets: [string, string][] = [
  ['the password is Secret-Enough-1.', 'Secret-Enough-1'],
  ['password: Secret-Enough-1', 'Secret-Enough-1'],
  ['PGPASSWORD=hunter2 psql', 'hunter2'],
  ['{"ssh_password":"hunter2"}', 'hunter2'],
  ['postgres://berth:hunter2@db/berth', 'hunter2'],
  ['https://token-hunter2@host/x', 'hunter2'],
  ['Authorization: Bearer abc.def-ghi', 'abc.def-ghi'],
  ['sent berth_x0cri9DlCS3m0WO6kZi2IUGoZDuvhh3HqZ56SxKRBq4 twice', 'x0cri9'],
  ['-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNza\n-----END OPENSSH PRIVATE KEY-----', 'b3BlbnNza'],
  ['-----BEGIN RSA PRIVATE KEY-----\nMIIEcut', 'MIIEcut'],
  ['hash $argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA here', 'aGFzaA'],
  ['hash $6$salt$abcdefgh here', 'abcdefgh'],
  ['ghp_abcdefghij0123456789', 'ghp_abc'],
  ['AKIAIOSFODNN7EXAMPLE', 'AKIAIOS'],
  ['eyJhbGciOiJIUzI1.eyJzdWIiOiIx.c2lnbmF0', 'c2lnbmF0'],
  ['a random 5LmVgj5.RP=jx7AQ word', '5LmVgj5'],
  ['--token=hunter2 --verbose', 'hunter2'],
  ['api_key: hunter2', 'hunter2'],
];

test('what is secret is hidden, in text and in documents', () => {
  for (const [text, secret] of secrets) {
    assert.ok(!redactText(text).includes(secret), `${text} -> ${redactText(text)}`);
    const document = JSON.stringify(redact({ a: [{ message: text }] }));
    assert.ok(!document.includes(secret), document);
  }
  assert.deepEqual(redact({ ssh_password: 'x', nested: { token: 'y' } }), {
    ssh_password: '(hidden)',
    nested: { token: '(hidden)' },
  });
  assert.equal(redactText('it was swordfish', ['swordfish']), 'it was (hidden)');
});

test('what helps to find a fault stays', () => {
  for (const text of [
    'The registry example.com/mine:1 does not answer (ECONNREFUSED 192.0.2.1:443).',
    '2026-02-03T04:05:06.000Z',
    'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
    '/root/.local/share/berth/demo-7f3k',
    'berth_environments{status="running"} 12',
    'berth_tokens_total 5',
    'demo-7f3k is running on port 30001',
  ]) {
    assert.equal(redactText(text), text);
  }
});
