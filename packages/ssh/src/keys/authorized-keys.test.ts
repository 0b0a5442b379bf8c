// authorized_keys lines with every option of sshd(8).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeKey } from '../testing/ssh-keygen.ts';
import { type AuthorizedKeyOptions, parseAuthorizedKey, parseAuthorizedKeys } from './authorized-keys.ts';
import { KeyError } from './key-error.ts';
import { parsePublicKey } from './public-key.ts';

const line = makeKey('-t', 'ed25519', '-C', 'ada@example.com').publicLine.trim();

function options(text: string): AuthorizedKeyOptions {
  const { key, options: read } = parseAuthorizedKey(`${text} ${line}`);
  assert.deepEqual(key, parsePublicKey(line));
  return read;
}

function refusal(text: string): string {
  try {
    parseAuthorizedKey(text);
  } catch (error) {
    assert.ok(error instanceof KeyError, String(error));
    assert.match(error.message, /^[A-Z][^\n]+$/);
    return `${error.code}: ${error.message}`;
  }
  return 'none';
}

const permitted = {
  agentForwarding: true,
  portForwarding: true,
  x11Forwarding: true,
  pty: true,
  userRc: true,
};
const restricted = {
  agentForwarding: false,
  portForwarding: false,
  x11Forwarding: false,
  pty: false,
  userRc: false,
};

test('permits everything to a key without options', () => {
  assert.deepEqual(parseAuthorizedKey(line), {
    key: parsePublicKey(line),
    options: {
      ...permitted,
      certAuthority: false,
      principals: undefined,
      command: undefined,
      environment: new Map(),
      expiresAt: undefined,
      from: undefined,
      permitOpen: undefined,
      permitListen: undefined,
      tunnel: undefined,
      touchRequired: true,
      userVerificationRequired: false,
    },
  });
});

test("reads the manual's examples", () => {
  assert.deepEqual(
    { ...options('restrict,command="dump /home"') },
    { ...options('restrict'), command: 'dump /home' },
  );
  assert.deepEqual(options('permitopen="192.0.2.1:80",permitopen="192.0.2.2:25"').permitOpen, [
    { host: '192.0.2.1', port: 80 },
    { host: '192.0.2.2', port: 25 },
  ]);
  assert.deepEqual(options('permitlisten="localhost:8080",permitlisten="[::1]:22000"').permitListen, [
    { host: 'localhost', port: 8080 },
    { host: '::1', port: 22000 },
  ]);
  const tunnel = options('tunnel="0",command="sh /etc/netstart tun0"');
  assert.deepEqual([tunnel.tunnel, tunnel.command], [0, 'sh /etc/netstart tun0']);
  const nethack = options('restrict,pty,command="nethack"');
  assert.deepEqual([nethack.pty, nethack.portForwarding, nethack.command], [true, false, 'nethack']);
  assert.equal(options('no-touch-required').touchRequired, false);
  assert.equal(options('verify-required').userVerificationRequired, true);
  const authority = options('cert-authority,no-touch-required,principals="user_a"');
  assert.deepEqual(
    [authority.certAuthority, authority.touchRequired, authority.principals],
    [true, false, ['user_a']],
  );
});

test('reads permissions from left to right, in any case', () => {
  const permissions = (text: string): unknown => {
    const { agentForwarding, portForwarding, x11Forwarding, pty, userRc } = options(text);
    return { agentForwarding, portForwarding, x11Forwarding, pty, userRc };
  };
  assert.deepEqual(permissions('restrict'), restricted);
  assert.deepEqual(
    permissions('no-agent-forwarding,no-port-forwarding,no-X11-forwarding,no-pty,no-user-rc'),
    restricted,
  );
  assert.deepEqual(
    permissions('ReStRiCt,agent-forwarding,port-forwarding,X11-forwarding,pty,user-rc'),
    permitted,
  );
  assert.deepEqual(permissions('pty,restrict'), restricted);
  assert.deepEqual(permissions('restrict,NO-PTY,PTY'), { ...restricted, pty: true });
});

