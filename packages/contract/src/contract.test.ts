import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { BerthError, errorCatalogue, hostBlock, links, pathOf, routes, sshCommand } from './index.ts';
import type { ErrorCode } from './index.ts';

describe('paths', () => {
  test('are filled with one segment for each parameter, whatever is in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (id) => {
        const path = pathOf(routes.environmentSsh, { id });
        const segments = path.split('/');
        assert.equal(segments.length, 5);
        assert.equal(decodeURIComponent(segments[3] ?? ''), id);
      }),
    );
  });

  test('that lack a parameter are a mistake of the caller', () => {
    assert.throws(() => pathOf(routes.environment), /needs the parameter id/);
  });

  test('are each there once', () => {
    const all = Object.values(routes);
    assert.equal(new Set(all).size, all.length);
    for (const path of all) assert.match(path, /^\/[a-z]/);
  });
});

describe('links', () => {
  test('are what a person pastes', () => {
    assert.equal(sshCommand('developer', 'ssh.example.com', 22), 'ssh developer@ssh.example.com');
    assert.equal(sshCommand('developer', 'ssh.example.com', 30001), 'ssh developer@ssh.example.com -p 30001');
    assert.equal(links.sftp('developer', '2001:db8::1', 30001), 'sftp://developer@[2001:db8::1]:30001');
    assert.equal(
      links.jupyter('https://berth.example.com', 'demo-7f3k'),
      'https://berth.example.com/jupyter/demo-7f3k',
    );
    assert.equal(links.device('https://berth.example.com'), 'https://berth.example.com/device');
    assert.equal(
      links.device('https://berth.example.com', 'BCDF-GHJK'),
      'https://berth.example.com/device?user_code=BCDF-GHJK',
    );
    assert.equal(
      hostBlock('demo-7f3k', 'developer', 'ssh.example.com', 30001),
      'Host demo-7f3k\n  HostName ssh.example.com\n  Port 30001\n  User developer',
    );
  });
});

describe('the catalogue of errors', () => {
  const entries = Object.entries(errorCatalogue) as [ErrorCode, (typeof errorCatalogue)[ErrorCode]][];

  test('says for each what happened and what to do', () => {
    for (const [code, { status, title, cure }] of entries) {
      assert.match(code, /^[a-z]+(_[a-z]+)*$/);
      assert.ok(status >= 400 && status < 600, code);
      assert.match(title, /^[A-Z].*[^.]$/, code);
      assert.match(cure, /^[A-Z].*\.$/, code);
    }
  });

  test('gives an error its status and, unless it has a better one, its cure', () => {
    for (const [code, { status, cure }] of entries) {
      const error = new BerthError(code, 'It happened.');
      assert.equal(error.status, status);
      assert.equal(error.cure, cure);
      assert.equal(new BerthError(code, 'It happened.', { cure: 'Do this.' }).cure, 'Do this.');
    }
  });
});
