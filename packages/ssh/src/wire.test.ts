// The wire types against the examples of RFC 4251 section 5, and against random values and random bytes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Reader, WireError, Writer } from './wire.ts';

const mpintExamples: readonly [bigint, string][] = [
  [0n, '00000000'],
  [0x9a378f9b2e332a7n, '0000000809a378f9b2e332a7'],
  [0x80n, '000000020080'],
  [-0x1234n, '00000002edcc'],
  [-0xdeadbeefn, '00000005ff21524111'],
  [-0x80n, '0000000180'],
  [0x7fn, '000000017f'],
  [-1n, '00000001ff'],
];

test("writes and reads the RFC's examples of numbers", () => {
  for (const [value, hex] of mpintExamples) {
    assert.equal(new Writer().mpint(value).toBuffer().toString('hex'), hex);
    assert.equal(new Reader(Buffer.from(hex, 'hex')).mpint('number'), value);
  }
});

test("writes and reads the RFC's examples of name lists", () => {
  const examples: [string[], string][] = [
    [[], '00000000'],
    [['zlib'], '000000047a6c6962'],
    [['zlib', 'none'], '000000097a6c69622c6e6f6e65'],
  ];
  for (const [names, hex] of examples) {
    assert.equal(new Writer().nameList(names).toBuffer().toString('hex'), hex);
    assert.deepEqual(new Reader(Buffer.from(hex, 'hex')).nameList('names'), names);
  }
});

const name = fc.stringMatching(/^[!-+\--~]{1,64}$/);

test('reads back whatever was written', () => {
  const values = fc.record({
    byte: fc.nat(0xff),
    boolean: fc.boolean(),
    uint32: fc.nat(0xffffffff),
    uint64: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
    string: fc.uint8Array({ maxLength: 1000 }),
    text: fc.string({ unit: 'grapheme' }),
    mpint: fc.bigInt({ min: -(1n << 600n), max: 1n << 600n }),
    names: fc.array(name),
  });
  fc.assert(
    fc.property(values, (value) => {
      const bytes = new Writer()
        .byte(value.byte)
        .boolean(value.boolean)
        .uint32(value.uint32)
        .uint64(value.uint64)
        .string(value.string)
        .string(value.text)
        .mpint(value.mpint)
        .nameList(value.names)
        .toBuffer();
      const reader = new Reader(bytes);
      assert.equal(reader.byte('byte'), value.byte);
      assert.equal(reader.boolean('boolean'), value.boolean);
      assert.equal(reader.uint32('uint32'), value.uint32);
      assert.equal(reader.uint64('uint64'), value.uint64);
      assert.deepEqual(reader.string('string'), Buffer.from(value.string));
      assert.equal(reader.text('text'), value.text);
      assert.equal(reader.mpint('mpint'), value.mpint);
      assert.deepEqual(reader.nameList('names'), value.names);
      reader.end('everything');
    }),
  );
});

test('writes unsigned bytes as the number they are', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const value = BigInt(`0x0${Buffer.from(bytes).toString('hex')}`);
      assert.deepEqual(new Writer().unsignedMpint(bytes).toBuffer(), new Writer().mpint(value).toBuffer());
    }),
  );
});

test('reads a number above zero as bytes, in its one encoding', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(1n << 80n), max: 1n << 80n }), (value) => {
      const reader = new Reader(new Writer().mpint(value).toBuffer());
      if (value <= 0n) assert.throws(() => reader.unsignedMpint('n'), WireError);
      else assert.equal(BigInt(`0x${reader.unsignedMpint('n').toString('hex')}`), value);
    }),
  );
  for (const hex of ['00000000', '0000000100', '00000002007f', '0000000180', '00000003000080']) {
    assert.equal(problem((reader) => reader.unsignedMpint('n'), hex).problem, 'malformed', hex);
  }
});

test('throws only WireError for random bytes, and reads nothing beyond them', () => {
  const methods = [
    'byte',
    'boolean',
    'uint32',
    'uint64',
    'string',
    'text',
    'mpint',
    'unsignedMpint',
    'nameList',
    'end',
  ] as const;
  // Small length fields, or hardly any string would fit.
  const chunk = fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc.nat(12).map((length) => Uint8Array.of(0, 0, 0, length)),
  );
  fc.assert(
    fc.property(fc.array(chunk), fc.array(fc.constantFrom(...methods)), (chunks, calls) => {
      const bytes = Buffer.concat(chunks);
      const reader = new Reader(bytes);
      try {
        for (const call of calls) reader[call]('field');
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
        assert.equal(error.what, 'field');
        assert.ok(error.offset >= 0 && error.offset <= bytes.length);
      }
      assert.ok(reader.remaining >= 0);
    }),
    { numRuns: 1000 },
  );
});

function problem(read: (reader: Reader) => unknown, hex: string): Partial<WireError> {
  try {
    read(new Reader(Buffer.from(hex, 'hex')));
  } catch (error) {
    if (error instanceof WireError) return { what: error.what, offset: error.offset, problem: error.problem };
    throw error;
  }
  return {};
}

test('says what was wrong and where', () => {
  const string = (reader: Reader): void => {
    reader.byte('number');
    reader.string('user name');
  };
  assert.deepEqual(problem(string, '32000000056162'), { what: 'user name', offset: 1, problem: 'truncated' });
  assert.deepEqual(problem(string, '32ffffffff'), { what: 'user name', offset: 1, problem: 'truncated' });
  assert.deepEqual(
    problem((reader) => reader.end('message'), '00'),
    {
      what: 'message',
      offset: 0,
      problem: 'trailing',
    },
  );
});

test('refuses a second encoding of a number, unclean names and bytes that are no text', () => {
  for (const hex of ['0000000100', '0000000200 7f', '00000002ff80']) {
    const { problem: found } = problem((reader) => reader.mpint('n'), hex.replace(' ', ''));
    assert.equal(found, 'malformed', hex);
  }
  for (const list of [',', 'a,', ',a', 'a,,b', 'a b', 'a\n', 'é']) {
    const hex = new Writer().string(list).toBuffer().toString('hex');
    assert.equal(problem((reader) => reader.nameList('n'), hex).problem, 'malformed', list);
  }
  assert.equal(problem((reader) => reader.text('n'), '00000001ff').problem, 'malformed');
});

test('does not write what does not fit', () => {
  const writer = new Writer();
  assert.throws(() => writer.byte(256), RangeError);
  assert.throws(() => writer.uint32(-1), RangeError);
  assert.throws(() => writer.uint32(2 ** 32), RangeError);
  assert.throws(() => writer.uint64(1n << 64n), RangeError);
  assert.throws(() => writer.nameList(['a,b']), RangeError);
  assert.throws(() => writer.nameList(['']), RangeError);
  assert.equal(writer.toBuffer().length, 0);
});
