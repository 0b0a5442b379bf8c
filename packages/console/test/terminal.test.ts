/** How the terminals of a page lie, and what is pasted into them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  activate,
  addTab,
  allPanes,
  readLayout,
  remove,
  replace,
  resize,
  showBeside,
  split,
} from '../src/pages/terminal/layout.ts';
import type { Layout } from '../src/pages/terminal/layout.ts';
import { linesIn, pastable } from '../src/pages/terminal/paste.ts';

const none: Layout = { tabs: [], shown: '' };
const one = addTab(none, 'aaaaaaaa');

describe('the layout of terminals', () => {
  test('splits beside and below, and gives the room back', () => {
    const beside = split(one, 'aaaaaaaa', 'row', 'bbbbbbbb');
    const three = split(beside, 'aaaaaaaa', 'row', 'cccccccc');
    assert.deepEqual(three.tabs[0]?.root, {
      split: 'row',
      parts: [{ pane: 'aaaaaaaa' }, { pane: 'cccccccc' }, { pane: 'bbbbbbbb' }],
      sizes: [25, 25, 50],
    });
    assert.equal(three.tabs[0]?.active, 'cccccccc');
    const below = split(three, 'bbbbbbbb', 'column', 'dddddddd');
    assert.deepEqual(allPanes(below), ['aaaaaaaa', 'cccccccc', 'bbbbbbbb', 'dddddddd']);
    const back = remove(remove(below, 'dddddddd'), 'cccccccc');
    assert.deepEqual(back.tabs[0]?.root, {
      split: 'row',
      parts: [{ pane: 'aaaaaaaa' }, { pane: 'bbbbbbbb' }],
      sizes: [100 / 3, 200 / 3],
    });
    assert.deepEqual(remove(back, 'bbbbbbbb').tabs[0]?.root, { pane: 'aaaaaaaa' });
    assert.deepEqual(remove(remove(back, 'bbbbbbbb'), 'aaaaaaaa'), none);
  });

  test('shows the tab beside the one that goes, and goes around the end', () => {
    const tabs = addTab(addTab(one, 'bbbbbbbb'), 'cccccccc');
    assert.equal(showBeside(tabs, 1).shown, 'aaaaaaaa');
    assert.equal(showBeside(showBeside(tabs, 1), -1).shown, 'cccccccc');
    assert.equal(remove(tabs, 'cccccccc').shown, 'bbbbbbbb');
    assert.equal(remove(activate(tabs, 'aaaaaaaa'), 'aaaaaaaa').shown, 'bbbbbbbb');
    assert.equal(activate(tabs, 'cccccccc'), tabs, 'nothing has changed');
  });

  test('replaces one where it stands, and keeps the sizes that a person chose', () => {
    const sized = resize(split(one, 'aaaaaaaa', 'row', 'bbbbbbbb'), 'aaaaaaaa', [], [30, 70]);
    assert.deepEqual(replace(sized, 'bbbbbbbb', 'cccccccc').tabs[0], {
      id: 'aaaaaaaa',
      root: { split: 'row', parts: [{ pane: 'aaaaaaaa' }, { pane: 'cccccccc' }], sizes: [30, 70] },
      active: 'cccccccc',
    });
  });

  test('is read from what was written, and from nothing else', () => {
    const written = JSON.stringify(split(one, 'aaaaaaaa', 'column', 'bbbbbbbb'));
    assert.deepEqual(readLayout(written), JSON.parse(written));
    for (const strange of [
      null,
      '',
      'null',
      '{}',
      '{"tabs":[],"shown":""}',
      written.replaceAll('bbbbbbbb', 'aaaaaaaa'),
      written.replaceAll('bbbbbbbb', '../../x'),
      written.replace('"shown":"aaaaaaaa"', '"shown":"zzzzzzzz"'),
    ])
      assert.equal(readLayout(strange), null, String(strange));
  });
});

describe('what is pasted', () => {
  test('is counted in lines; a break at its end begins no other', () => {
    for (const [text, lines] of [
      ['one', 1],
      ['one\n', 1],
      ['one\r\ntwo', 2],
      ['one\rtwo\r', 2],
      ['\n\n', 2],
    ] as const)
      assert.equal(linesIn(text), lines, JSON.stringify(text));
  });

  test('loses whatever a terminal would take for more than text', () => {
    assert.equal(pastable('a\tb\r\nc漢字😀'), 'a\tb\r\nc漢字😀');
    assert.equal(pastable('\u001b[201~rm -rf /\u0003\u009b31m\u0000\u007f'), '[201~rm -rf /31m');
  });
});
