import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { SettingsError, environmentVariable, readSettings, settingsTable } from './settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'berth-settings-'));
after(() => rmSync(folder, { recursive: true }));

/** The file stands in a folder of its own, so that no other berth.yaml plays a part. */
function read(variables: Record<string, string>, yaml?: string) {
  const config = join(mkdtempSync(join(folder, 'case-')), 'berth.yaml');
  writeFileSync(config, yaml ?? '');
  return { config, ...readSettings({ BERTH_CONFIG: config, ...variables }) };
}

function stops(variables: Record<string, string>, yaml?: string): string {
  try {
    read(variables, yaml);
  } catch (error) {
    assert.ok(error instanceof SettingsError, String(error));
    return error.message;
  }
  return assert.fail('it was taken');
}

describe('settings', () => {
  test('have the documented defaults, and say so', () => {
    const { settings, inForce } = read({});
    assert.deepEqual(settings.http, { host: '127.0.0.1', port: 8080 });
    assert.deepEqual(settings.portRange, { first: 30000, last: 32767 });
    assert.equal(settings.databaseUrl, null);
    assert.equal(settings.portOrder, 'sequential');
    assert.deepEqual(
      inForce.map(({ name }) => name).toSorted(),
      Object.keys(settings).toSorted(),
      'each setting is shown',
    );
    assert.ok(inForce.every(({ source }) => source === 'default'));
  });

  test('come from the file and from the environment under the same names; the environment wins', () => {
    const yaml = 'portRange: 31000-31010\nsshHost: from-file.example.com\nportRestSeconds: 5\n';
    const { settings, inForce, config } = read({ BERTH_SSH_HOST: 'from-environment.example.com' }, yaml);
    assert.deepEqual(settings.portRange, { first: 31000, last: 31010 });
    assert.equal(settings.portRestSeconds, 5);
    assert.equal(settings.sshHost, 'from-environment.example.com');
    const shown = Object.fromEntries(inForce.map(({ name, value, source }) => [name, { value, source }]));
    assert.deepEqual(shown['portRange'], { value: '31000-31010', source: config });
    assert.deepEqual(shown['sshHost'], {
      value: 'from-environment.example.com',
      source: 'environment BERTH_SSH_HOST',
    });
    assert.equal(shown['http']?.source, 'default');
  });

  test('are found in the data folder when no file is named', () => {
    const dataDir = mkdtempSync(join(folder, 'data-'));
    writeFileSync(join(dataDir, 'berth.yaml'), 'stopGraceSeconds: 7\n');
    const { settings } = readSettings({ BERTH_DATA_DIR: dataDir });
    assert.equal(settings.stopGraceSeconds, 7);
  });

  test('are each named the same way in the environment', () => {
    assert.equal(environmentVariable('portRange'), 'BERTH_PORT_RANGE');
    assert.equal(environmentVariable('http'), 'BERTH_HTTP');
  });

  test('come in groups in the file, and with an underscore in the environment', () => {
    const yaml = 'tls: {certificate: /etc/a.crt, key: /etc/a.key}\nretention:\n  audit: 30\n';
    const { settings, inForce, config } = read({ BERTH_TLS_KEY: '/etc/b.key' }, yaml);
    assert.equal(settings['tls.certificate'], '/etc/a.crt');
    assert.equal(settings['tls.key'], '/etc/b.key');
    assert.equal(settings['retention.audit'], 30);
    assert.equal(settings['retention.events'], 90);
    assert.equal(inForce.find(({ name }) => name === 'tls.certificate')?.source, config);
    assert.equal(environmentVariable('tls.certificate'), 'BERTH_TLS_CERTIFICATE');
  });

  test('take the proxies that are trusted as a list with commas', () => {
    const { settings, inForce } = read({ BERTH_TRUSTED_PROXIES: '10.0.0.0/8, ::1,192.0.2.1' });
    assert.deepEqual(settings.trustedProxies, ['10.0.0.0/8', '::1', '192.0.2.1']);
    assert.equal(inForce.find(({ name }) => name === 'trustedProxies')?.value, '10.0.0.0/8,::1,192.0.2.1');
  });

  test('each say in one line what they mean', () => {
    for (const { name, about } of settingsTable) assert.match(about, /^[A-Z][^\n]+\.$/, name);
  });

  test('leave the variables of the command and of the test suite alone', () => {
    assert.doesNotThrow(() =>
      read({ BERTH_URL: 'x', BERTH_TOKEN: 'x', BERTH_TEST_POSTGRES: 'x', PATH: 'x' }),
    );
  });

  test('take the two forms of an HTTP address', () => {
    assert.deepEqual(read({ BERTH_HTTP: '[::1]:0' }).settings.http, { host: '::1', port: 0 });
    assert.deepEqual(read({ BERTH_HTTP: '0.0.0.0:80' }).settings.http, { host: '0.0.0.0', port: 80 });
  });

  test('take folders with commas between', () => {
    const { settings } = read({}, 'datasetFolders: /srv/data, /mnt/models');
    assert.deepEqual(settings.datasetFolders, ['/srv/data', '/mnt/models']);
  });

  test('hide the password of the database', () => {
    const url = 'postgres://berth:geheim123@db.example.com:5432/berth?password=geheim123';
    const { settings, inForce } = read({ BERTH_DATABASE_URL: url });
    assert.equal(settings.databaseUrl, url);
    assert.doesNotMatch(JSON.stringify(inForce), /geheim123/);
    assert.match(JSON.stringify(inForce), /postgres:\/\/berth:.*@db\.example\.com/);
  });

  test('hide it also in the sentence that stops the start', () => {
    assert.doesNotMatch(stops({ BERTH_DATABASE_URL: 'postgress://berth:geheim123@db/berth' }), /geheim123/);
    assert.doesNotMatch(stops({}, 'databaseUrl: mysql://berth:geheim123@db/berth'), /geheim123/);
  });
});

