// known_hosts files as ssh-keygen writes, hashes and searches them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeSecurityKey } from '../testing/security-key.ts';
import { makeKey, sshKeygenIn, sshKeygenOn } from '../testing/ssh-keygen.ts';
import { signCertificate } from './certificate-authority.ts';
import { KeyError } from './key-error.ts';
import { KnownHosts, formatKnownHost, knownHostsLine } from './known-hosts.ts';
import { generateHostKey } from './private-key.ts';
import { parsePublicKey } from './public-key.ts';
import { generateSigningKey } from './signing-key.ts';

test('writes the known_hosts line that ssh-keygen finds', () => {
  const { publicLine } = generateHostKey();
  const onOwnPort = knownHostsLine('SSH.example.com', 30001, `${publicLine} comment`);
  assert.equal(onOwnPort, `[ssh.example.com]:30001 ${publicLine}`);
  assert.equal(knownHostsLine('ssh.example.com', 22, publicLine), `ssh.example.com ${publicLine}`);
  assert.equal(knownHostsLine('::1', 2222, publicLine), `[::1]:2222 ${publicLine}`);
  assert.match(sshKeygenOn(`${onOwnPort}\n`, '-F', '[ssh.example.com]:30001'), /found: line 1/);
});

test('writes no known_hosts line that means more than one host', () => {
  const { publicLine } = generateHostKey();
  for (const host of ['', '*', 'a,b', 'a b', '!a', '@cert-authority', '|1|x', '#a', 'a\nb', '[a]']) {
    assert.throws(() => knownHostsLine(host, 22, publicLine), TypeError, host);
  }
  assert.throws(() => knownHostsLine('a', 0, publicLine), RangeError);
  assert.throws(() => knownHostsLine('a', 22, 'nonsense'), KeyError);
});

const [one, other, third] = [generateHostKey(), generateHostKey(), generateHostKey()];
const rsa = parsePublicKey(makeKey('-t', 'rsa', '-b', '2048').publicLine);

test('knows a host by name and port, in plain and in hashed lines', () => {
  for (const hashed of [false, true]) {
    const file = new KnownHosts(
      [
        knownHostsLine('ssh.example.com', 30001, one.publicLine, { hashed }),
        knownHostsLine('ssh.example.com', 22, other.publicLine, { hashed }),
        knownHostsLine('2001:db8::1', 2222, third.publicLine, { hashed }),
      ].join('\n'),
    );
    assert.deepEqual(file.problems, []);
    const result = (host: string, port: number, key = one): string =>
      file.lookUp(host, port, key.publicKey).result;
    assert.equal(result('ssh.example.com', 30001), 'match');
    assert.equal(result('SSH.Example.COM', 30001), 'match');
    assert.equal(result('ssh.example.com', 30002), 'unknown');
    assert.equal(result('ssh.example.com', 22), 'changed');
    assert.equal(result('ssh.example.com', 22, other), 'match');
    assert.equal(result('example.com', 22), 'unknown');
    assert.equal(result('2001:db8::1', 2222, third), 'match');
    assert.equal(result('2001:db8::1', 22, third), 'unknown');
    assert.deepEqual(file.lookUp('ssh.example.com', 30001, other.publicKey), {
      ...{ result: 'changed', keyTypes: ['ssh-ed25519'], lineNumber: 1 },
    });
  }
});

test('hashes a name so that only somebody who knows it finds it, as ssh-keygen does', () => {
  const line = knownHostsLine('ssh.example.com', 30001, one.publicLine, { hashed: true });
  assert.doesNotMatch(line, /example/);
  assert.notEqual(line, knownHostsLine('ssh.example.com', 30001, one.publicLine, { hashed: true }));
  assert.match(sshKeygenOn(`${line}\n`, '-F', '[ssh.example.com]:30001'), /found: line 1/);
  const plain = `${knownHostsLine('ssh.example.com', 30001, one.publicLine)}\n`;
  const { files } = sshKeygenIn({ file: plain }, ['-q', '-H', '-f', 'file']);
  const hashed = new KnownHosts(files.get('file')?.toString() ?? '');
  assert.match(hashed.entries[0]?.hosts ?? '', /^\|1\|/);
  assert.equal(hashed.lookUp('ssh.example.com', 30001, one.publicKey).result, 'match');
  assert.equal(hashed.lookUp('ssh.example.com', 30002, one.publicKey).result, 'unknown');
});

test('reads lists, wildcards and exceptions as ssh does', () => {
  const lists = [
    'a.example.com,192.0.2.1',
    '*.example.com,!evil.example.com',
    'host?',
    '[*.example.com]:2222',
    '!x,*',
  ];
  const names = [
    'a.example.com',
    '192.0.2.1',
    'b.example.com',
    'evil.example.com',
    'example.com',
    'host1',
    'host12',
    'x',
    'y',
  ];
  for (const list of lists) {
    const text = `${list} ${one.publicLine}\n`;
    const file = new KnownHosts(text);
    for (const name of names) {
      for (const port of [22, 2222]) {
        const searched = port === 22 ? name : `[${name}]:${port}`;
        const found = file.lookUp(name, port, one.publicKey).result === 'match';
        assert.equal(found, isFoundBySshKeygen(text, searched), `${list} ${searched}`);
      }
    }
  }
});

function isFoundBySshKeygen(text: string, name: string): boolean {
  try {
    return sshKeygenOn(text, '-F', name).includes('found: line 1');
  } catch {
    return false;
  }
}

