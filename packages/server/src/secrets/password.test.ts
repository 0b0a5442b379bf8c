import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { BerthError } from '@berth/contract';
import {
  accountHash,
  accountPasswordMatches,
  cryptHash,
  passwordClasses,
  makePassword,
  passwordFaults,
} from './password.ts';

const usualPolicy = { passwordMinLength: 12, passwordClasses };

describe('a made password', () => {
  const passwords = Array.from({ length: 2000 }, () => makePassword());

  test('has 16 characters, with a capital letter, a small one, a digit and a special one', () => {
    for (const password of passwords) {
      assert.equal(password.length, 16);
      for (const kind of [/[A-Z]/, /[a-z]/, /[0-9]/, /[^A-Za-z0-9]/]) assert.match(password, kind);
    }
  });

  test('holds nothing that looks alike, and nothing that a shell, a URL or a chat would change', () => {
    for (const password of passwords) assert.match(password, /^[A-HJ-NP-Za-km-z2-9\-_=+.,]+$/);
  });

  test('begins and ends so that a double click marks all of it', () => {
    for (const password of passwords) assert.match(password, /^[A-Za-z0-9].*[A-Za-z0-9]$/);
  });

  test('is never the same twice, and uses all its characters', () => {
    assert.equal(new Set(passwords).size, passwords.length);
    assert.equal(new Set(passwords.join('')).size, 24 + 24 + 8 + 6 + 1);
  });

  test('may be longer, and not shorter than 12 characters', () => {
    assert.equal(makePassword(40).length, 40);
    assert.equal(makePassword(12).length, 12);
    assert.throws(() => makePassword(11), RangeError);
  });
});

describe('the hash for a container', () => {
  test("is SHA-512-crypt, as the system's own crypt(3) computes it", () => {
    for (const password of [makePassword(), makePassword(40), 'pässwörd 密码']) {
      const hash = cryptHash(password);
      assert.match(hash, /^\$6\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{86}$/);
      const { stdout } = spawnSync('perl', ['-e', 'print crypt(<STDIN>, $ARGV[0])', hash], {
        input: password,
        encoding: 'utf8',
      });
      assert.equal(stdout, hash);
    }
  });

  test('is salted', () => {
    assert.notEqual(cryptHash('same'), cryptHash('same'));
  });
});

describe('the hash of an account', () => {
  test('matches the password and no other', async () => {
    const hash = await accountHash('correct horse');
    assert.match(hash, /^argon2id\$v=19\$m=19456,t=2,p=1\$/);
    assert.equal(await accountPasswordMatches('correct horse', hash), true);
    for (const wrong of ['correct horsf', 'correct hors', 'correct horse ', 'Correct horse', '']) {
      assert.equal(await accountPasswordMatches(wrong, hash), false, JSON.stringify(wrong));
    }
  });

  test('matches however a keyboard composes the letters', async () => {
    const hash = await accountHash('p\u00e4ss');
    assert.equal(await accountPasswordMatches('pa\u0308ss', hash), true);
  });

  test('that is damaged matches nothing', async () => {
    assert.equal(await accountPasswordMatches('', 'argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ=$'), false);
  });
});

describe('the policy', () => {
  const good = 'Good-Password-1';

  test('is met by every password that Berth makes', () => {
    for (let count = 0; count < 200; count += 1)
      assert.deepEqual(passwordFaults(usualPolicy, makePassword()), []);
  });

  test('names all that is missing', () => {
    assert.deepEqual(passwordFaults(usualPolicy, good), []);
    assert.deepEqual(passwordFaults(usualPolicy, 'short'), [
      'it has 5 of at least 12 characters',
      'it lacks a capital letter',
      'it lacks a digit',
      'it lacks a special character',
    ]);
    assert.deepEqual(passwordFaults({ passwordMinLength: 20, passwordClasses: ['digit'] }, 'x'), [
      'it has 1 of at least 20 characters',
      'it lacks a digit',
    ]);
  });

  test('counts letters of every script, as people do', () => {
    assert.deepEqual(passwordFaults(usualPolicy, 'Ünïcödé-wörd-7'), []);
    assert.deepEqual(passwordFaults({ passwordMinLength: 2, passwordClasses: [] }, 'e\u0301'), [
      'it has 1 of at least 2 characters',
    ]);
    assert.deepEqual(passwordFaults({ passwordMinLength: 1, passwordClasses: ['special'] }, '密码 x'), [
      'it lacks a special character',
    ]);
  });
});

describe('many hashes at once', () => {
  test('wait for each other, and those that are too many are turned away', async () => {
    const results = await Promise.allSettled(Array.from({ length: 106 }, () => accountHash('x')));
    const refused = results.filter(({ status }) => status === 'rejected');
    assert.ok(refused.length > 0 && refused.length <= 6, String(refused.length));
    for (const each of refused) {
      assert.ok(each.status === 'rejected' && each.reason instanceof BerthError);
      assert.equal(each.reason.code, 'unavailable');
    }
  });
});
