import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  columnsOf,
  duration,
  jsonText,
  labelled,
  printable,
  printableLines,
  relativeTime,
  table,
} from './text.ts';

const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const anyText = fc.string({ unit: 'binary' });

test('what could move the cursor, hide or reorder text is escaped', () => {
  assert.equal(printable('a\x1b[31mb\x07\r\n\tc'), 'a\\x1b[31mb\\x07\\r\\n\\tc');
  assert.equal(
    printable('\u009b2J \u202egnp.exe \u200b\ud800'),
    '\\x9b2J \\u{202e}gnp.exe \\u{200b}\\u{d800}',
  );
  assert.equal(printable('开发环境 é ✓'), '开发环境 é ✓');
});

test('no text at all stays unsafe', () => {
  fc.assert(fc.property(anyText, (text) => !unsafe.test(printable(text))));
  fc.assert(fc.property(anyText, (text) => !unsafe.test(printableLines(text).replace(/[\n\t]/g, ''))));
});

test('JSON is safe to print and means the same', () => {
  fc.assert(
    fc.property(fc.dictionary(anyText, anyText), fc.constantFrom(0, 2), (document, indent) => {
      const text = jsonText(document, indent);
      assert.ok(!unsafe.test(text.replaceAll('\n', '')));
      assert.equal(JSON.stringify(JSON.parse(text)), JSON.stringify(document));
    }),
  );
});

test('columns align, wide characters count two', () => {
  assert.equal(columnsOf('环境a'), 5);
  const lines = table(
    ['NAME', 'ID'],
    [
      ['环境', 'x'],
      ['demo', 'y'],
    ],
  ).split('\n');
  assert.deepEqual(lines, ['NAME  ID', '环境  x', 'demo  y']);
  assert.equal(
    labelled([
      ['a', '1\n2'],
      ['long', '3'],
    ]),
    '  a     1\n        2\n  long  3',
  );
});

test('times are relative to now', () => {
  const nowMs = Date.parse('2026-02-03T12:00:00.000Z');
  const times = [
    '2026-02-03T11:59:58.000Z',
    '2026-02-03T11:59:20.000Z',
    '2026-02-03T11:57:00.000Z',
    '2026-02-03T02:00:00.000Z',
    '2026-01-30T12:00:00.000Z',
  ];
  assert.deepEqual(
    times.map((time) => relativeTime(time, nowMs)),
    ['just now', '40 s ago', '3 min ago', '10 h ago', '4 d ago'],
  );
  assert.equal(relativeTime(null), '-');
  assert.deepEqual([400, 12_000, 59_700, 200_000].map(duration), [
    '0.4 s',
    '12 s',
    '1 min 0 s',
    '3 min 20 s',
  ]);
});
