import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { linesOf, messagesOf } from './event-stream.ts';

async function* cut(bytes: Buffer, lengths: number[]): AsyncGenerator<Buffer> {
  let offset = 0;
  for (const length of lengths) {
    yield bytes.subarray(offset, offset + length);
    offset += length;
  }
  yield bytes.subarray(offset);
}

test('messages are the same wherever the network cuts them', async () => {
  const stream = Buffer.from(
    ': hello\n\nid: 1\ndata: {"a":"环境"}\n\nid:2\r\ndata:one\r\ndata: two\r\n\r\nevent: gone\ndata: {}\n\nid: 3\ndata: cut off\n',
  );
  const expected = [
    { id: '1', event: 'message', data: '{"a":"环境"}' },
    { id: '2', event: 'message', data: 'one\ntwo' },
    { id: '2', event: 'gone', data: '{}' },
  ];
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 40 }), async (lengths) => {
      assert.deepEqual(await Array.fromAsync(messagesOf(cut(stream, lengths))), expected);
    }),
  );
});

test('a last line without a line feed counts where it is asked for', async () => {
  const bytes = Buffer.from('a\r\n\nb');
  assert.deepEqual(await Array.fromAsync(linesOf(cut(bytes, [1]))), ['a', '']);
  assert.deepEqual(await Array.fromAsync(linesOf(cut(bytes, [2]), { withRest: true })), ['a', '', 'b']);
});
