import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { makeEnvironmentId, slug } from './identifier.ts';

const examples: [string, string][] = [
  ['demo', 'demo'],
  ['My Project', 'my-project'],
  ['Ünïcödé', 'unicode'],
  ['ＦＵＬＬ', 'full'],
  ['数据', 'env'],
  ['数据 42', '42'],
  ['🚀', 'env'],
  ['🚀 rocket 🚀', 'rocket'],
  ['---', 'env'],
  ['a--b__c', 'a-b-c'],
  ["x'; drop table environments; --", 'x-drop-table-environment'],
  ['$(reboot)', 'reboot'],
  ['../../etc/passwd', 'etc-passwd'],
  ['a'.repeat(64), 'a'.repeat(24)],
  [`${'a'.repeat(23)} b`, 'a'.repeat(23)],
];

describe('an environment id', () => {
  for (const [name, expected] of examples) {
    test(`of ${JSON.stringify(name)} begins with ${expected}`, () => {
      assert.equal(slug(name), expected);
      assert.match(makeEnvironmentId(name), new RegExp(`^${expected}-[2-9a-z]{4}$`));
    });
  }

  test('is a host name, a container name and a user name, whatever the name is', () => {
    const names = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.string({ unit: 'grapheme', maxLength: 80 }),
      fc.string({ unit: fc.constantFrom('-', ' ', 'a', 'Ä', '9', '🚀', '\u0301'), maxLength: 80 }),
    );
    fc.assert(
      fc.property(names, (name) => {
        const id = makeEnvironmentId(name);
        assert.match(id, /^[a-z0-9][a-z0-9-]*$/);
        assert.doesNotMatch(id, /--/);
        assert.ok(id.length <= 29, `${id} has ${id.length} characters`);
      }),
      { numRuns: 2000 },
    );
  });

  test('differs between environments of one name', () => {
    const ids = new Set(Array.from({ length: 200 }, () => makeEnvironmentId('demo')));
    assert.ok(ids.size > 190, `${ids.size} of 200 differ; the database sees to the rest`);
  });
});