describe('a start is stopped, with name, value and what is allowed, by', () => {
  const wrong: [string, string][] = [
    ['BERTH_HTTP', ''],
    ['BERTH_HTTP', '8080'],
    ['BERTH_HTTP', '127.0.0.1:65536'],
    ['BERTH_HTTP', '::1:8080'],
    ['BERTH_PUBLIC_URL', 'berth.example.com'],
    ['BERTH_PUBLIC_URL', 'https://berth.example.com/path'],
    ['BERTH_PUBLIC_URL', 'https://user:word@berth.example.com'],
    ['BERTH_PUBLIC_URL', 'javascript:alert(1)'],
    ['BERTH_SSH_HOST', '-oProxyCommand=id'],
    ['BERTH_SSH_HOST', 'a b'],
    ['BERTH_PORT_RANGE', '30000'],
    ['BERTH_PORT_RANGE', '30010-30000'],
    ['BERTH_PORT_RANGE', '80-90'],
    ['BERTH_PORT_RANGE', '30000-70000'],
    ['BERTH_PORT_ORDER', 'downwards'],
    ['BERTH_PORT_REST_SECONDS', '-1'],
    ['BERTH_PORT_REST_SECONDS', '1.5'],
    ['BERTH_PORT_REST_SECONDS', 'ten'],
    ['BERTH_PORT_ADDRESS', '999.1.1.1'],
    ['BERTH_PORT_ADDRESS', 'localhost'],
    ['BERTH_PORT_ADDRESS', 'fe80::1%eth0'],
    ['BERTH_PORT_ADDRESS', '[::]'],
    ['BERTH_RUNTIME', 'podman'],
    ['BERTH_EXPOSURE', 'gateway2'],
    ['BERTH_ENVIRONMENT_IMAGE', '--privileged'],
    ['BERTH_DATASET_FOLDERS', ''],
    ['BERTH_DATASET_FOLDERS', 'srv/data'],
    ['BERTH_DATASET_FOLDERS', '/srv/data,/srv/../etc'],
    ['BERTH_READY_TIMEOUT_SECONDS', '4'],
    ['BERTH_STOP_GRACE_SECONDS', '601'],
    ['BERTH_LOG_LEVEL', 'loud'],
    ['BERTH_TRUSTED_PROXIES', 'proxy.example.com'],
    ['BERTH_TRUSTED_PROXIES', '10.0.0.0/33'],
    ['BERTH_TRUSTED_PROXIES', '10.0.0.1,'],
    ['BERTH_PASSWORD_MIN_LENGTH', '11'],
    ['BERTH_PASSWORD_MIN_LENGTH', '129'],
    ['BERTH_PASSWORD_MAX_AGE_DAYS', '-1'],
    ['BERTH_PASSWORD_NOTICE_DAYS', '366'],
    ['BERTH_RETENTION_EVENTS', 'for ever'],
    ['BERTH_RETENTION_AUDIT', '36501'],
    ['BERTH_RETENTION_HISTORY', '1.5'],
    ['BERTH_DATA_DIR', ''],
  ];
  for (const [name, value] of wrong) {
    test(`${name}=${JSON.stringify(value)}`, () => {
      const sentence = stops({ [name]: value });
      assert.ok(sentence.includes(name), sentence);
      assert.ok(sentence.includes(JSON.stringify(value)), sentence);
      assert.match(sentence, /allowed: .+/);
    });
  }

  test('an unknown variable', () => {
    const sentence = stops({ BERTH_PORTRANGE: '1-2' });
    assert.match(sentence, /BERTH_PORTRANGE \(environment\) is "1-2"; allowed: one of .*BERTH_PORT_RANGE/);
  });

  test('an unknown key of the file', () => {
    assert.match(stops({}, 'portrange: 1-2\n'), /portrange \(.*berth\.yaml\) is "1-2"; allowed: .*portRange/);
  });

  test('a certificate without its key, and a key without its certificate', () => {
    assert.match(
      stops({ BERTH_TLS_CERTIFICATE: '/a.crt' }),
      /tls\.key \(default\) is null; allowed: .*with tls\.certificate/,
    );
    assert.match(
      stops({}, 'tls: {key: /a.key}'),
      /tls\.certificate \(default\) is null; allowed: .*with tls\.key/,
    );
  });

  test('a group that is none, or with an unknown key', () => {
    assert.match(stops({}, 'tls: 5\n'), /tls \(.*\) is 5; allowed: one of .*tls\.certificate, tls\.key/);
    assert.match(stops({}, 'tls: {cert: x}\n'), /tls\.cert \(.*\) is "x"; allowed: one of /);
    assert.match(stops({}, 'retention: {audit: [1]}\n'), /retention\.audit .* is \[1\]; allowed: days/);
  });

  test('a key of the file with a list, a map or nothing in it', () => {
    assert.match(stops({}, 'sshHost: [a, b]\n'), /sshHost .* is \["a","b"\]; allowed: the host name/);
    assert.match(stops({}, 'sshHost: {a: b}\n'), /sshHost .* allowed: the host name/);
    assert.match(stops({}, 'sshHost:\n'), /sshHost .* is null; allowed: the host name/);
  });

  test('a file that is not YAML, or not a map', () => {
    assert.match(stops({}, 'a: b: c\n'), /berth\.yaml .*allowed: YAML of the form/);
    assert.match(stops({}, '- a\n- b\n'), /berth\.yaml .*allowed: YAML of the form/);
  });

  test('a named file that is not there', () => {
    assert.match(stops({ BERTH_CONFIG: join(folder, 'nowhere.yaml') }), /BERTH_CONFIG .*a file that exists/);
  });
});