test('reads quoted values with commas, spaces, equal signs and quotation marks', () => {
  assert.equal(options('command="echo \\"a, b\\" c=d \\\\ \\n"').command, 'echo "a, b" c=d \\\\ \\n');
  assert.equal(options('command=""').command, '');
  assert.deepEqual(
    options('environment="A=1",environment="B=x=y z",environment="A=2"').environment,
    new Map([
      ['A', '1'],
      ['B', 'x=y z'],
    ]),
  );
  assert.deepEqual(options('principals="ada,eve"').principals, ['ada', 'eve']);
});

test('reads where forwardings may listen and lead to', () => {
  assert.deepEqual(
    options('permitlisten="8080",permitlisten="*",permitlisten="*.example.com:*"').permitListen,
    [
      { host: undefined, port: 8080 },
      { host: undefined, port: '*' },
      { host: '*.example.com', port: '*' },
    ],
  );
  assert.deepEqual(options('permitopen="[2001:db8::1]:*"').permitOpen, [{ host: '2001:db8::1', port: '*' }]);
});

test('reads from= as sshd matches it', () => {
  const { from } = options('from="192.0.2.0/24,!192.0.2.9,*.example.com"');
  assert.ok(from?.contain('192.0.2.1'));
  assert.ok(!from?.contain('192.0.2.9'));
  assert.ok(from?.contain('198.51.100.1', 'a.example.com'));
});

test('reads times in UTC and in the local zone, and takes the earliest', () => {
  const before = process.env['TZ'];
  process.env['TZ'] = 'Asia/Shanghai';
  try {
    const time = (text: string): string | undefined => options(text).expiresAt?.toISOString();
    assert.equal(time('expiry-time="20300102Z"'), '2030-01-02T00:00:00.000Z');
    assert.equal(time('expiry-time="203001021530z"'), '2030-01-02T15:30:00.000Z');
    assert.equal(time('expiry-time="20300102153045Z"'), '2030-01-02T15:30:45.000Z');
    assert.equal(time('expiry-time="20300102153045UTC"'), '2030-01-02T15:30:45.000Z');
    assert.equal(time('expiry-time="20300102"'), '2030-01-01T16:00:00.000Z');
    assert.equal(time('expiry-time="20300102153045"'), '2030-01-02T07:30:45.000Z');
    assert.equal(time('expiry-time="20310101Z",expiry-time="20300101Z"'), '2030-01-01T00:00:00.000Z');
    assert.equal(time('expiry-time="20300101Z",expiry-time="20310101Z"'), '2030-01-01T00:00:00.000Z');
  } finally {
    if (before === undefined) delete process.env['TZ'];
    else process.env['TZ'] = before;
  }
});

test('refuses an option that it does not understand, with what is wrong', () => {
  const cases: [string, RegExp][] = [
    ['no-such-option', /there is no option "no-such-option"/],
    ['constructor', /there is no option "constructor"/],
    ['from', /the option from needs a value/],
    ['pty="yes"', /the option pty takes no value/],
    ['command=id', /cannot be read from "command=id"/],
    ['pty,', /cannot be read from ""/],
    [',pty', /cannot be read/],
    ['pty,,no-pty', /cannot be read/],
    ['command="id', /quotation mark is not closed/],
    ['command="id\\"', /quotation mark is not closed/],
    ['command="id"x', /cannot be read/],
    ['command="a\\",environment="B=\\",pty', /cannot be read/],
    ['command="a",command="b"', /the option command is there twice/],
    ['from="a",from="b"', /the option from is there twice/],
    ['principals="a",principals="b"', /the option principals is there twice/],
    ['tunnel="1",tunnel="2"', /the option tunnel is there twice/],
    ['principals="a,,b"', /1 to 256 names/],
    ['principals=""', /1 to 256 names/],
    ['tunnel="any"', /number of a device/],
    ['environment="A"', /NAME=value/],
    ['environment="A B=c"', /NAME=value/],
    ['permitopen="80"', /host:port/],
    ['permitopen="::1:80"', /host:port/],
    ['permitopen="h:0"', /port from 1 to 65535/],
    ['permitopen="h:65536"', /port from 1 to 65535/],
    ['permitopen="h:8*"', /port from 1 to 65535/],
    ['permitlisten="0"', /port from 1 to 65535/],
    ['permitlisten=":80"', /host:port/],
    ['expiry-time="2030"', /YYYYMMDD/],
    ['expiry-time="20300230Z"', /YYYYMMDD/],
    ['expiry-time="203001012460Z"', /YYYYMMDD/],
    ['expiry-time="tomorrow"', /YYYYMMDD/],
  ];
  for (const [text, pattern] of cases) {
    assert.match(refusal(`${text} ${line}`), pattern, text);
    assert.match(refusal(`${text} ${line}`), /^authorized_keys_line: /, text);
  }
  assert.match(refusal(`from="192.0.2.1/24" ${line}`), /^pattern: .*beyond its mask/);
});

