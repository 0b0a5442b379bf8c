/** The keeper of sessions (image/berth-session.c) and what the server says to it: the real program, without a container. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../../../../test/harness/ssh.ts';
import { KeeperError, KeeperReader, toKeeper } from './keeper.ts';
import type { KeeperWord } from './keeper.ts';

const source = fileURLToPath(new URL('../../../../../image/berth-session.c', import.meta.url));
const compiler = 'cc';
const skip = spawnSync(compiler, ['--version']).status === 0 ? false : 'needs a C compiler (package gcc)';
const ringBytes = 4 * 1024 * 1024;
const leadBytes = 1024 * 1024;

describe('the keeper of a session', { skip }, () => {
  let folder: string;
  let program: string;
  const attached: Attacher[] = [];
  const sessions: string[] = [];

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-keeper-'));
    program = join(folder, 'berth-session');
    execFileSync(compiler, ['-Wall', '-Wextra', '-Werror', '-O2', '-o', program, source]);
    // A shell that says nothing of its own.
    writeFileSync(join(folder, '.profile'), "PS1='$ '\n");
    writeFileSync(join(folder, '.hushlogin'), '');
  });
  after(() => {
    for (const each of attached) each.cut();
    for (const id of sessions) spawnSync(program, ['end', id]);
    rmSync(folder, { recursive: true, force: true });
  });

  const variables = () => ({ PATH: process.env['PATH'] ?? '', HOME: folder, SHELL: '/bin/sh' });
  const newId = () => {
    const id = randomBytes(8).toString('hex');
    sessions.push(id);
    return id;
  };
  const attach = (
    id: string,
    options: { from?: number; writer?: string; size?: [number, number]; isNew?: boolean } = {},
  ) => {
    const { from = 0, writer = randomBytes(8).toString('hex'), size = [80, 24], isNew = true } = options;
    const words = ['attach', id, '--size', size.join('x'), '--client', '192.0.2.7 4000'];
    const child = spawn(program, isNew ? [...words, '--new'] : words, { env: variables() });
    const attacher = new Attacher(child, from);
    child.stdin.write(toKeeper.attach({ from, columns: size[0], rows: size[1], writer }));
    attached.push(attacher);
    return attacher;
  };
  const list = () =>
    JSON.parse(
      spawnSync(program, ['list'], { env: variables() }).stdout.toString().replace('\0berth-session 1\n', ''),
    ) as { session: string; attached: number; command: string; folder: string; ended: boolean }[];

  it('gives a login shell on a terminal of that size, and says how it ended', async () => {
    const first = attach(newId(), { size: [101, 31] });
    first.type('stty size; echo "$0 $TERM $BERTH_CLIENT $SHLVL"; exit 7\n');
    await first.says(/31 101/);
    await first.says(/-sh xterm-256color 192\.0\.2\.7 4000/);
    assert.deepEqual(await first.word('exit'), { type: 'exit', status: 7, signal: null });
  });

  it('says by which signal a shell ended', async () => {
    const first = attach(newId());
    first.type('kill -9 $$\n');
    assert.deepEqual(await first.word('exit'), { type: 'exit', status: null, signal: 9 });
  });

  it('keeps the session when everybody is gone, with what was said meanwhile', async () => {
    const id = newId();
    const first = attach(id);
    first.type('echo begun; (sleep 0.3; echo meanwhile) &\n');
    await first.says(/begun\r\n/);
    first.cut();
    await pause(600);
    const again = attach(id, { isNew: false });
    await again.says(/begun\r\n[^]*meanwhile/);
    assert.equal(again.welcome.hasGap, false);
    assert.equal(again.welcome.offset, 0);
  });

  it('loses and doubles nothing in either direction, however often the connection is cut', async () => {
    const id = newId();
    const writer = randomBytes(8).toString('hex');
    const lines = 60_000;
    // What is typed ahead would be echoed into the middle of the lines.
    const typed = `stty -echo; echo; seq 1 ${lines}; ${Array.from({ length: 200 }, (_, index) => `: ${index}`).join('; ')}; cat > typed\n`;
    const pasted = Array.from({ length: 3000 }, (_, index) => `line ${index} of what was pasted\n`).join('');
    const input = Buffer.from(`${typed}${pasted}\x04`);
    let output = Buffer.alloc(0);
    let isOver = false;
    for (let cuts = 0; !isOver; cuts += 1) {
      const attacher = attach(id, { from: output.length, writer, isNew: cuts === 0 });
      await attacher.word('welcome');
      assert.equal(attacher.welcome.offset, output.length);
      attacher.typeFrom(input, attacher.welcome.taken);
      if (cuts < 20) await pause(Math.random() * 40);
      else {
        await eventually(
          () => readFileSync(join(folder, 'typed'), 'utf8'),
          (text) => text.length >= pasted.length,
          20_000,
        );
        isOver = true;
      }
      attacher.cut();
      output = Buffer.concat([output, attacher.taken]);
    }
    assert.equal(readFileSync(join(folder, 'typed'), 'utf8'), pasted);
    const counted = output.toString().match(/^\d+(?=\r$)/gm) ?? [];
    assert.equal(counted.length, lines);
    assert.ok(counted.every((line, index) => Number(line) === index + 1));
  });

  it('holds the program for whoever does not keep up, and lets it run when nobody is there', async () => {
    const id = newId();
    const slow = attach(id);
    slow.acknowledges = false;
    slow.type('head -c 3000000 /dev/zero | tr "\\0" x; touch done\n');
    await eventually(
      () => slow.taken.length,
      (length) => length >= leadBytes,
    );
    await pause(300);
    assert.ok(slow.taken.length <= leadBytes + 4096, `${slow.taken.length} bytes`);
    slow.acknowledge();
    await eventually(
      () => slow.taken.length,
      (length) => length >= 3_000_000,
    );
    slow.leave();
    const other = attach(id, { from: slow.offset, isNew: false });
    other.type('rm -f finished; (seq 1 2000000; touch finished)\n');
    await other.says(/\r\n5\r\n/);
    other.leave();
    await eventually(
      () => existsIn(folder, 'finished'),
      (exists) => exists,
      20_000,
    );
  });

  it('holds the program for a moment for whoever was cut off', async () => {
    const id = newId();
    const writer = randomBytes(8).toString('hex');
    const first = attach(id, { writer });
    first.type('seq 1 1000000\n');
    await first.says(/\r\n1000\r\n/);
    first.cut();
    await pause(500);
    const again = attach(id, { from: first.offset, writer, isNew: false });
    await again.word('welcome');
    assert.deepEqual([again.welcome.hasGap, again.welcome.offset], [false, first.offset]);
    await again.says(/\r\n1000000\r\n/, 20_000);
  });

  it('tells whoever comes too late, and begins again at the end of a line, in the modes that hold there', async () => {
    const id = newId();
    const first = attach(id);
    first.type("printf '\\033[?1049h\\033[?2004;1h\\033[?25l'; seq 1 1500000; echo over\n");
    await first.says(/\r\nover\r\n/, 20_000);
    const late = attach(id, { from: 5, isNew: false });
    await late.word('welcome');
    assert.ok(late.welcome.hasGap);
    assert.ok(late.welcome.offset > 5);
    for (const mode of ['\x1b[?1049h', '\x1b[?2004h', '\x1b[?1h', '\x1b[?25l'])
      assert.ok(late.welcome.modes.includes(mode), JSON.stringify(late.welcome.modes));
    await late.says(/\r\nover\r\n/);
    assert.match(late.taken.subarray(0, 20).toString(), /^\d+\r\n\d+\r\n/);
    assert.ok(late.taken.length <= ringBytes && late.taken.length > ringBytes - 256 * 1024);
  });

  it('shows everybody the same, and tells of a size that somebody else chose', async () => {
    const id = newId();
    const one = attach(id, { size: [80, 24] });
    await one.says(/\$ /);
    const two = attach(id, { size: [120, 40], isNew: false });
    assert.deepEqual(await one.word('size'), { type: 'size', columns: 120, rows: 40 });
    two.type('echo "from $((1 + 1))"\n');
    await one.says(/from 2/);
    await two.says(/from 2/);
  });

  it('is listed with what runs and where, and ends when it is told to', async () => {
    const id = newId();
    const first = attach(id);
    first.type('mkdir -p "a \\"b\\""; cd "a \\"b\\""; exec sleep 100\n');
    const row = await eventually(
      () => list().find(({ session }) => session === id),
      (found) => found?.command === 'sleep',
    );
    assert.equal(row?.folder, join(folder, 'a "b"'));
    assert.equal(row?.attached, 1);
    assert.equal(spawnSync(program, ['end', id]).status, 0);
    assert.deepEqual(await first.word('exit'), { type: 'exit', status: null, signal: 1 });
    assert.equal(
      list().find(({ session }) => session === id),
      undefined,
    );
  });

  it('keeps the end of a session until somebody has seen it', async () => {
    const id = newId();
    const first = attach(id);
    await first.says(/\$ /);
    first.type('sleep 0.2; echo last words; exit 3\n');
    await first.says(/sleep/);
    first.cut();
    await eventually(
      () => list().find(({ session }) => session === id)?.ended,
      (ended) => ended === true,
    );
    const again = attach(id, { isNew: false });
    await again.says(/last words/);
    assert.deepEqual(await again.word('exit'), { type: 'exit', status: 3, signal: null });
    again.leave();
    await eventually(
      () => list().some(({ session }) => session === id),
      (exists) => !exists,
    );
    assert.deepEqual(await attach(id, { isNew: false }).word('failed'), { type: 'failed', why: 'gone' });
  });

  it('outlives no shell when the container ends', async () => {
    const id = newId();
    const first = attach(id);
    await first.says(/\$ /);
    first.type('echo "shell $$ keeper $PPID."\n');
    await first.says(/shell \d+ keeper \d+\./);
    const [, shell, keeper] = /shell (\d+) keeper (\d+)\./.exec(first.taken.toString()) ?? [];
    first.cut();
    process.kill(Number(keeper), 'SIGTERM');
    await pause(200);
    assert.ok(
      list().some(({ session }) => session === id),
      'its shell may still save its work',
    );
    process.kill(Number(shell), 'SIGHUP');
    await eventually(
      () => list().some(({ session }) => session === id),
      (exists) => !exists,
      3000,
    );
  });

  it('is one session when two begin it at the same time', async () => {
    const id = newId();
    const both = [attach(id), attach(id)];
    for (const each of both) await each.word('welcome');
    assert.equal(list().filter(({ session }) => session === id).length, 1);
  });

  it('lets nobody in who sends what is not the protocol', async () => {
    const id = newId();
    const first = attach(id);
    await first.word('welcome');
    const child = spawn(program, ['attach', id], { env: variables() });
    child.stdin.write(Buffer.from('IIIIIIIIII'));
    await once(child, 'exit');
    const flood = attach(id, { isNew: false });
    await flood.word('welcome');
    first.type('exec sleep 100\n');
    await pause(200);
    for (let count = 0; count < 4; count += 1) flood.send(toKeeper.input(Buffer.alloc(60_000, 0x61)));
    await flood.ended;
    assert.ok(list().some(({ session }) => session === id));
  });
});

describe('what a keeper says', () => {
  it('is read however it is cut into pieces, after what start-up files print', () => {
    const said = Buffer.concat([
      Buffer.from('welcome to this machine\n\0berth-session 1\n'),
      Buffer.from('O\0\0\0\x03abc'),
      Buffer.from('S\0\0\0\x04\0\x50\0\x18'),
      Buffer.from('F\0\0\0\x04many'),
    ]);
    for (const size of [1, 2, 7, said.length]) {
      const reader = new KeeperReader();
      const words: KeeperWord[] = [];
      for (let at = 0; at < said.length; at += size) words.push(...reader.read(said.subarray(at, at + size)));
      assert.deepEqual(words, [
        { type: 'output', bytes: Buffer.from('abc') },
        { type: 'size', columns: 80, rows: 24 },
        { type: 'failed', why: 'many' },
      ]);
    }
  });

  it('is refused where it is too long, too short, of no known type, or does not begin', () => {
    const after = (frame: string) => Buffer.from(`\0berth-session 1\n${frame}`, 'latin1');
    for (const strange of [
      after('O\xff\xff\xff\xff'),
      after('T\0\0\0\x01x'),
      after('T\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xff'),
      after('Q\0\0\0\0'),
      Buffer.alloc(70_000, 0x41),
    ])
      assert.throws(() => [...new KeeperReader().read(strange)], KeeperError);
  });
});

function existsIn(folder: string, name: string): boolean {
  return spawnSync('test', ['-e', join(folder, name)]).status === 0;
}

/** One end of a connection to a keeper, as a browser would be. */
class Attacher {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #reader = new KeeperReader();
  readonly #words: KeeperWord[] = [];
  readonly #parts: Buffer[] = [];
  readonly #from: number;
  readonly ended: Promise<unknown>;
  #length = 0;
  #stirred = () => {};
  #isCut = false;
  #input: { bytes: Buffer; sent: number } | null = null;
  acknowledges = true;

