/** The console as it reaches a browser: the document with its policy, and the files with their caches. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { ensureConsole } from '@berth/console/build';
import type { Problem } from '@berth/contract';
import { pages, routes } from '@berth/contract';
import { fastify } from 'fastify';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { consoleFolder, sendConsole } from './console.ts';

const asPage = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

describe('the console', () => {
  let plane: ControlPlane;
  let app: App;
  before(async () => {
    await ensureConsole(() => undefined);
    const [on] = databases;
    assert.ok(on);
    plane = await ControlPlane.open(on);
    app = await makeApp(plane.services);
  });
  after(async () => {
    await app.close();
    await plane.close();
  });

  const get = (url: string, headers: Record<string, string> = {}) => app.inject({ url, headers });
  const filesOf = (document: string) =>
    [...document.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, url]) => url ?? '');

  test('is the same document at each of its pages, for whoever asks', async () => {
    for (const page of Object.values(pages)) {
      const answer = await get(page.replaceAll(/:[a-z]+/g, 'x'), asPage);
      assert.equal(answer.statusCode, 200, page);
      assert.equal(answer.headers['content-type'], 'text/html; charset=utf-8', page);
      assert.match(answer.body, /<div id="root"><\/div>/, page);
      assert.equal(answer.headers['cache-control'], 'no-store', page);
    }
  });

  test('runs no script but its own files, and is in no frame', async () => {
    const answer = await get(pages.home);
    const policy = Object.fromEntries(
      String(answer.headers['content-security-policy'])
        .split('; ')
        .map((directive) => [directive.split(' ')[0], directive.split(' ').slice(1)]),
    ) as Record<string, string[]>;
    assert.deepEqual(policy['default-src'], ["'none'"]);
    assert.deepEqual(policy['script-src'], ["'self'"]);
    assert.deepEqual(policy['frame-ancestors'], ["'none'"]);
    assert.deepEqual(policy['base-uri'], ["'none'"]);
    assert.deepEqual(policy['form-action'], ["'none'"]);
    assert.doesNotMatch(String(answer.headers['content-security-policy']), /unsafe|\*|http/);
    for (const [tag] of answer.body.matchAll(/<script[^>]*>/g)) assert.match(tag, / src="\//, tag);
    assert.doesNotMatch(answer.body, /<style|\son[a-z]+=/);
  });

  test('lets in styles by a nonce that is another one in each answer', async () => {
    const nonces = new Set<string>();
    for (let count = 0; count < 3; count += 1) {
      const answer = await get(pages.home);
      const nonce = /style-src 'self' 'nonce-([^']+)'/.exec(
        String(answer.headers['content-security-policy']),
      )?.[1];
      assert.ok(nonce !== undefined && Buffer.from(nonce, 'base64').length >= 16);
      assert.ok(answer.body.includes(`property="csp-nonce" nonce="${nonce}"`));
      assert.doesNotMatch(answer.body, /berth-nonce-of-this-answer/);
      nonces.add(nonce);
    }
    assert.equal(nonces.size, 3);
  });

  test('loads files that are named by their content, stored for good and compressed before', async () => {
    const { body } = await get(pages.home);
    const assets = filesOf(body).filter((url) => url.startsWith('/assets/'));
    assert.ok(assets.length >= 2, body);
    for (const url of assets) {
      const plain = await get(url);
      assert.equal(plain.statusCode, 200, url);
      assert.equal(plain.headers['cache-control'], 'public, max-age=31536000, immutable', url);
      assert.match(String(plain.headers['content-type']), /javascript|css/, url);
      const brotli = await get(url, { 'accept-encoding': 'gzip, deflate, br, zstd' });
      assert.equal(brotli.headers['content-encoding'], 'br', url);
      assert.equal(brotli.headers['vary'], 'accept-encoding', url);
      assert.deepEqual(brotliDecompressSync(brotli.rawPayload), plain.rawPayload, url);
      const gzip = await get(url, { 'accept-encoding': 'gzip' });
      assert.equal(gzip.headers['content-encoding'], 'gzip', url);
      assert.deepEqual(gunzipSync(gzip.rawPayload), plain.rawPayload, url);
    }
    for (const url of filesOf(body).filter((each) => !assets.includes(each))) {
      const answer = await get(url);
      assert.equal(answer.statusCode, 200, url);
      assert.equal(answer.headers['cache-control'], 'public, max-age=0', url);
    }
  });

  test('gives nothing beside its files', async () => {
    readFileSync(`${consoleFolder}/manifest.json`);
    for (const url of [
      '/assets/',
      '/assets/nothing.js',
      '/assets/..%2findex.html',
      '/assets/..%2f..%2fpackage.json',
      '/assets/%2e%2e/%2e%2e/package.json',
      '/manifest.json',
      '/index.html',
      '/sources.sha256',
    ]) {
      const answer = await get(url);
      assert.equal(answer.statusCode, 404, `${url}: ${answer.body.slice(0, 80)}`);
      assert.equal(answer.json<Problem>().code, 'not_found', url);
    }
  });

  test('that is not built says how it is', async () => {
    const bare = fastify();
    bare.get('/', (_request, reply) => sendConsole(reply, 200, '/nowhere'));
    const answer = await bare.inject({ url: '/' });
    assert.equal(answer.statusCode, 503);
    assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8');
    assert.match(answer.body, /node packages\/console\/build\.ts/);
    await bare.close();
  });

  test('tells a person that a page is not there; programs get a problem document', async () => {
    const page = await get('/nowhere', asPage);
    assert.equal(page.statusCode, 404);
    assert.match(page.body, /<div id="root">/);
    for (const [url, headers] of [
      ['/nowhere', {}],
      ['/nowhere', { accept: 'application/json' }],
      ['/api/nowhere', asPage],
      ['/api', asPage],
      ['/assets/nothing.js', asPage],
    ] as const) {
      const answer = await get(url, headers);
      assert.equal(answer.statusCode, 404, url);
      assert.equal(answer.json<Problem>().code, 'not_found', url);
    }
    const unsigned = await get(routes.environments, asPage);
    assert.equal(unsigned.statusCode, 401);
    assert.equal(unsigned.json<Problem>().code, 'unauthorized');
  });
});
