/** What a browser has to fetch before the first page is there: the code and styles of that page, and the fonts of its text. */
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { ensureConsole } from '../build.ts';

interface Chunk {
  file: string;
  isEntry?: true;
  imports?: string[];
  css?: string[];
  assets?: string[];
}

const dist = join(import.meta.dirname, '../dist');
const longestBytes = 250 * 1024;

before(() => ensureConsole(() => undefined));

/** Gzipped bytes of these entries and all that they load with them; fonts are compressed already. */
function weightOf(...entries: string[]): { bytes: number; files: string[] } {
  const manifest = JSON.parse(readFileSync(join(dist, 'manifest.json'), 'utf8')) as Record<string, Chunk>;
  const files = new Set<string>();
  const seen = new Set<string>();
  const add = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    const chunk = manifest[name];
    assert.ok(chunk, `${name} is in the bundle`);
    for (const file of [chunk.file, ...(chunk.css ?? []), ...(chunk.assets ?? [])]) files.add(file);
    for (const each of chunk.imports ?? []) add(each);
  };
  for (const entry of entries) add(entry);
  let bytes = 0;
  for (const file of files)
    bytes += statSync(join(dist, /\.(js|css)$/.test(file) ? `${file}.gz` : file)).size;
  return { bytes, files: [...files] };
}

const firstPages = {
  'the sign-in': ['src/pages/sign-in/sign-in.tsx'],
  'the list of environments': ['src/shell/shell.tsx', 'src/pages/environments/list.tsx'],
};

for (const language of ['en', 'zh-CN'])
  for (const [page, parts] of Object.entries(firstPages))
    test(`the first load of ${page} in ${language} is at most 250 KB gzipped`, (t) => {
      const { bytes, files } = weightOf('index.html', `src/i18n/${language}/first.ts`, ...parts);
      t.diagnostic(`${(bytes / 1024).toFixed(1)} KB gzipped, fonts included`);
      assert.ok(files.some((file) => file.endsWith('.woff2')) && files.some((file) => file.endsWith('.css')));
      assert.ok(bytes <= longestBytes, `${bytes} bytes: ${files.join(', ')}`);
    });
