/** `berth gateway` and the gateway in `berth up`: wrong settings are named, and who is connected is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServerDouble } from '../testing/server-double.ts';
import { berth } from '../testing/run.ts';
import { stillConnected } from './gateway.ts';

test('a wrong place, role, number or account is named with what is allowed', async () => {
  await using server = await ServerDouble.start();
  const isRoot = process.getuid?.() === 0;
  const wrong: [string[], Record<string, string>, number, RegExp][] = [
    [['gateway', '--server', 'http://here'], {}, 2, /--server is "http:\/\/here"\. Give unix:PATH or https:/],
    [
      ['gateway', '--server', 'https://here:1'],
      {},
      2,
      /Setting control\.certificate is null; allowed: a path/,
    ],
    [
      ['gateway'],
      { BERTH_GATEWAY_WORKERS: '0' },
      2,
      /Setting gatewayWorkers is "0"; allowed: a number, 1 to 64/,
    ],
    [['up'], { BERTH_ROLES: 'server,proxy' }, 2, /Setting roles is "server,proxy"; allowed: server, gateway/],
  ];
  if (isRoot)
    wrong.push([
      ['gateway'],
      { BERTH_GATEWAY_USER: 'nobody-here' },
      1,
      /gatewayUser is "nobody-here".*useradd/,
    ]);
  for (const [commandLine, environment, exitCode, sentence] of wrong) {
    const result = await berth(commandLine, { server, environment });
    assert.match(result.stderr, sentence);
    assert.equal(result.exitCode, exitCode, result.stderr);
  }
});

test('a certificate that cannot be read is named', async () => {
  await using server = await ServerDouble.start();
  const environment = {
    BERTH_CONTROL_CERTIFICATE: '/nowhere/gateway.pem',
    BERTH_CONTROL_KEY: '/nowhere/gateway.key',
    BERTH_CONTROL_AUTHORITY: '/nowhere/authority.pem',
  };
  const result = await berth(['gateway', '--server', 'https://here:1'], { server, environment });
  assert.equal(result.exitCode, 1);
  assert.match(result.stderr, /The gateway did not start: \/nowhere\/gateway\.pem cannot be read/);
});

test('a gateway alone starts without its server, and ends when it is told to with nobody connected', async () => {
  await using server = await ServerDouble.start();
  const result = await berth(['gateway'], {
    server,
    signalAfter: ['the server does not feed the state', 'SIGTERM'],
  });
  assert.equal(result.exitCode, 0, result.stderr);
  assert.match(result.stderr, /The gateway is ending\. The environments keep running\./);
});

test('who is still connected is said by environment, source and time, and many are counted', () => {
  const one = { environment: 'demo-7f3k', source: '192.0.2.7', since: '2026-02-03T04:05:06.789Z' };
  assert.equal(
    stillConnected([one]),
    'One SSH connection is still there:\n' +
      '  demo-7f3k from 192.0.2.7 since 2026-02-03 04:05:06 UTC\n' +
      'Berth ends when they have gone. Press Ctrl-C again to cut them off.',
  );
  const many = stillConnected(Array.from({ length: 25 }, () => one)).split('\n');
  assert.equal(many[0], '25 SSH connections are still there:');
  assert.equal(many.at(-2), '  and 5 more');
  assert.equal(many.length, 23);
});
