import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clientFindings } from './explain/explain.ts';
import { diagnosisChecks, filled, findings, sentencesOf, verdicts } from './index.ts';
import type { FindingCode } from './index.ts';

const holes = /\{([^}]*)\}/g;

describe('the catalogue of findings', () => {
  const all = [
    ...Object.entries(findings),
    ...Object.entries(clientFindings).map(
      ([code, entry]) => [code, { verdict: 'problem', ...entry }] as const,
    ),
  ] as [string, { verdict: string; cause: string; cure: string | null }][];

  test('says for each what was found, and for each problem what to do', () => {
    for (const [code, { verdict, cause, cure }] of all) {
      assert.match(code, /^[a-z0-9]+(_[a-z0-9]+)*$/);
      assert.ok((verdicts as readonly string[]).includes(verdict), code);
      assert.match(cause, /^[A-Z{].*[.:)}]$/, code);
      if (code === 'logged_in') continue;
      assert.equal(cure === null, verdict === 'ok' || verdict === 'skipped', code);
      if (cure !== null) assert.match(cure, /^[A-Z{c]/, code);
      for (const [, name] of `${cause}${cure ?? ''}`.matchAll(holes))
        assert.match(String(name), /^[a-z_]+$/, code);
    }
  });

  test('has no code twice, in whichever list', () => {
    const codes = all.map(([code]) => code);
    assert.equal(new Set(codes).size, codes.length);
  });

  test('fills each hole, and misses no fact silently', () => {
    for (const code of Object.keys(findings) as FindingCode[]) {
      const { cause, cure } = findings[code];
      const names = [...`${cause}${cure ?? ''}`.matchAll(holes)].map(([, name = '']) => name);
      const facts = Object.fromEntries(names.map((name) => [name, `the ${name}`]));
      const sentences = sentencesOf(code, facts);
      assert.doesNotMatch(`${sentences.cause}${sentences.cure ?? ''}`, /[{}]/);
      if (names.length > 0) assert.throws(() => sentencesOf(code, {}), TypeError);
    }
    assert.equal(filled('{port} is {port}', { port: 22 }), '22 is 22');
    assert.equal(
      filled('{said}', { said: '{port} $& $1' }),
      '{port} $& $1',
      'what is filled in is not read again',
    );
  });

  test('looks in order from the machine to the person', () => {
    const checks = Object.keys(diagnosisChecks);
    assert.equal(checks[0], 'runtime');
    assert.equal(checks.at(-1), 'attempts');
  });
});
