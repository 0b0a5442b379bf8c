import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { commandReference } from './describe.ts';

test('docs/command.md is what the command says of itself', () => {
  const file = new URL('../../../docs/command.md', import.meta.url);
  assert.equal(readFileSync(file, 'utf8'), commandReference(), 'make it anew with: npm run docs');
});
