/** Every string stands in both languages, and none in the pages themselves. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseSync } from 'vite';
import { first as firstEn } from '../src/i18n/en/first.ts';
import { later as laterEn } from '../src/i18n/en/later.ts';
import { first as firstZh } from '../src/i18n/zh-CN/first.ts';
import { later as laterZh } from '../src/i18n/zh-CN/later.ts';

const source = join(import.meta.dirname, '../src');

type Strings = { [key: string]: string | Strings };

function flat(strings: object, path = ''): [key: string, text: string][] {
  return Object.entries(strings as Strings).flatMap(([key, value]) =>
    typeof value === 'string' ? [[`${path}${key}`, value]] : flat(value, `${path}${key}.`),
  );
}

const en = new Map(flat({ ...firstEn, ...laterEn }));
const zh = new Map(flat({ ...firstZh, ...laterZh }));
const placeholders = (text = '') => [...text.matchAll(/\{\{(\w+)\}\}|<(\w+)>/g)].map(([all]) => all).sort();

describe('the strings', () => {
  test('are there in English and in Chinese', () => {
    assert.ok(en.size > 100);
    const needed = [...en.keys()].filter((key) => !key.endsWith('_one'));
    assert.deepEqual([...zh.keys()].sort(), needed.sort());
    for (const key of en.keys())
      if (key.endsWith('_one')) assert.ok(en.has(key.replace(/_one$/, '_other')), key);
  });

  test('take the same values in both', () => {
    for (const [key, text] of zh) assert.deepEqual(placeholders(text), placeholders(en.get(key)), key);
  });

  test('are written in their language', () => {
    for (const [key, text] of en) assert.doesNotMatch(text, /[\p{Script=Han}，。：；？！]/u, key);
    // Without a Chinese character there are units, names and abbreviations only, or what is the same in both.
    const words = [...zh].filter(
      ([key, text]) =>
        !/\p{Script=Han}/u.test(text) &&
        /[a-z]{3}/.test(text.replaceAll(/\{\{\w+\}\}/g, '')) &&
        en.get(key) !== text,
    );
    assert.deepEqual(words, []);
    for (const [key, text] of zh)
      assert.doesNotMatch(text, /\p{Script=Han}[,;:?!]|[,;:?!]\p{Script=Han}/u, `${key} has a Western mark`);
    for (const [key, text] of [...en, ...zh]) assert.notEqual(text.trim(), '', key);
  });

  test('are all used', () => {
    const code = globSync('**/*.{ts,tsx}', { cwd: source })
      .filter((file) => !file.startsWith('i18n/'))
      .map((file) => readFileSync(join(source, file), 'utf8'))
      .join('\n');
    const used = [
      ...code.matchAll(/(?:\bt\(\s*|i18nKey=|\bkey(?:of)?: )(['"`])([\w.-]+(?:\$\{[^`]*?\}[\w.-]*)*)\1/g),
    ].map(
      ([, , key = '']) =>
        new RegExp(`^${key.replaceAll('.', '\\.').replaceAll(/\$\{.*?\}/g, '[^.]+')}(_one|_other)?$`),
    );
    const unused = [...en.keys()].filter((key) => !used.some((pattern) => pattern.test(key)));
    assert.deepEqual(unused, []);
  });
});

/** Attributes that people read or hear. */
const spoken = new Set([
  'label',
  'title',
  'placeholder',
  'description',
  'alt',
  'aria-label',
  'error',
  'header',
]);

interface Node {
  type: string;
  [part: string]: unknown;
}

function* walk(node: unknown): Generator<Node> {
  if (Array.isArray(node)) {
    for (const each of node) yield* walk(each);
  } else if (node !== null && typeof node === 'object' && 'type' in node) {
    yield node as Node;
    for (const part of Object.values(node)) yield* walk(part);
  }
}

