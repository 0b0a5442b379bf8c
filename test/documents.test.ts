/** Documentation that is made from the program is that of this program. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { generatedPages } from '../docs/generate.ts';

const docs = join(dirname(dirname(fileURLToPath(import.meta.url))), 'docs');

test('the generated pages are up to date', async () => {
  for (const [name, text] of Object.entries(await generatedPages())) {
    assert.equal(readFileSync(join(docs, name), 'utf8'), text, `docs/${name} is old; run: npm run docs`);
  }
});
