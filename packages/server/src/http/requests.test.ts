/** What is not a good request is refused in words that say which field, what it is and what is allowed; never with 500. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Problem } from '@berth/contract';
import { routes } from '@berth/contract';
import fc from 'fast-check';
import { databases } from '../../../../test/harness/databases.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { makeApp } from './app.ts';
import type { App } from './app.ts';

const environments = routes.environments;

/** Bodies of POST /api/environments that are refused: the status, the field and words of the answer. */
const badBodies: [what: string, body: unknown, field: string, said: RegExp][] = [
  ['no name', {}, 'name', /^name: is missing\.$/],
  ['an empty name', { name: '' }, 'name', /^name: is "" and must NOT have fewer than 1 characters\.$/],
  ['a name of spaces', { name: '   ' }, 'name', /^name: must hold more than spaces\.$/],
  ['a name of 65 letters', { name: 'a'.repeat(65) }, 'name', /must NOT have more than 64 characters/],
  ['a huge name', { name: 'a'.repeat(100_000) }, 'name', /^name: is "aaaaa.*\.\.\. and must NOT have more/],
  ['a number as name', { name: 42 }, 'name', /^name: is 42 and must be a string\.$/],
  ['null as name', { name: null }, 'name', /^name: is null and must be a string\.$/],
  ['a list as name', { name: ['a'] }, 'name', /^name: is \["a"\] and must be a string\.$/],
  ['a map as name', { name: { $gt: '' } }, 'name', /must be a string/],
  ['a zero byte in the name', { name: 'a\u0000b' }, 'name', /holds a character that is not allowed/],
  ['a line break in the name', { name: 'a\nb' }, 'name', /holds a character that is not allowed/],
  ['a terminal escape in the name', { name: '\u001b[31mred' }, 'name', /holds a character/],
  ['a C1 control in the name', { name: 'a\u009bb' }, 'name', /holds a character/],
  ['a bidi override in the name', { name: 'a\u202egpj.exe' }, 'name', /holds a character/],
  ['a bidi isolate in the name', { name: 'a\u2066b' }, 'name', /holds a character/],
  ['a zero width space in the name', { name: 'a\u200bb' }, 'name', /holds a character/],
  ['a byte order mark in the name', { name: '\ufeffa' }, 'name', /holds a character/],
  ['a slash in the name', { name: '../../etc/passwd' }, 'name', /holds a character/],
  ['a backslash in the name', { name: '..\\windows' }, 'name', /holds a character/],
  ['an unknown field', { name: 'a', nmae: 'b' }, 'nmae', /^nmae: is not a field that is known here\.$/],
  ['a field of the answer', { name: 'a', status: 'running' }, 'status', /is not a field/],
  ['a text as customer', { name: 'a', customer_id: '1' }, 'customer_id', /is "1" and must be an integer/],
  ['customer 0', { name: 'a', customer_id: 0 }, 'customer_id', /is 0 and must be >= 1/],
  ['a text as data sets', { name: 'a', datasets: 'x' }, 'datasets', /is "x" and must be an array/],
  ['a path as data set', { name: 'a', datasets: ['../x'] }, 'datasets.0', /holds a character/],
  ['a data set twice', { name: 'a', datasets: ['x', 'x'] }, 'datasets', /must NOT have duplicate items/],
  ['a list as variables', { name: 'a', env_vars: ['A=b'] }, 'env_vars', /^env_vars: must be an object\.$/],
  [
    'a number as variable',
    { name: 'a', env_vars: { A: 1 } },
    'env_vars.A',
    /^env_vars.A: must be a string\.$/,
  ],
  ['a variable without a name', { name: 'a', env_vars: { '': 'x' } }, 'env_vars.', /is not a field/],
  [
    'a variable with a strange name',
    { name: 'a', env_vars: { 'A B': '' } },
    'env_vars.A B',
    /is not a field/,
  ],
  ["a variable of Berth's", { name: 'a', env_vars: { BERTH_X: '' } }, 'env_vars.BERTH_X', /is not a field/],
  ["a variable of the shell's", { name: 'a', env_vars: { UID: '0' } }, 'env_vars.UID', /is not a field/],
  ['a zero byte in a variable', { name: 'a', env_vars: { A: 'b\u0000' } }, 'env_vars.A', /holds a character/],
  [
    'a long variable',
    { name: 'a', env_vars: { A: 'geheim'.repeat(1400) } },
    'env_vars.A',
    /^env_vars\.A: must NOT have more than 8192 characters\.$/,
  ],
  [
    'many variables',
    { name: 'a', env_vars: Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`A${i}`, ''])) },
    'env_vars',
    /must NOT have more than 100 properties/,
  ],
  [
    'long variables',
    {
      name: 'a',
      env_vars: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`A${i}`, 'x'.repeat(8000)])),
    },
    'env_vars',
    /^env_vars: are 136\d\d\d bytes together; at most 131072/,
  ],
  ['a path as kept files', { name: 'a', adopt_storage: '../x' }, 'adopt_storage', /holds a character/],
  ['an unknown resource', { name: 'a', resources: { disk: 1 } }, 'resources.disk', /is not a field/],
  ['no map of resources', { name: 'a', resources: 4 }, 'resources', /is 4 and must be an object/],
  ['null as resources', { name: 'a', resources: null }, 'resources', /is null and must be an object/],
  ['a text as cpu', { name: 'a', resources: { cpu: '2' } }, 'resources.cpu', /is "2" and must be a number/],
  ['NaN as cpu', { name: 'a', resources: { cpu: 'NaN' } }, 'resources.cpu', /is "NaN" and must be a number/],
  ['no cpu', { name: 'a', resources: { cpu: 0 } }, 'resources.cpu', /is 0 and must be >= 0\.1/],
  ['negative cpu', { name: 'a', resources: { cpu: -1 } }, 'resources.cpu', /is -1 and must be >= 0\.1/],
  ['a huge cpu', { name: 'a', resources: { cpu: 1e308 } }, 'resources.cpu', /must be <= 1024/],
  ['no memory', { name: 'a', resources: { memory: 0 } }, 'resources.memory', /must be >= 0\.125/],
  ['a text as memory', { name: 'a', resources: { memory: '4G' } }, 'resources.memory', /must be a number/],
  ['half a gpu', { name: 'a', resources: { gpu: 0.5 } }, 'resources.gpu', /is 0\.5 and must be an integer/],
  ['negative gpus', { name: 'a', resources: { gpu: -1 } }, 'resources.gpu', /must be >= 0/],
  ['65 gpus', { name: 'a', resources: { gpu: 65 } }, 'resources.gpu', /must be <= 64/],
  ['no storage', { name: 'a', resources: { storage: 0 } }, 'resources.storage', /must be >= 0\.1/],
  ['true as storage', { name: 'a', resources: { storage: true } }, 'resources.storage', /must be a number/],
  [
    'an unknown wish for a port',
    { name: 'a', own_port: 'maybe' },
    'own_port',
    /^own_port: is "maybe" and must be one of "auto", "yes", "no"\.$/,
  ],
  ['true as wish for a port', { name: 'a', own_port: true }, 'own_port', /is true and must be/],
  ['a port number', { name: 'a', own_port: 22 }, 'own_port', /is 22 and must be/],
  ['a text as sudo', { name: 'a', sudo: 'false' }, 'sudo', /is "false" and must be a boolean/],
  ['one as sudo', { name: 'a', sudo: 1 }, 'sudo', /is 1 and must be a boolean/],
  ['a number as image', { name: 'a', image: 1 }, 'image', /is 1 and must be a string/],
  ['a zero byte in the image', { name: 'a', image: 'default\u0000' }, 'image', /holds a character/],
  ['an empty image', { name: 'a', image: '' }, 'image', /must NOT have fewer than 1/],
  ['a list', [], 'body', /^body: is \[\] and must be an object\.$/],
  ['a text', '"name"', 'body', /must be an object/],
  ['a number', '1', 'body', /must be an object/],
  ['null', 'null', 'body', /must be an object/],
];

