import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSettings } from '../../settings.ts';
import { JupyterOrigin, placeOfJupyter } from './origin.ts';

const settingsOf = (environment: Record<string, string>) =>
  readSettings({ BERTH_DATA_DIR: '/nonexistent', ...environment }).settings;
const originOf = (publicUrl: string, apiUrl: string, set: Record<string, string> = {}) =>
  JupyterOrigin.of(settingsOf(set), publicUrl, { apiUrl, port: 8081 });

test('listens one port after the API, where it is told to, or nowhere', () => {
  const place = (set: Record<string, string>) => placeOfJupyter(settingsOf(set));
  assert.deepEqual(place({}), { host: '127.0.0.1', port: 8081 });
  assert.deepEqual(place({ BERTH_HTTP: '[::1]:443' }), { host: '::1', port: 444 });
  assert.deepEqual(place({ BERTH_HTTP: '127.0.0.1:0' }), { host: '127.0.0.1', port: 0 });
  assert.deepEqual(place({ BERTH_HTTP: '0.0.0.0:65535' }), { host: '0.0.0.0', port: 65_534 });
  assert.deepEqual(place({ BERTH_JUPYTER_LISTEN: '0.0.0.0:9000' }), { host: '0.0.0.0', port: 9000 });
  assert.equal(place({ BERTH_JUPYTER_LISTEN: 'none' }), null);
});

test('on this machine each environment has a name below localhost', () => {
  for (const host of ['localhost', '127.0.0.1', '127.8.8.8', '[::1]']) {
    const origin = originOf(`http://${host}:8080`, 'http://127.0.0.1:8080');
    assert.equal(origin?.originOf('demo-7f3k'), 'http://demo-7f3k.localhost:8081');
    assert.equal(origin.isolated, true);
  }
});

test('reached as it listens it has the same host and another port; behind a proxy nobody knows', () => {
  const direct = originOf('http://10.0.0.5:8080', 'http://0.0.0.0:8080');
  assert.equal(direct?.originOf('demo-7f3k'), 'http://10.0.0.5:8081');
  assert.equal(direct.isolated, false);
  assert.equal(originOf('https://berth.example.com', 'https://0.0.0.0:443')?.isSecure, true);
  assert.equal(originOf('https://berth.example.com', 'http://127.0.0.1:8080'), null);
  assert.equal(originOf('http://berth.example.com', 'http://127.0.0.1:8080'), null);
});

test('is where it is said to be, for each environment or for all', () => {
  const own = originOf('https://berth.example.com', 'http://127.0.0.1:8080', {
    BERTH_JUPYTER_PUBLIC_URL: 'https://*.jupyter.example.com/',
  });
  assert.equal(own?.originOf('demo-7f3k'), 'https://demo-7f3k.jupyter.example.com');
  assert.ok(own.isHostOf('demo-7f3k.jupyter.example.com', 'demo-7f3k'));
  assert.ok(own.isHostOf('Demo-7F3K.jupyter.example.com:443', 'demo-7f3k'));
  for (const host of [
    'other-2222.jupyter.example.com',
    'jupyter.example.com',
    'demo-7f3k.jupyter.example.com:8081',
    '',
  ])
    assert.ok(!own.isHostOf(host, 'demo-7f3k'), host);
  const shared = originOf('https://berth.example.com', 'http://127.0.0.1:8080', {
    BERTH_JUPYTER_PUBLIC_URL: 'https://notebooks.example.com',
  });
  assert.equal(shared?.originOf('demo-7f3k'), 'https://notebooks.example.com');
  assert.equal(shared.isolated, false);
});

test('a wrong address stops the start', () => {
  for (const value of [
    'jupyter.example.com',
    'https://a.*.example.com',
    'https://*',
    'https://*.10.0.0.5',
    'https://x.example.com/path',
    'ftp://x',
  ])
    assert.throws(() => settingsOf({ BERTH_JUPYTER_PUBLIC_URL: value }), /setting jupyter\.publicUrl/, value);
});
