import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Progress } from './progress.ts';

class Output {
  text = '';
  isTTY: boolean;
  columns = 40;
  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }
  write(text: string): void {
    this.text += text;
  }
}

test('without a terminal each step is one line', () => {
  const output = new Output(false);
  const progress = new Progress(output);
  progress.step('making volumes', 'first');
  progress.step('making volumes', 'second');
  progress.note('a port\x07 rests');
  progress.step('starting');
  progress.end();
  assert.match(
    output.text,
    /^ +\d+\.\d s  making volumes\n +\d+\.\d s  a port\\x07 rests\n +\d+\.\d s  starting\n$/,
  );
});

test('on a terminal one line is rewritten, fits its width and is cleared', (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'Date'] });
  const output = new Output(true);
  const progress = new Progress(output);
  progress.step('pulling', 'x'.repeat(200));
  t.mock.timers.tick(2_000);
  progress.end();
  const drawn = output.text.split('\r\x1b[K');
  assert.ok(
    drawn.every((line) => line.trimEnd().length < 40 && !line.includes('\n')),
    output.text,
  );
  assert.match(drawn.at(-2) ?? '', /^  pulling: x+  2\.0 s\r$/);
  assert.equal(drawn.at(-1), '');
});

test('a terminal that does not know its width is taken for one of 80 columns', () => {
  const output = new Output(true);
  output.columns = 0;
  const progress = new Progress(output);
  progress.step('starting');
  progress.end();
  assert.match(output.text, /  starting  0\.0 s/);
});
