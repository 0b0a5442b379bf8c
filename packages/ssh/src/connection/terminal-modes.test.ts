// Terminal modes as pty-req carries them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WireError } from '../wire.ts';
import { formatTerminalModes, parseTerminalModes } from './terminal-modes.ts';

test('writes an opcode and a number for each mode, and an end', () => {
  assert.equal(
    formatTerminalModes({ VINTR: 3, ECHO: 1, TTY_OP_OSPEED: 38400 }).toString('hex'),
    '01000000033500000001810000960000',
  );
});

test('reads what it wrote, without what it has no name for', () => {
  const modes = { VINTR: 3, IUTF8: 1, ECHO: 0, CS8: 1, TTY_OP_ISPEED: 9600 };
  const unknown = Buffer.from([88, 0, 0, 0, 1]);
  assert.deepEqual(parseTerminalModes(Buffer.concat([unknown, formatTerminalModes(modes)])), modes);
});

test('stops where it cannot know the length, takes a list without an end, and no number that is cut off', () => {
  assert.deepEqual(parseTerminalModes(Buffer.from([53, 0, 0, 0, 1, 160, 1])), { ECHO: 1 });
  assert.deepEqual(parseTerminalModes(Buffer.from([53, 0, 0, 0, 1])), { ECHO: 1 });
  assert.throws(() => parseTerminalModes(Buffer.from([53, 0, 0])), WireError);
});
