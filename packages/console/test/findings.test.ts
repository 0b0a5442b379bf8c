/** What a diagnosis finds is said in Chinese by the same codes, with the same facts and commands as in English. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clientFindings, explain } from '@berth/contract/explain';
import { diagnosisChecks, findings } from '@berth/contract/findings';
import * as zh from '../src/diagnosis/zh-CN.ts';
import type { Words } from '../src/diagnosis/zh-CN.ts';

const lists: [Record<string, Words>, Record<string, Words>][] = [
  [findings, zh.findings],
  [clientFindings, zh.clientFindings],
];
const holes = (text: string | null) => [...(text ?? '').matchAll(/\{\w+\}/g)].map(([hole]) => hole);
/** Such as `berth start`, `ssh-keygen -n`. */
const commands = (text: string | null) =>
  [...(text ?? '').matchAll(/\b(?:berth|ssh-keygen|ssh-add|docker) -?[a-zA-Z-]+/g)].map(
    ([command]) => command,
  );

describe('the words of findings in Chinese', () => {
  test('are there for each code and each look', () => {
    assert.deepEqual(Object.keys(zh.checks), Object.keys(diagnosisChecks));
    for (const [english, chinese] of lists)
      assert.deepEqual(Object.keys(chinese).sort(), Object.keys(english).sort());
  });

  test('tell the same facts, and cure where there is a cure', () => {
    for (const [english, chinese] of lists) {
      for (const [code, words] of Object.entries(chinese)) {
        const { cause, cure } = english[code] as Words;
        assert.deepEqual(holes(words.cause).sort(), holes(cause).sort(), code);
        assert.deepEqual(holes(words.cure).sort(), holes(cure).sort(), code);
        assert.equal(words.cure === null, cure === null, code);
      }
    }
  });

  test('are Chinese, with its marks', () => {
    for (const [, chinese] of lists) {
      for (const [code, { cause, cure }] of Object.entries(chinese)) {
        for (const text of [cause, cure]) {
          if (text === null || holes(text).join('') === text || text.startsWith('chmod')) continue;
          assert.match(text, /\p{Script=Han}/u, code);
          assert.doesNotMatch(text, /\p{Script=Han}[,;:?!]|[,;:?!]\p{Script=Han}/u, code);
        }
      }
    }
  });

  test('name every command that English does', () => {
    for (const [english, chinese] of lists) {
      for (const [code, words] of Object.entries(chinese)) {
        assert.deepEqual(commands(words.cure), commands((english[code] as Words).cure), code);
      }
    }
  });

  test('fit what is explained in a browser', () => {
    const { findings: found } = explain(
      'ssh: connect to host ssh.example.com port 30001: Connection refused',
    );
    assert.deepEqual(
      found.map(({ code }) => code),
      ['refused'],
    );
    assert.ok(zh.clientFindings[found[0]?.code ?? 'silent'].cause.includes('{port}'));
  });
});
