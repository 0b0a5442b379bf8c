/** What the server says, in Chinese: the sentences are still its own, and are found in what it says. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { inOtherWords } from '../src/i18n/sentences.ts';
import { serverSentences } from '../src/i18n/zh-CN/server-sentences.ts';

const packages = join(import.meta.dirname, '../..');
const holesOf = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '').sort();
const inChinese = (text: string) => inOtherWords(text, serverSentences);

describe("the server's sentences in Chinese", () => {
  test('are sentences that the server says', () => {
    const sources = globSync(['server/src/**/*.ts', 'contract/src/*.ts'], { cwd: packages })
      .filter((file) => !/\.test\.ts$|\/testing\//.test(file))
      .map((file) => readFileSync(join(packages, file), 'utf8'))
      .join('\n')
      .replaceAll("\\'", "'");
    const strange: string[] = [];
    for (const [english] of serverSentences) {
      // Some are put together from parts, so four of its words in a row will do.
      const runs = english.split(/\{\w+\}|(?<=\.) |(?<=asked: )/).flatMap((part) => {
        const words = part
          .replace(/[.,;:)("]+$/, '')
          .trim()
          .split(' ');
        const length = Math.min(4, words.length);
        return words
          .slice(0, words.length - length + 1)
          .map((_, at) => words.slice(at, at + length).join(' '));
      });
      const isSaid = runs.some((run) => /[A-Za-z]{3}/.test(run) && sources.includes(run));
      if (!isSaid) strange.push(english);
    }
    assert.deepEqual(strange, []);
  });

  test('use every hole, and each English one once only', () => {
    for (const [english, chinese] of serverSentences) {
      for (const hole of holesOf(chinese)) assert.ok(holesOf(english).includes(hole), english);
      assert.match(chinese, /\p{Script=Han}/u, english);
    }
    assert.equal(new Set(serverSentences.map(([english]) => english)).size, serverSentences.length);
  });

  test('are found alone, with values, and one after the other', () => {
    assert.equal(inChinese('Starting its container.'), '启动容器。');
    assert.equal(inChinese('admin asked for it.'), 'admin 请求创建。');
    assert.equal(inChinese('admin asked: start.'), 'admin 请求启动。');
    assert.equal(inChinese('Running: ssh answered after 2.1 s.'), '运行中：2.1 秒后 SSH 就绪。');
    assert.equal(
      inChinese(
        'The image a/b:1 is not on this host and cannot be pulled (no such host). Check its reference, or bring it with "docker pull" or "docker load". Nothing was left behind.',
      ),
      '本机没有镜像 a/b:1，且无法拉取（no such host）。请检查镜像引用，或用 "docker pull"、"docker load" 导入。没有遗留任何内容。',
    );
  });

  test('leave what they do not know as it is', () => {
    assert.equal(inChinese('Something new happened.'), 'Something new happened.');
    assert.equal(
      inChinese('Starting its container. Something new happened.'),
      '启动容器。 Something new happened.',
    );
    assert.equal(inChinese(''), '');
    assert.equal(inChinese('a (b [c'), 'a (b [c');
  });
});