test('refuses a line whose key it would not take alone', () => {
  assert.match(refusal('ssh-dss AAAA'), /^dsa: /);
  assert.match(refusal('restrict ssh-dss AAAA'), /^dsa: /);
  assert.match(refusal('ssh-ed25519-cert-v01@openssh.com AAAA'), /^certificate: /);
  assert.match(refusal('ssh-ed25519 AAAA'), /^(?:truncated|bad_key): /);
  assert.match(refusal('restrict'), /^unknown_type: /);
  assert.match(refusal(`restrict pty ${line}`), /^(?:unknown_type|options_not_allowed): /);
  assert.match(refusal(''), /^empty: /);
});

test('reads a file, skips comments, and says which lines cannot be used', () => {
  const text = [
    '# work',
    '',
    `  # ${line}`,
    line,
    `  restrict ${line}\t`,
    `pty,x ${line}`,
    'nonsense',
    '',
  ].join('\r\n');
  const { keys, problems } = parseAuthorizedKeys(text);
  assert.deepEqual(
    keys.map(({ lineNumber, options: { pty } }) => [lineNumber, pty]),
    [
      [4, true],
      [5, false],
    ],
  );
  assert.deepEqual(
    problems.map(({ lineNumber, error }) => [lineNumber, error.code]),
    [
      [6, 'authorized_keys_line'],
      [7, 'unknown_type'],
    ],
  );
});

test('reads back every value that can be quoted', () => {
  // A backslash before a quotation mark cannot be written: the format has no way to.
  const value = fc
    .string({ unit: 'grapheme' })
    .filter((text) => !/[\r\n]|\\"|\\$/.test(text) && text === text.trim());
  fc.assert(
    fc.property(value, value, (command, environment) => {
      const quoted = (text: string): string => `"${text.replaceAll('"', '\\"')}"`;
      const read = options(`command=${quoted(command)},pty,environment=${quoted(`A=${environment}`)}`);
      assert.equal(read.command, command);
      assert.equal(read.environment.get('A'), environment);
    }),
    { numRuns: 500 },
  );
});

test('throws only KeyError for any line', () => {
  const whole = `restrict,from="192.0.2.0/24,!a*",command="a \\"b\\"",expiry-time="20300101Z",permitopen="[::1]:*" ${line}`;
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    removed: fc.nat(3),
    inserted: fc.oneof(fc.constantFrom('', '"', '\\', ',', ' ', '=', '!'), fc.string({ maxLength: 4 })),
  });
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 4 }), (edits) => {
      let text = whole;
      for (const { at, removed, inserted } of edits) {
        const index = Math.floor(at * text.length);
        text = text.slice(0, index) + inserted + text.slice(index + removed);
      }
      const { keys, problems } = parseAuthorizedKeys(text);
      assert.ok(keys.length + problems.length <= text.split('\n').length);
    }),
    { numRuns: 2000 },
  );
});