test('tells which types are known for a host whose key it does not know', () => {
  const file = new KnownHosts(`h ${one.publicLine}\nh ${rsa.line}\nh ${other.publicLine}`);
  assert.deepEqual(file.lookUp('h', 22, third.publicKey), {
    ...{ result: 'changed', keyTypes: ['ssh-ed25519', 'ssh-rsa'], lineNumber: 1 },
  });
  assert.deepEqual(file.lookUp('h', 22, other.publicKey), {
    result: 'match',
    byAuthority: false,
    lineNumber: 3,
  });
});

test('never takes a revoked key, whatever else is said of it', () => {
  const file = new KnownHosts(
    `h ${one.publicLine}\n@revoked * ${one.publicLine}\n@revoked [g]:2222 ${other.publicLine}\ng ${other.publicLine}`,
  );
  assert.deepEqual(file.lookUp('h', 22, one.publicKey), { result: 'revoked', lineNumber: 2 });
  assert.equal(file.lookUp('elsewhere', 2222, one.publicKey).result, 'revoked');
  assert.equal(file.lookUp('g', 22, other.publicKey).result, 'match');
  assert.equal(file.lookUp('g', 2222, other.publicKey).result, 'revoked');
});

test('knows a host by the authority of its certificate, unless that or the key was revoked', async () => {
  const authority = await generateSigningKey('ssh-ed25519');
  const { line: caLine } = parsePublicKey(`ssh-ed25519 ${authority.publicKey.blob.toString('base64')}`);
  const { blob } = signCertificate({
    ...{ ca: authority, role: 'host', publicKey: one.publicKey, keyId: '', principals: ['a.example.com'] },
    ...{ validAfter: new Date(0), validBefore: 'forever' },
  });
  const result = (text: string, host = 'a.example.com'): unknown =>
    new KnownHosts(text).lookUp(host, 22, blob);
  const trusted = `@cert-authority *.example.com ${caLine}`;
  assert.deepEqual(result(trusted), { result: 'match', byAuthority: true, lineNumber: 1 });
  assert.deepEqual(result(trusted, 'example.org'), { result: 'unknown' });
  // An authority's line says nothing of the authority's key as a host key.
  assert.deepEqual(new KnownHosts(trusted).lookUp('a.example.com', 22, authority.publicKey.blob), {
    result: 'unknown',
  });
  assert.deepEqual(result(`*.example.com ${caLine}`), {
    ...{ result: 'changed', keyTypes: ['ssh-ed25519'], lineNumber: 1 },
  });
  assert.deepEqual(result(`a.example.com ${one.publicLine}`), {
    result: 'match',
    byAuthority: false,
    lineNumber: 1,
  });
  assert.deepEqual(result(`${trusted}\n@revoked * ${caLine}`), { result: 'revoked', lineNumber: 2 });
  assert.deepEqual(result(`${trusted}\n@revoked * ${one.publicLine}`), { result: 'revoked', lineNumber: 2 });
});

test('skips what is no line, and says of each which and why', () => {
  const text = [
    '# a comment',
    '',
    `h ${one.publicLine} a comment`,
    'h',
    `@trusted h ${one.publicLine}`,
    `@revoked ${one.publicLine}`,
    `h ssh-ed25519 AAAA`,
    `|2|x|y ${one.publicLine}`,
    `|1|x|y ${one.publicLine}`,
    `@revoked @cert-authority h ${one.publicLine}`,
    `h ssh-dss AAAA`,
  ].join('\r\n');
  const { entries, problems } = new KnownHosts(text);
  assert.deepEqual(
    entries.map(({ lineNumber, comment }) => [lineNumber, comment]),
    [[3, 'a comment']],
  );
  assert.deepEqual(
    problems.map(({ lineNumber }) => lineNumber),
    [4, 5, 6, 7, 8, 9, 10, 11],
  );
  for (const { lineNumber, error } of problems) {
    assert.equal(error.code, 'known_hosts_line');
    assert.match(error.message, new RegExp(`^Line ${lineNumber} ?:? ?\\S`));
  }
});

test('reads back each line that it writes', () => {
  const keys = [one.publicLine, rsa.line].map((line) => parsePublicKey(line));
  keys.push(
    parsePublicKey(
      `sk-ssh-ed25519@openssh.com ${makeSecurityKey('sk-ssh-ed25519@openssh.com').blob.toString('base64')}`,
    ),
  );
  const entry = fc.record({
    marker: fc.constantFrom(undefined, 'cert-authority' as const, 'revoked' as const),
    hosts: fc.stringMatching(/^[a-z0-9*?![\].:,_-]{1,40}$/),
    key: fc.constantFrom(...keys),
    comment: fc.stringMatching(/^(?:|[!-~]|[!-~][ -~]{0,20}[!-~])$/),
  });
  fc.assert(
    fc.property(entry, ({ key, ...rest }) => {
      const written = { ...rest, keyType: key.type, key: key.blob };
      const { entries, problems } = new KnownHosts(`\n${formatKnownHost(written)}\n`);
      assert.deepEqual(problems, []);
      assert.deepEqual(entries, [{ lineNumber: 2, ...written }]);
    }),
  );
});

test('throws nothing for any text', () => {
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    text: fc.string({ maxLength: 5 }),
  });
  const original = [
    knownHostsLine('h', 22, one.publicLine, { hashed: true }),
    `@cert-authority *.h,!x ${one.publicLine} c`,
    `@revoked [h]:1 ${rsa.line}`,
  ].join('\n');
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 4 }), (edits) => {
      let text = original;
      for (const { at, text: inserted } of edits) {
        const index = Math.floor(at * text.length);
        text = text.slice(0, index) + inserted + text.slice(index + 1);
      }
      const file = new KnownHosts(text);
      assert.ok(file.entries.length + file.problems.length > 0);
      file.lookUp('h', 22, one.publicKey);
    }),
    { numRuns: 1000 },
  );
});
