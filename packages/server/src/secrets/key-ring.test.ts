import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { KeyRing } from './key-ring.ts';

const root = mkdtempSync(join(tmpdir(), 'berth-key-ring-'));
after(() => rmSync(root, { recursive: true }));

const fresh = () => join(mkdtempSync(join(root, 'case-')), 'secret.key');
const line = (id: string, byte: number) => `${id} ${Buffer.alloc(32, byte).toString('base64')}`;

describe('the key ring', () => {
  test('is made once, for its owner only, and opens again what it sealed', () => {
    const file = fresh();
    const sealed = KeyRing.open(file).seal('s3cret', 'environment-password:demo-7f3k');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.match(readFileSync(file, 'utf8'), /^[0-9a-f]{8} [A-Za-z0-9+/]{43}=\n$/);
    assert.equal(KeyRing.open(file).open(sealed, 'environment-password:demo-7f3k'), 's3cret');
    assert.ok(!sealed.includes('s3cret'));
  });

  test('gives back any text', () => {
    const ring = KeyRing.open(fresh());
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (plain, purpose) => {
        assert.equal(ring.open(ring.seal(plain, purpose), purpose), plain);
      }),
    );
  });

  test('seals the same text differently each time', () => {
    const ring = KeyRing.open(fresh());
    assert.notEqual(ring.seal('a', 'p'), ring.seal('a', 'p'));
  });

  test('refuses a value that was sealed for another purpose', () => {
    const ring = KeyRing.open(fresh());
    const sealed = ring.seal('a', 'environment-password:demo-7f3k');
    assert.throws(
      () => ring.open(sealed, 'environment-password:demo-8888'),
      /for environment-password:demo-8888 does not open/,
    );
  });

  test('refuses a value of which one bit was changed, or that was cut', () => {
    const ring = KeyRing.open(fresh());
    const [id = '', encoded = ''] = ring.seal('a secret', 'p').split('.');
    const body = Buffer.from(encoded, 'base64url');
    for (let bit = 0; bit < body.length * 8; bit += 1) {
      const changed = Buffer.from(body);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      assert.throws(() => ring.open(`${id}.${changed.toString('base64url')}`, 'p'), /does not open/);
    }
    for (let length = 0; length < body.length; length += 1) {
      const cut = body.subarray(0, length).toString('base64url');
      assert.throws(() => ring.open(`${id}.${cut}`, 'p'), /does not open/, `${length} bytes`);
    }
  });

  test('says which key is missing', () => {
    const sealed = KeyRing.open(fresh()).seal('a', 'p');
    const id = sealed.split('.')[0];
    assert.throws(
      () => KeyRing.open(fresh()).open(sealed, 'p'),
      new RegExp(`the key ${id}, which is not in secret.key; put that key back`),
    );
  });

  test('seals with the first line and opens with all of them', () => {
    const file = fresh();
    writeFileSync(file, `${line('aaaaaaaa', 1)}\n`);
    const old = KeyRing.open(file).seal('kept', 'p');
    writeFileSync(file, `${line('bbbbbbbb', 2)}\n${line('aaaaaaaa', 1)}\n`);
    const ring = KeyRing.open(file);
    assert.equal(ring.open(old, 'p'), 'kept');
    assert.match(ring.seal('new', 'p'), /^bbbbbbbb\./);
  });

  test('that is damaged is refused with file and line', () => {
    for (const second of ['', 'aaaaaaa1', 'aaaaaaa1 c2hvcnQ=', `xyz ${line('', 1).trim()}`, '{"key": 1}']) {
      const file = fresh();
      writeFileSync(file, `${line('aaaaaaaa', 1)}\n${second}\n${line('bbbbbbbb', 1)}\n`);
      assert.throws(() => KeyRing.open(file), new RegExp(`${file}, line 2: not a key`));
    }
    const empty = fresh();
    writeFileSync(empty, '\n');
    assert.throws(() => KeyRing.open(empty), /line 1: not a key/);
  });
});
