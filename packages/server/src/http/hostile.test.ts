/**
 * Texts that have broken other programs, in every place of every route that takes a text: the answer is right or says
 * what is wrong, names the field, and is never a server error. The places come from the API's own description, so a
 * new route is tried as well.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Problem } from '@berth/contract';
import { errorCatalogue, routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { makeApp } from './app.ts';
import type { App } from './app.ts';

const hostile: Record<string, string> = {
  SQL: "'; drop table environments; select pg_sleep(10); --",
  'a SQL comment': "admin'/**/or/**/1=1#",
  shell: '$(reboot)`id`;id|id&&id>/tmp/x\\',
  'an option': '--privileged',
  YAML: '!!python/object/apply:os.system ["id"]\n- &a *a',
  'a path': '../../../../etc/passwd',
  'an encoded path': '..%2f..%2fetc%2fpasswd%00.png',
  template: '{{constructor.constructor("return process")()}}${7*7}#{7*7}',
  markup: '"><img src=x onerror=alert(1)>',
  'header lines': 'a\r\nset-cookie: a=b\r\n\r\n<html>',
  'a terminal escape': '\u001b]0;owned\u0007\u001b[2J',
  'a zero character': 'a\u0000b',
  'half a character': 'a\ud800b',
  'reversed text': 'a\u202egnp.exe',
  'emoji and combining marks': 'Z\u0351\u036b\u0343a\u0315\u035clgo \u{1f469}\u200d\u{1f4bb}',
  'a prototype': '__proto__',
  'a format': '%s%n%x%p%99999d',
  'a number': '1e309',
  nothing: '',
  spaces: ' \t ',
  length: 'a'.repeat(20_000),
};

interface Schema {
  type?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  anyOf?: Schema[];
  enum?: string[];
  $ref?: string;
}

interface Operation {
  requestBody?: { content?: Record<string, { schema: Schema }> };
  parameters?: { name: string; in: string; schema: Schema }[];
}

/** Each place of a body that takes a text, with a body around it that is as plain as its schema allows. */
function placesIn(schema: Schema, resolve: (schema: Schema) => Schema): { path: string[]; body: object }[] {
  const places: { path: string[]; body: object }[] = [];
  const root = resolve(schema);
  const plain = (each: Schema): unknown => {
    const found = resolve(each);
    if (found.enum) return found.enum[0];
    if (found.anyOf) return plain(found.anyOf[0] ?? {});
    if (found.type === 'object') return {};
    if (found.type === 'array') return [];
    if (found.type === 'boolean') return true;
    return found.type === 'string' ? 'plain' : 1;
  };
  const takesText = (each: Schema): boolean => {
    const found = resolve(each);
    return found.type === 'string' || (found.anyOf?.some(takesText) ?? false);
  };
  for (const [name, property] of Object.entries(root.properties ?? {})) {
    const required = Object.fromEntries(
      ((root as { required?: string[] }).required ?? []).map((each) => [
        each,
        plain(root.properties?.[each] ?? {}),
      ]),
    );
    if (takesText(property)) places.push({ path: [name], body: required });
    else if (resolve(property).type === 'array' && takesText(resolve(property).items ?? {}))
      places.push({ path: [name, '0'], body: { ...required, [name]: [] } });
  }
  return places;
}

for (const on of databases) {
  describe(`hostile texts on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let headers: Record<string, string>;

    before(async () => {
      plane = await ControlPlane.open(on);
      app = await makeApp(plane.services);
      const { token } = await plane.account('alice', 'admin');
      headers = { authorization: `Bearer ${token}` };
    });
    after(async () => {
      await app.close();
      await plane.close();
    });

    const mustBeAnswered = (answer: Awaited<ReturnType<App['inject']>>, what: string) => {
      assert.ok(answer.statusCode < 500, `${what}: ${answer.statusCode} ${answer.body.slice(0, 300)}`);
      if (answer.statusCode < 400) return;
      const problem = answer.json<Problem>();
      assert.ok(problem.code in errorCatalogue, what);
      assert.ok(problem.cure.length > 5, what);
      if (problem.code === 'bad_request')
        assert.notEqual(problem.field, undefined, `${what}: ${answer.body}`);
      assert.ok(answer.body.length < 3000, `${what}: it repeats what was sent`);
    };

    test('in every field, query and path break nothing', async (context) => {
      const description = app.swagger() as unknown as {
        paths: Record<string, Record<string, Operation>>;
        components?: { schemas?: Record<string, Schema> };
      };
      const resolve = (schema: Schema): Schema =>
        schema.$ref
          ? (description.components?.schemas?.[schema.$ref.split('/').at(-1) ?? ''] ?? schema)
          : schema;
      let tried = 0;
      for (const [path, operations] of Object.entries(description.paths)) {
        // A backup is no JSON, and has tests of its own.
        if (path === routes.restore) continue;
        for (const [method, { requestBody, parameters = [] }] of Object.entries(operations)) {
          const schema = requestBody?.content?.['application/json']?.schema;
          const address = path.replace(/\{\w+\}/g, '1');
          for (const [kind, text] of Object.entries(hostile)) {
            for (const { path: place, body } of schema ? placesIn(schema, resolve) : []) {
              const [name = '', index] = place;
              const payload = { ...body, [name]: index === undefined ? text : [text] };
              const answer = await app.inject({ method: method as 'POST', url: address, headers, payload });
              mustBeAnswered(answer, `${method} ${path} with ${kind} as ${name}`);
              tried += 1;
            }
            for (const { name, in: where } of parameters) {
              const value = encodeURIComponent(text.toWellFormed());
              const others = where === 'header' ? { ...headers, [name]: value } : headers;
              const url =
                where === 'path'
                  ? path.replace(`{${name}}`, value).replace(/\{\w+\}/g, '1')
                  : where === 'header'
                    ? address
                    : `${address}?${name}=${value}`;
              const answer = await app.inject({ method: method as 'GET', url, headers: others });
              mustBeAnswered(answer, `${method} ${path} with ${kind} as ${name}`);
              tried += 1;
            }
          }
        }
      }
      context.diagnostic(`${tried} requests`);
      assert.ok(tried > 500);
      // Among them is one that signs out.
      const { token } = await plane.account('bob');
      const after = await app.inject({
        url: routes.environments,
        headers: { authorization: `Bearer ${token}` },
      });
      assert.equal(after.statusCode, 200);
    });
  });
}
