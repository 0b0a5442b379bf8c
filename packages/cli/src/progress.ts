/**
 * What is being done just now, on stderr: one line that is rewritten while it runs on a terminal, one line a
 * step anywhere else.
 */
import { columnsOf, duration, printable } from './text.ts';

const redrawMs = 500;

interface Output {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

export class Progress {
  readonly #output: Output;
  readonly #startedMs = Date.now();
  #step = '';
  #stepStartedMs = 0;
  #detail = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(output: Output = process.stderr) {
    this.#output = output;
  }

  /** @param detail where in the step it is; shown on a terminal only */
  step(step: string, detail = ''): void {
    this.#detail = detail;
    if (step !== this.#step) {
      this.#step = step;
      this.#stepStartedMs = Date.now();
      if (!this.#output.isTTY) this.#output.write(this.#lineOf(step));
    }
    if (this.#output.isTTY) {
      this.#draw();
      this.#timer ??= setInterval(() => this.#draw(), redrawMs).unref();
    }
  }

  /** Something that stays readable when the step is over. */
  note(text: string): void {
    this.#output.write((this.#output.isTTY ? '\r\x1b[K' : '') + this.#lineOf(text));
    if (this.#timer !== undefined) this.#draw();
  }

  end(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#step = '';
    this.#output.write('\r\x1b[K');
  }

  #lineOf(text: string): string {
    return `${duration(Date.now() - this.#startedMs).padStart(7)}  ${printable(text)}\n`;
  }

  #draw(): void {
    const time = duration(Date.now() - this.#stepStartedMs);
    const room = (this.#output.columns || 80) - time.length - 5;
    let text = '';
    for (const character of printable(this.#detail === '' ? this.#step : `${this.#step}: ${this.#detail}`)) {
      if (columnsOf(text + character) > room) break;
      text += character;
    }
    // The cursor waits at the line's start, so that what others write to the terminal begins there.
    this.#output.write(`\r\x1b[K  ${text}  ${time}\r`);
  }
}