  constructor(child: ChildProcessWithoutNullStreams, from: number) {
    this.#child = child;
    this.#from = from;
    this.ended = once(child, 'exit');
    child.stdin.on('error', () => {});
    child.stdout.on('data', (chunk: Buffer) => {
      if (this.#isCut) return;
      for (const word of this.#reader.read(chunk)) this.#take(word);
      this.#stirred();
    });
  }

  #take(word: KeeperWord): void {
    if (word.type !== 'output') this.#words.push(word);
    else {
      this.#parts.push(Buffer.from(word.bytes));
      this.#length += word.bytes.length;
      if (this.acknowledges) this.send(toKeeper.acknowledge(this.offset));
    }
    if (word.type === 'taken') this.#sendInput(word.taken);
  }

  get welcome(): Extract<KeeperWord, { type: 'welcome' }> {
    const found = this.#words.find((word) => word.type === 'welcome');
    if (found === undefined) throw new Error('it did not say so yet');
    return found;
  }

  get taken(): Buffer {
    return Buffer.concat(this.#parts);
  }

  /** Of what comes next. */
  get offset(): number {
    const start = this.#words.find((word) => word.type === 'welcome');
    return (start?.offset ?? this.#from) + this.#length;
  }

  send(frame: Buffer): void {
    this.#child.stdin.write(frame);
  }

  type(text: string): void {
    this.send(toKeeper.input(Buffer.from(text)));
  }

  /** Types all that was not taken yet, as fast as it is taken. */
  typeFrom(bytes: Buffer, taken: number): void {
    this.#input = { bytes, sent: taken };
    this.#sendInput(taken);
  }

  #sendInput(taken: number): void {
    const input = this.#input;
    if (input === null) return;
    const until = Math.min(input.bytes.length, taken + 64 * 1024);
    if (until <= input.sent) return;
    this.send(toKeeper.input(input.bytes.subarray(input.sent, until)));
    input.sent = until;
  }

  /** From now on all of it. */
  acknowledge(): void {
    this.acknowledges = true;
    this.send(toKeeper.acknowledge(this.offset));
  }

  cut(): void {
    this.#isCut = true;
    this.#child.kill('SIGKILL');
  }

  leave(): void {
    this.send(toKeeper.leave());
  }

  async says(pattern: RegExp, withinMs = 5000): Promise<void> {
    await this.#until(() => pattern.test(this.taken.toString()), withinMs, String(pattern));
  }

  async word<T extends KeeperWord['type']>(type: T): Promise<Extract<KeeperWord, { type: T }>> {
    const find = () => this.#words.find((word) => word.type === type);
    await this.#until(() => find() !== undefined, 8000, type);
    return find() as Extract<KeeperWord, { type: T }>;
  }

  async #until(isThere: () => boolean, withinMs: number, what: string): Promise<void> {
    const deadline = Date.now() + withinMs;
    while (!isThere()) {
      const leftMs = deadline - Date.now();
      if (leftMs <= 0)
        throw new Error(`no ${what}: ${JSON.stringify(this.#words)} ${this.taken.toString().slice(-500)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(leftMs, 100));
        this.#stirred = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}
