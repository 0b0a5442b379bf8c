/** The API's description in OpenAPI 3.1: whole, and without anything secret in it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { makeApp } from './app.ts';
import type { App } from './app.ts';

interface Operation {
  summary?: string;
  tags?: string[];
  parameters?: { name: string; in: string; required?: boolean; schema: object }[];
  requestBody?: { content: Record<string, { schema: object }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>;
}

interface Description {
  openapi: string;
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { securitySchemes: Record<string, { type: string; scheme: string }> };
  security: Record<string, string[]>[];
}

/** Not part of the API: its own documents, and the page that sends people to SSH. */
const hidden: string[] = [routes.openapi, routes.docs, routes.devicePage, routes.jupyter];

describe("the API's description", () => {
  let plane: ControlPlane;
  let app: App;
  let description: Description;
  let text: string;
  before(async () => {
    const [on] = databases;
    assert.ok(on);
    plane = await ControlPlane.open(on);
    app = await makeApp(plane.services);
    const answer = await app.inject({ url: routes.openapi });
    assert.equal(answer.statusCode, 200);
    assert.match(String(answer.headers['content-type']), /^application\/json/);
    text = answer.body;
    description = answer.json<Description>();
  });
  after(async () => {
    await app.close();
    await plane.close();
  });

  const operations = () =>
    Object.entries(description.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
    );

  test('is OpenAPI 3.1 with a title, a version and the bearer token', () => {
    assert.match(description.openapi, /^3\.1\.\d+$/);
    assert.equal(description.info.title, 'Berth');
    assert.match(description.info.version, /^\d+\.\d+\.\d+/);
    assert.deepEqual(description.components.securitySchemes['token'], { type: 'http', scheme: 'bearer' });
    assert.deepEqual(description.security, [{ token: [] }]);
  });

  test('has each route of the contract', () => {
    for (const template of Object.values(routes)) {
      if (hidden.includes(template)) continue;
      const path = template.replace(/:([a-z]+)/g, '{$1}');
      assert.ok(description.paths[path], `${path} is missing`);
    }
  });

  test('has a summary, a tag and answers with a description for each operation', () => {
    assert.ok(operations().length > 15);
    for (const { path, method, operation } of operations()) {
      const name = `${method} ${path}`;
      assert.ok(operation.summary, name);
      assert.ok(operation.tags?.length === 1, name);
      assert.ok(
        Object.keys(operation.responses).some((status) => /^2\d\d$/.test(status)),
        name,
      );
      for (const { description: said } of Object.values(operation.responses)) assert.ok(said, name);
    }
  });

  test('declares each parameter of a path, and that it is needed', () => {
    for (const { path, method, operation } of operations()) {
      const inPath = [...path.matchAll(/\{([a-z]+)\}/g)].map((match) => match[1]);
      const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      assert.deepEqual(
        declared.map(({ name }) => name),
        inPath,
        `${method} ${path}`,
      );
      assert.ok(declared.every(({ required }) => required === true));
    }
  });

  test('refers to nothing that is not there', () => {
    for (const [, pointer = ''] of text.matchAll(/"\$ref":\s*"#\/([^"]+)"/g)) {
      let place: unknown = description;
      for (const part of pointer.split('/')) place = (place as Record<string, unknown>)[part];
      assert.notEqual(place, undefined, pointer);
    }
  });

  test('describes what is sent and what comes back', () => {
    const create = description.paths[routes.environments]?.['post'];
    const sent = create?.requestBody?.content['application/json']?.schema as {
      required: string[];
      additionalProperties: boolean;
    };
    assert.deepEqual(sent.required, ['name']);
    assert.equal(sent.additionalProperties, false);
    const made = create?.responses['202']?.content?.['application/json']?.schema as {
      properties: object;
    };
    assert.ok('ssh_password' in made.properties);
  });

  test('holds no example, no default and no text that looks like a secret', () => {
    assert.doesNotMatch(text, /"examples?":/);
    assert.doesNotMatch(text, /berth_[A-Za-z0-9_-]{43}/);
    assert.doesNotMatch(text, /PRIVATE KEY|\$6\$|argon2id/);
    assert.doesNotMatch(text, /"default":\s*"(?!-?[a-z_]+")[^"]{9,}"/);
    assert.ok(!text.includes(plane.folder));
  });
});
