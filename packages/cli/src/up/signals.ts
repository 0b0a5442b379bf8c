/** Signals to `berth up` and `berth gateway`: how they end, and how workers are replaced. */
import { say } from '../session.ts';

/** npm and a shell pass one Ctrl-C on besides the terminal; only a later one is a second one. */
const sameInterruptMs = 700;

/**
 * The first Ctrl-C or SIGTERM ends in good order; a second Ctrl-C does not wait. SIGHUP replaces the gateway's workers,
 * unless it means that the terminal is gone.
 */
export function onSignals(parts: { end(): void; endAtOnce(): void; reload(): Promise<void> }): void {
  let firstMs: number | undefined;
  const pass = (signal: NodeJS.Signals) => {
    if (firstMs === undefined) {
      firstMs = Date.now();
      parts.end();
    } else if (signal === 'SIGINT' && Date.now() - firstMs > sameInterruptMs) {
      parts.endAtOnce();
    }
  };
  const hasTerminal = process.stdin.isTTY || process.stderr.isTTY;
  process.on('SIGINT', pass);
  process.on('SIGTERM', pass);
  process.on('SIGHUP', () => {
    if (hasTerminal) return pass('SIGHUP');
    parts.reload().then(
      () => say('berth: the gateway has new workers'),
      (error: Error) => say(`berth: ${error.message}`),
    );
  });
}