/** Bodies that are no JSON, or not sent as JSON. */
const badForms: [
  what: string,
  type: string | undefined,
  body: string | Buffer,
  status: number,
  code: string,
][] = [
  ['truncated JSON', 'application/json', '{"name": "a', 400, 'bad_request'],
  ['two documents', 'application/json', '{"name": "a"}{}', 400, 'bad_request'],
  ['a comma too many', 'application/json', '{"name": "a",}', 400, 'bad_request'],
  ['single quotes', 'application/json', "{'name': 'a'}", 400, 'bad_request'],
  ['NaN', 'application/json', '{"name": "a", "resources": {"cpu": NaN}}', 400, 'bad_request'],
  ['a prototype', 'application/json', '{"name": "a", "__proto__": {"role": "admin"}}', 400, 'bad_request'],
  [
    'a constructor',
    'application/json',
    '{"name": "a", "constructor": {"prototype": {}}}',
    400,
    'bad_request',
  ],
  ['bytes that are no text', 'application/json', Buffer.from([0xff, 0xfe, 0x00]), 400, 'bad_request'],
  ['a form', 'application/x-www-form-urlencoded', 'name=a', 415, 'unsupported_media_type'],
  ['plain text', 'text/plain', '{"name": "a"}', 415, 'unsupported_media_type'],
  ['XML', 'application/xml', '<name>a</name>', 415, 'unsupported_media_type'],
  ['no content type', undefined, '{"name": "a"}', 415, 'unsupported_media_type'],
  ['two megabytes', 'application/json', `{"name": "${'a'.repeat(2 * 1024 * 1024)}"}`, 413, 'too_large'],
  ['nothing', 'application/json', '', 400, 'bad_request'],
  [
    'a nesting of 100,000 lists',
    'application/json',
    `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    400,
    'bad_request',
  ],
];

/** As pages.ts makes them. */
function cursor(...values: (string | number)[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url');
}

/** Addresses that are refused or not there. */
const badAddresses: [url: string, status: number, field?: string][] = [
  [`${environments}?limit=0`, 400, 'limit'],
  [`${environments}?limit=-1`, 400, 'limit'],
  [`${environments}?limit=1001`, 400, 'limit'],
  [`${environments}?limit=1.5`, 400, 'limit'],
  [`${environments}?limit=NaN`, 400, 'limit'],
  [`${environments}?limit=ten`, 400, 'limit'],
  [`${environments}?limit=1&limit=2`, 400, 'limit'],
  [`${environments}?offset=1`, 400, 'offset'],
  [`${environments}?status=gone`, 400, 'status'],
  [`${environments}?status=deleted`, 400, 'status'],
  [`${environments}?cursor=`, 400, 'cursor'],
  [`${environments}?cursor=garbage`, 400, 'cursor'],
  [`${environments}?cursor=${cursor("1' or 1=1 --")}`, 400, 'cursor'],
  [`${environments}?cursor=${cursor('-created_at', '9'.repeat(19), 'a-2222')}`, 400, 'cursor'],
  [`${environments}?cursor=${cursor('-created_at', "1' or 1=1 --", 'a-2222')}`, 400, 'cursor'],
  [`${environments}?cursor=${cursor('created_at', '1', 'a-2222')}`, 400, 'cursor'],
  [`${environments}?sort=name&cursor=${cursor('-created_at', '1', 'a-2222')}`, 400, 'cursor'],
  [`${environments}?sort=name&cursor=${cursor('name', 'a\u0000', 'a-2222')}`, 400],
  [`${environments}?cursor=${'a'.repeat(501)}`, 400, 'cursor'],
  [`${environments}?sort=id`, 400, 'sort'],
  [`${environments}?sort=--name`, 400, 'sort'],
  [`${environments}?customer_id=0`, 400, 'customer_id'],
  [`${environments}?customer_id=2147483648`, 400, 'customer_id'],
  [`${environments}?search=${'a'.repeat(65)}`, 400, 'search'],
  [`${routes.keptStorage}?cursor=abc`, 400, 'cursor'],
  [`${routes.keptStorage}?limit=0`, 400, 'limit'],
  [`${environments}?name=${'a'.repeat(65)}`, 400, 'name'],
  [`${environments}?name=%00`, 400],
  [`${environments}/UPPER`, 400, 'id'],
  [`${environments}/a`, 400, 'id'],
  [`${environments}/-demo`, 400, 'id'],
  [`${environments}/..%2f..%2fetc%2fpasswd`, 400, 'id'],
  [`${environments}/%00`, 400, 'id'],
  [`${environments}/demo%0a2222`, 400, 'id'],
  [`${environments}/${'a'.repeat(42)}`, 400, 'id'],
  [`${environments}/${'a'.repeat(300)}`, 400, 'id'],
  [`${environments}/${'a'.repeat(10_000)}`, 400, 'id'],
  [`${environments}/none-2222`, 404],
  [`${environments}/none-2222/ssh`, 404],
  [`${environments}/none-2222/events`, 404],
  [`${environments}/none-2222/nowhere`, 404],
  [`${environments}/%zz`, 400, 'id'],
  [`${environments}/%ff`, 400, 'id'],
  ['/%zz', 404],
  ['/%', 404],
  ['/nowhere', 404],
  ['//api/environments', 404],
  ['/api/environments/', 400, 'id'],
  ['/../../etc/passwd', 404],
  [`${routes.ports}?cursor=-1`, 400, 'cursor'],
  [`${routes.ports}?cursor=abc`, 400, 'cursor'],
  [`${routes.ports}?cursor=${cursor(1e300, 1)}`, 400, 'cursor'],
  [`${routes.ports}?sort=status`, 400, 'sort'],
  [`${routes.ports}?status=resting`, 400, 'status'],
  ['/jupyter/none-2222', 404],
];

/** Odd but right: these are answered as what they are. */
const goodAddresses: string[] = [
  `${environments}?name=%ff%fe`,
  `${environments}?name=' or '1'='1`,
  `${environments}?name=%25`,
  `${environments}?name=%zz`,
  `${environments}?name=`,
  `${environments}?cursor=${cursor('-created_at', '9'.repeat(18), 'zz-2222')}`,
  `${environments}?cursor=${cursor('-created_at', '0', 'a')}`,
  `${environments}?sort=started_at&cursor=${cursor('started_at', '9'.repeat(18), 'zz-2222')}`,
  `${environments}?sort=-name&cursor=${cursor('-name', "' or '1'='1", '')}`,
  `${environments}?search=%25_%5C'`,
  `${routes.keptStorage}?search=' or '1'='1`,
  `${environments}?limit=1000`,
  `${routes.ports}?cursor=${cursor(999999999999999, 999999999999999)}`,
  `${routes.ports}?sort=external_port&cursor=${cursor(2147483648, -1)}`,
];

const peculiarNames = [
  "Robert'); DROP TABLE environments;--",
  '$(reboot) `reboot` ; reboot & | > < *',
  '" or ""="',
  '%s %n %x {{7*7}} ${7*7} <%= 7*7 %>',
  '<script>alert(1)</script>'.replace('/', ''),
  '🚀 数据 Ünïcödé',
  'e\u0301 combining',
  '-rf',
  '--help',
  '.',
  '..',
  'null',
  'undefined',
  '__proto__',
  'constructor',
  '\ud800 half a character',
  'a'.repeat(64),
  '  spaces around  ',
];

for (const on of databases) {
  describe(`a request on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let alice: Account;
    before(async () => {
      plane = await ControlPlane.open(on);
      app = await makeApp(plane.services);
      alice = await plane.account('alice');
    });
    after(async () => {
      await app.close();
      await plane.close();
    });

    const get = (url: string) => app.inject({ url, headers: { authorization: `Bearer ${alice.token}` } });
    const post = (
      payload: string | Buffer,
      type: string | undefined = 'application/json',
      url: string = environments,
    ) =>
      app.inject({
        method: 'POST',
        url,
        headers: {
          authorization: `Bearer ${alice.token}`,
          ...(type === undefined ? {} : { 'content-type': type }),
        },
        payload,
      });
    const problem = (answer: Awaited<ReturnType<typeof get>>, status: number): Problem => {
      assert.equal(answer.statusCode, status, answer.body.slice(0, 500));
      assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
      assert.equal(answer.headers['x-content-type-options'], 'nosniff');
      const document = answer.json<Problem>();
      for (const field of ['type', 'title', 'code', 'detail', 'cure'] as const)
        assert.ok(typeof document[field] === 'string' && document[field] !== '', field);
      assert.equal(document.status, status);
      assert.ok(answer.body.length < 2000, 'it does not repeat what was sent');
      return document;
    };

    for (const [what, body, field, said] of badBodies) {
      test(`with ${what} is refused, with the field, its value and what is allowed`, async () => {
        const answer = await post(typeof body === 'string' ? body : JSON.stringify(body));
        const { code, detail, field: named } = problem(answer, 400);
        assert.equal(code, 'bad_request');
        assert.match(detail, said);
        assert.equal(named, field);
      });
    }

    for (const [what, type, body, status, code] of badForms) {
      test(`that is ${what} is refused`, async () => {
        const answer = await app.inject({
          method: 'POST',
          url: environments,
          headers: {
            authorization: `Bearer ${alice.token}`,
            ...(type === undefined ? {} : { 'content-type': type }),
          },
          payload: Buffer.from(body),
        });
        assert.equal(problem(answer, status).code, code);
      });
    }

    for (const [url, status, field] of badAddresses) {
      test(`of ${url.length > 90 ? `${url.slice(0, 87)}...` : url} is answered with ${status}`, async () => {
        const document = problem(await get(url), status);
        if (field !== undefined) {
          assert.equal(document.field, field);
          assert.match(document.detail, new RegExp(`^${field}: `));
        }
      });
    }

    for (const url of goodAddresses) {
      test(`of ${url} is answered`, async () => {
        const answer = await get(url);
        assert.equal(answer.statusCode, 200, answer.body);
      });
    }

    test('for the timeline after an event that cannot be is refused or empty', async () => {
      const { env_id: id } = await plane.create({ name: 'timeline' }, plane.services, alice.principal);
      for (const after of ['9007199254740991', '1e300', '99999999999999999999', '-1', 'x', '1.5']) {
        const answer = await get(`${environments}/${id}/events?after=${after}`);
        if (answer.statusCode === 200) assert.deepEqual(answer.json<{ items: unknown[] }>().items, []);
        else assert.equal(problem(answer, 400).field, 'after');
      }
    });

    test('for an image that is not there names those that are', async () => {
      for (const image of ['nope', "default' --", '../default']) {
        const answer = await post(JSON.stringify({ name: 'a', image }));
        const { code, detail } = problem(answer, 422);
        assert.equal(code, 'unknown_image');
        assert.match(detail, /there are: default\.$/);
      }
    });

    test('with a peculiar name is kept as it is', async () => {
      for (const name of peculiarNames) {
        const answer = await post(JSON.stringify({ name }));
        assert.equal(answer.statusCode, 202, `${JSON.stringify(name)}: ${answer.body}`);
        const created = answer.json<{ env_id: string; name: string }>();
        const kept = name.normalize('NFC').trim().toWellFormed();
        const shown = (await get(`${environments}/${created.env_id}`)).json<{ name: string }>();
        assert.equal(shown.name, kept);
        assert.match(created.env_id, /^[a-z0-9][a-z0-9-]{1,28}$/);
        const found = (await get(`${environments}?name=${encodeURIComponent(kept)}`)).json<{
          items: { env_id: string }[];
        }>();
        assert.deepEqual(
          found.items.map(({ env_id }) => env_id),
          [created.env_id],
        );
      }
    });

    test('with any JSON in it is accepted or refused, never an error of ours', async () => {
      const anything = fc.record(
        {
          name: fc.oneof(fc.string({ unit: 'binary', maxLength: 70 }), fc.jsonValue()),
          image: fc.oneof(fc.constant('default'), fc.jsonValue()),
          resources: fc.oneof(
            fc.record({ cpu: fc.double(), memory: fc.double(), gpu: fc.integer() }, { requiredKeys: [] }),
            fc.jsonValue(),
          ),
          own_port: fc.oneof(fc.constantFrom('auto', 'no'), fc.jsonValue()),
          sudo: fc.oneof(fc.boolean(), fc.jsonValue()),
        },
        { requiredKeys: ['name'] },
      );
      await fc.assert(
        fc.asyncProperty(anything, async (body) => {
          const { statusCode, body: text } = await post(JSON.stringify(body));
          assert.ok([202, 400, 409, 422].includes(statusCode), text);
        }),
        { numRuns: 150 },
      );
    });

    test("for another customer's environment is a thing of administrators", async () => {
      const answer = await post('{"name": "a", "customer_id": 2147483647}');
      const { code, field } = problem(answer, 403);
      assert.deepEqual([code, field], ['forbidden', 'customer_id']);
    });

    test('for something with a name that is taken names the holder', async () => {
      const first = (await post('{"name": "twice"}')).json<{ env_id: string }>();
      const { code, detail, field } = problem(await post('{"name": " twice "}'), 409);
      assert.equal(code, 'name_taken');
      assert.equal(field, 'name');
      assert.ok(detail.includes(first.env_id));
    });

    test('by an unknown method is answered with a problem document', async () => {
      for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const) {
        const answer = await app.inject({ method, url: environments });
        assert.ok([404, 405].includes(answer.statusCode), `${method}: ${answer.statusCode}`);
        problem(answer, answer.statusCode);
      }
    });

    test('is stated to be for nothing when it needs no body', async () => {
      const { env_id: id } = await plane.create({ name: 'empty-body' }, plane.services, alice.principal);
      const answer = await post('', 'application/json', `${environments}/${id}/stop`);
      assert.equal(answer.statusCode, 202, answer.body);
    });
  });
}
