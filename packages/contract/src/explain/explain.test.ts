/** What is explained of real clients' output is in test/end-to-end/diagnosis.test.ts, where it is recorded. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { explain, explainFor, keyInQuestion } from './explain.ts';
import type { KnownPlaces } from './explain.ts';

const codesOf = (text: string) => explain(text).findings.map(({ code }) => code);
const print = (letter: string) => `SHA256:${letter.repeat(43)}`;

const places: KnownPlaces = [
  {
    env_id: 'demo-7f3k',
    ssh_host: 'ssh.example.com',
    ssh_port: 30001,
    ssh_username: 'developer',
    shared_port: 2222,
  },
  {
    env_id: 'other-2b2b',
    ssh_host: 'ssh.example.com',
    ssh_port: null,
    ssh_username: 'developer',
    shared_port: 2222,
  },
];
const went = (to: string, port: number, user?: string) =>
  [
    `debug1: Connecting to ${to} [203.0.113.9] port ${port}.`,
    ...(user === undefined ? [] : [`debug1: Authenticating to ${to}:${port} as '${user}'`]),
    `ssh: connect to host ${to} port ${port}: Connection refused`,
  ].join('\r\n');

describe('what a client printed', () => {
  test('may be anything, of any length, and is read in time', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 300 })), (lines) => {
        const { findings } = explain(lines.join('\n'));
        for (const { cause, cure, line } of findings)
          assert.doesNotMatch(`${cause}${cure ?? ''}${line ?? ''}`, /[\p{Cc}\p{Cf}]/u);
      }),
    );
    for (const hostile of [
      'debug1: Offering public key: '.repeat(200_000),
      `${'a'.repeat(2_000_000)}: Permission denied (`,
      'Connection to '.repeat(300_000),
      '\n'.repeat(4_000_000),
      `debug1: Executing proxy command: exec ssh ${'-W '.repeat(500_000)}`,
    ]) {
      const began = performance.now();
      explain(hostile);
      assert.ok(performance.now() - began < 2_000, hostile.slice(0, 40));
    }
    assert.deepEqual(codesOf(''), []);
    assert.deepEqual(codesOf('hello'), []);
  });

  test('cannot move a cursor, nor hide what it says', () => {
    const [finding] = explain('ssh: connect to host a\u001b[2Jb\u202ec port 22: Connection refused').findings;
    assert.equal(finding?.code, 'refused');
    const said = JSON.stringify(finding);
    for (const strange of ['\u001b', '\u202e', '\\u001b', '\\u202e'])
      assert.ok(!said.includes(strange), said);
  });

  test('of OpenSSH before 8 and on other systems is known as well', () => {
    assert.deepEqual(codesOf('ssh: connect to host x port 22: Operation timed out'), ['timed_out']);
    assert.deepEqual(codesOf('ssh_exchange_identification: read: Connection reset by peer'), [
      'closed_unheard',
    ]);
    assert.deepEqual(codesOf('ssh_exchange_identification: Connection closed by remote host'), [
      'closed_unheard',
    ]);
    assert.deepEqual(codesOf('ssh: Could not resolve hostname x: No such host is known.'), [
      'name_not_found',
    ]);
    assert.deepEqual(
      codesOf('ssh: Could not resolve hostname x: nodename nor servname provided, or not known'),
      ['name_not_found'],
    );
    assert.deepEqual(codesOf('packet_write_wait: Connection to 203.0.113.9 port 22: Broken pipe'), [
      'connection_lost',
    ]);
    assert.deepEqual(codesOf('client_loop: send disconnect: Broken pipe'), ['connection_lost']);
    assert.deepEqual(codesOf('Timeout, server ssh.example.com not responding.'), ['connection_lost']);
    assert.deepEqual(codesOf('FATAL ERROR: Network error: Connection timed out'), ['timed_out']);
    assert.deepEqual(codesOf('ssh: connect to host x port 22: No route to host'), ['no_route']);
    assert.deepEqual(codesOf('/home/mei/.ssh/config: line 3: Bad configuration option: prot'), [
      'config_unusable',
    ]);
    assert.deepEqual(codesOf('Bad owner or permissions on /home/mei/.ssh/config'), ['config_unusable']);
    assert.deepEqual(codesOf('Could not open a connection to your authentication agent.'), ['agent_away']);
    assert.deepEqual(
      codesOf(
        'sign_and_send_pubkey: signing failed for ED25519 "mei@laptop" from agent: agent refused operation',
      ),
      ['agent_refused'],
    );
    assert.deepEqual(codesOf('Load key "/home/mei/.ssh/id": invalid format'), ['key_file_unusable']);
    assert.deepEqual(codesOf('PTY allocation request failed on channel 0'), ['no_terminal']);
  });

  test('asks of the key that was refused last, else of the one that was taken', () => {
    const offer = (letter: string) =>
      `debug1: Offering public key: /k/${letter} ED25519 ${print(letter)} agent`;
    const take = (letter: string) =>
      `debug1: Server accepts key: /k/${letter} ED25519 ${print(letter)} agent`;
    assert.equal(
      keyInQuestion(explain([offer('a'), offer('b'), offer('c'), take('c')].join('\n'))),
      print('b'),
    );
    assert.equal(keyInQuestion(explain([offer('a'), take('a')].join('\n'))), print('a'));
    assert.equal(keyInQuestion(explain('Offered public key')), undefined);
  });
});

describe('the environment that was meant', () => {
  const meant = (text: string, among = places) => {
    const { explanation, environment } = explainFor(text, among);
    return [environment, ...explanation.findings.map(({ code }) => code)];
  };

  test('is known by its port, by its id at the shared port, and by its name behind a jump', () => {
    assert.deepEqual(meant(went('ssh.example.com', 30001, 'developer')), ['demo-7f3k', 'refused']);
    assert.deepEqual(meant(went('my-alias', 30001, 'developer')), ['demo-7f3k', 'refused']);
    assert.deepEqual(meant(went('ssh.example.com', 2222, 'other-2b2b')), ['other-2b2b', 'refused']);
    const jump = `debug1: Executing proxy command: exec ssh -l mei -p 2222 -v -W '[other-2b2b]:22' ssh.example.com`;
    assert.equal(meant(`${jump}\n${went('ssh.example.com', 2222, 'mei')}`)[0], 'other-2b2b');
    assert.equal(meant('')[0], null);
    assert.equal(meant(went('elsewhere.example.com', 22))[0], null);
    assert.equal(meant(went('ssh.example.com', 30001), [])[0], null);
  });

  test('is reached in another way than the client took', () => {
    assert.deepEqual(meant(went('ssh.example.com', 30001, 'root')), ['demo-7f3k', 'wrong_user', 'refused']);
    assert.deepEqual(meant(went('ssh.example.com', 22)), [null, 'port_22', 'refused']);
    assert.deepEqual(meant(went('ssh.example.com', 30009)), [null, 'refused', 'unknown_port']);
    const [demo] = places;
    assert.ok(demo);
    assert.deepEqual(meant(went('ssh.example.com', 22), [demo]), ['demo-7f3k', 'port_22', 'refused']);
    assert.deepEqual(meant(went('ssh.example.com', 2222, 'developer'), [demo]), [
      'demo-7f3k',
      'wrong_user',
      'refused',
    ]);
    const { explanation } = explainFor(went('ssh.example.com', 22), [demo]);
    assert.equal(explanation.findings[0]?.facts['command'], 'ssh developer@ssh.example.com -p 30001');
  });
});
