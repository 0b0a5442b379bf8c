/** A browser's session over a real connection: its cookie, and whose pages may use it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Problem, TokenPage, Whoami } from '@berth/contract';
import { routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane, testPassword } from '../testing/control-plane.ts';

const account = 'member-of-alice';

for (const on of databases) {
  describe(`a browser's session on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let origin: string;
    let secureApp: App;
    before(async () => {
      plane = await ControlPlane.open(on);
      await plane.account('alice');
      const addresses = { ...plane.services.addresses, publicUrl: '' };
      app = await makeApp(plane.with({}, { addresses }));
      origin = await app.listen({ host: '127.0.0.1', port: 0 });
      addresses.publicUrl = origin;
      secureApp = await makeApp(plane.services);
    });
    after(async () => {
      await app.close();
      await secureApp.close();
      await plane.close();
    });

    const ask = (method: string, path: string, headers: Record<string, string> = {}, body?: object) =>
      fetch(`${origin}${path}`, {
        method,
        headers: { ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
    const signIn = async (headers: Record<string, string> = {}) => {
      const answer = await ask('POST', routes.session, headers, { account, password: testPassword });
      const set = answer.headers.get('set-cookie') ?? '';
      return { answer, set, cookie: set.split(';')[0] ?? '' };
    };
    const problemOf = async (answer: Response, status: number) => {
      const problem = (await answer.json()) as Problem;
      assert.equal(answer.status, status, problem.detail);
      return problem;
    };

    test('begins with a cookie that no script reads and no other site sends', async () => {
      const { answer, set } = await signIn({ origin });
      assert.equal(answer.status, 200);
      assert.equal(((await answer.json()) as Whoami).account, account);
      assert.match(set, /^berth=berth_[A-Za-z0-9_-]{43}; /);
      const attributes = set.split('; ').slice(1).sort();
      assert.deepEqual(attributes, ['HttpOnly', 'Max-Age=43200', 'Path=/', 'SameSite=Strict']);
    });

    test('has a cookie of this host only where Berth is reached by https', async () => {
      const payload = { account, password: testPassword };
      const answer = await secureApp.inject({ method: 'POST', url: routes.session, payload });
      const set = String(answer.headers['set-cookie']);
      assert.match(set, /^__Host-berth=berth_/);
      assert.match(set, /; Secure/);
      const cookie = set.split(';')[0] ?? '';
      const whoami = (cookie: string) => secureApp.inject({ url: routes.whoami, headers: { cookie } });
      assert.equal((await whoami(cookie)).statusCode, 200);
      assert.equal(
        (await whoami(cookie.replace('__Host-', ''))).statusCode,
        401,
        'the unguarded name counts not',
      );
    });

    test('says who is asking, as a token does; a bearer token wins over it', async () => {
      const { cookie } = await signIn();
      const answer = await ask('GET', routes.whoami, { cookie });
      assert.deepEqual(((await answer.json()) as Whoami).scopes, ['read', 'write']);
      const chief = await plane.account('chief', 'admin');
      const both = await ask('GET', routes.whoami, { cookie, authorization: `Bearer ${chief.token}` });
      assert.equal(((await both.json()) as Whoami).role, 'admin');
      const wrong = await ask('GET', routes.whoami, { cookie, authorization: 'Bearer nonsense' });
      assert.equal(wrong.status, 401);
    });

    test('takes no value that the browser brought', async () => {
      const { cookie: old } = await signIn();
      const { cookie: fresh } = await signIn({ cookie: old });
      const { cookie: planted } = await signIn({ cookie: `berth=berth_${'A'.repeat(43)}` });
      assert.equal(new Set([old, fresh, planted]).size, 3);
      assert.ok(!planted.includes('AAAA'));
    });

    test('changes something only from a page of this Berth', async () => {
      const { cookie } = await signIn();
      const make = (headers: Record<string, string>) =>
        ask('POST', routes.tokens, { cookie, ...headers }, { name: 'made by a page' });
      for (const headers of [
        {},
        { origin: 'https://evil.example' },
        { origin: 'null' },
        { origin: origin.replace(/\d+$/, '1') },
        { origin: origin.replace('http:', 'https:') },
        { origin: `${origin}.evil.example` },
        { origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' },
        { 'sec-fetch-site': 'same-site' },
        { 'sec-fetch-site': 'cross-site' },
        { 'sec-fetch-site': 'none' },
      ] as Record<string, string>[]) {
        const problem = await problemOf(await make(headers), 403);
        assert.equal(problem.code, 'forbidden', JSON.stringify(headers));
        assert.match(problem.cure, /publicUrl/);
      }
      const list = (await (await ask('GET', routes.tokens, { cookie })).json()) as TokenPage;
      assert.ok(!list.items.some(({ name }) => name === 'made by a page'));
      assert.equal((await make({ origin })).status, 201);
      assert.equal((await make({ 'sec-fetch-site': 'same-origin' })).status, 201);
    });

    test('is served at whatever address the browser uses, beside publicUrl', async () => {
      const { cookie } = await signIn();
      const make = (host: string, from: string) =>
        app.inject({
          method: 'POST',
          url: routes.tokens,
          headers: { cookie, host, origin: from },
          payload: { name: 'x' },
        });
      assert.equal((await make('berth.internal:8080', 'http://berth.internal:8080')).statusCode, 201);
      assert.equal((await make('berth.internal:8080', 'http://berth.internal')).statusCode, 403);
      assert.equal((await make('not a host', 'http://not a host')).statusCode, 403);
    });

    test("is not begun by somebody else's page, nor with a form", async () => {
      const { answer, set } = await signIn({ origin: 'https://evil.example' });
      await problemOf(answer, 403);
      assert.equal(set, '');
      const form = await fetch(`${origin}${routes.session}`, {
        method: 'POST',
        headers: { 'content-type': 'text/plain' },
        body: JSON.stringify({ account, password: testPassword }),
      });
      assert.equal(form.status, 415);
    });

    test('ends when it is told to, and the browser forgets it', async () => {
      const { cookie } = await signIn();
      await problemOf(await ask('DELETE', routes.session, { cookie }), 403);
      const answer = await ask('DELETE', routes.session, { cookie, origin });
      assert.equal(answer.status, 204);
      assert.match(answer.headers.get('set-cookie') ?? '', /^berth=; Max-Age=0; Path=\//);
      const problem = await problemOf(await ask('GET', routes.whoami, { cookie }), 401);
      assert.equal(problem.detail, 'The session has ended.');
    });

    test('is what signing out ends; a token that was made by hand stays', async () => {
      const { token } = await plane.account('by-hand');
      const made = await ask(
        'POST',
        routes.tokens,
        { authorization: `Bearer ${token}` },
        { name: 'reader', scopes: ['read'] },
      );
      const authorization = `Bearer ${((await made.json()) as { token: string }).token}`;
      assert.equal((await ask('DELETE', routes.session, { authorization })).status, 204);
      assert.equal((await ask('GET', routes.whoami, { authorization })).status, 200);
    });
  });
}
