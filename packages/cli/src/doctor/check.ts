/** One look of `berth doctor`: what it found, and what to do about it. */
import { CommandFailure, sentenceOf } from '../failure.ts';

export type Result = 'ok' | 'warning' | 'failed' | 'skipped';

export interface Check {
  name: string;
  result: Result;
  detail: string;
  /** null where nothing is to be done. */
  cure: string | null;
}

/** What a look found, without its name. */
export type Finding = Omit<Check, 'name'>;

export const ok = (detail: string): Finding => ({ result: 'ok', detail, cure: null });
export const warning = (detail: string, cure: string): Finding => ({ result: 'warning', detail, cure });
export const failed = (detail: string, cure: string): Finding => ({ result: 'failed', detail, cure });
export const skipped = (detail: string): Finding => ({ result: 'skipped', detail, cure: null });

const lookTimeoutMs = 8_000;

/** Carries the looks out side by side; one that breaks or takes too long is a finding too. */
export function checkAll(looks: Record<string, () => Promise<Finding> | Finding>): Promise<Check[]> {
  return Promise.all(
    Object.entries(looks).map(async ([name, look]) => {
      const late = Promise.withResolvers<Finding>();
      const timer = setTimeout(
        () =>
          late.resolve(
            failed(`no result within ${lookTimeoutMs / 1000} s`, 'Run it again; the machine is very busy.'),
          ),
        lookTimeoutMs,
      );
      const { result, detail, cure } = await Promise.race([
        Promise.try(look).catch(brokenLook),
        late.promise,
      ]);
      clearTimeout(timer);
      return { name, result, detail, cure };
    }),
  );
}

function brokenLook(error: unknown): Finding {
  if (error instanceof CommandFailure) return failed(sentenceOf(error), error.cure);
  return failed(
    `could not be looked at: ${error instanceof Error ? error.message : String(error)}`,
    'Look by hand.',
  );
}