/** Words that a person would read: text between tags, and literals in what is shown. */
function literalsOf(file: string, code: string): string[] {
  const { program, errors } = parseSync(file, code);
  assert.deepEqual(errors, [], file);
  const found: string[] = [];
  const note = (node: Node, text: string) => {
    if (/\p{L}/u.test(text))
      found.push(`${file}:${code.slice(0, node['start'] as number).split('\n').length}: ${text.trim()}`);
  };
  const noteLiterals = (expression: unknown) => {
    for (const each of shownBy(expression as Node)) note(each, textOf(each));
  };
  for (const node of walk(program)) {
    if (node.type === 'JSXText') note(node, String(node['value']));
    if (node.type === 'JSXElement' || node.type === 'JSXFragment')
      for (const child of node['children'] as Node[])
        if (child.type === 'JSXExpressionContainer') noteLiterals(child['expression']);
    if (node.type === 'JSXAttribute' && spoken.has((node['name'] as { name: string }).name)) {
      const value = node['value'] as Node | null;
      if (value?.type === 'Literal') note(value, String(value['value']));
      if (value?.type === 'JSXExpressionContainer') noteLiterals(value['expression']);
    }
  }
  return found;
}

/** What an expression may show by itself: literals in both arms of a choice, not those inside of calls. */
function* shownBy(node: Node): Generator<Node> {
  if (node.type === 'Literal' && typeof node['value'] === 'string') yield node;
  if (node.type === 'TemplateLiteral') yield node;
  if (node.type === 'ConditionalExpression') {
    yield* shownBy(node['consequent'] as Node);
    yield* shownBy(node['alternate'] as Node);
  }
  if (node.type === 'LogicalExpression') {
    yield* shownBy(node['left'] as Node);
    yield* shownBy(node['right'] as Node);
  }
  if (node.type === 'BinaryExpression' && node['operator'] === '+') {
    yield* shownBy(node['left'] as Node);
    yield* shownBy(node['right'] as Node);
  }
}

function textOf(node: Node): string {
  if (node.type === 'Literal') return String(node['value']);
  return (node['quasis'] as { value: { cooked: string } }[]).map(({ value }) => value.cooked).join('');
}

describe('the pages', () => {
  /** Signs on keys, which are the same in each language. */
  const allowed = /shell\/shell\.tsx:\d+: (⌘ K|Ctrl K)$|terminal\/key-bar\.tsx:\d+: Ctrl$/;

  test('hold no literal that a person reads', () => {
    const files = globSync('**/*.tsx', { cwd: source });
    assert.ok(files.length > 20);
    const found = files.flatMap((file) => literalsOf(file, readFileSync(join(source, file), 'utf8')));
    assert.deepEqual(
      found.filter((each) => !allowed.test(each)),
      [],
    );
  });

  test('would be caught with one', () => {
    for (const code of [
      'export const A = () => <p>Hello</p>;',
      'export const A = () => <p>{"Hello"}</p>;',
      'export const A = () => <p>{a ? `Hello ${b}` : null}</p>;',
      'export const A = () => <p>{a && "Hello"}</p>;',
      'export const A = () => <input aria-label="Hello" />;',
      'export const A = () => <input placeholder={a ?? "Hello"} />;',
    ])
      assert.equal(literalsOf('a.tsx', code).length, 1, code);
    for (const code of [
      'export const A = () => <p className="hello">{t("a.b")}{" · "}{`${a}:${b}`}</p>;',
      'export const A = () => <p>{a === "x" ? 1 : 2}</p>;',
    ])
      assert.deepEqual(literalsOf('a.tsx', code), [], code);
  });

  test('write numbers and moments by the language that is shown', () => {
    for (const file of globSync('**/*.{ts,tsx}', { cwd: source })) {
      if (file === 'i18n/format.ts') continue;
      const code = readFileSync(join(source, file), 'utf8');
      assert.doesNotMatch(code, /\.toLocale(Date|Time)?String\(|new Intl\.|\.toFixed\(/, file);
    }
  });
});
