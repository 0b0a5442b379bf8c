/** How commands fail: one sentence, one cure, one exit code. */
import type { Problem } from '@berth/contract';

export const exitCodes = {
  failed: 1,
  usage: 2,
  unreachable: 3,
  notFound: 4,
  notAllowed: 5,
  conflict: 6,
  tryLater: 7,
} as const;

export const exitCodesHelp = `Exit codes:
  0    done
  1    the operation failed, such as an environment that did not come up
  2    wrong usage or a value that Berth does not take
  3    no answer from Berth
  4    there is no such thing
  5    not allowed, or nobody is signed in
  6    in conflict with the state of things, such as a name in use
  7    not possible just now; try again later
  130  ended by Ctrl-C (ssh, cp and port-forward end as the OpenSSH client ends)

Which Berth is asked: what --data-dir or --profile names, else BERTH_URL (with the
token in BERTH_TOKEN) or BERTH_PROFILE, else the profile in use (berth login), else
the one on this machine, through its socket, where no login is needed.`;

/** A failure that a person can read. Anything else that reaches main is a mistake in the command. */
export class CommandFailure extends Error {
  readonly exitCode: number;
  readonly cure: string;
  readonly code: string;

  /** @param code stable, for programs: one of the catalogue's where the server answered, else the command's own */
  constructor(exitCode: number, code: string, detail: string, cure = '', cause?: unknown) {
    super(detail, { cause });
    this.name = 'CommandFailure';
    this.exitCode = exitCode;
    this.code = code;
    this.cure = cure;
  }
}

export function usageFailure(detail: string, cure = ''): CommandFailure {
  return new CommandFailure(exitCodes.usage, 'usage', detail, cure);
}

export function nothingToSet(command: string): CommandFailure {
  return usageFailure('Nothing is asked to be changed', `See what can be: ${command} --help`);
}

export function exitCodeOf(status: number): number {
  if (status === 401 || status === 403) return exitCodes.notAllowed;
  if (status === 404) return exitCodes.notFound;
  if (status === 409) return exitCodes.conflict;
  if (status === 429 || status === 503) return exitCodes.tryLater;
  return status >= 400 && status < 500 ? exitCodes.usage : exitCodes.failed;
}

/** For `catch`: what is gone is undefined, everything else fails on. */
export function undefinedIfGone(error: unknown): undefined {
  if (error instanceof CommandFailure && error.exitCode === exitCodes.notFound) return undefined;
  throw error;
}

/** The cure for the API's callers speaks of headers; here the token comes from a variable. */
const cures: Record<string, string> = {
  unauthorized: 'Sign in with "berth login", or put a valid token into BERTH_TOKEN.',
};

export function failureOf(problem: Problem): CommandFailure {
  return new CommandFailure(
    exitCodeOf(problem.status),
    problem.code,
    problem.detail,
    cures[problem.code] ?? problem.cure,
  );
}

/** "Detail. Cure." on one line. */
export function sentenceOf(failure: CommandFailure): string {
  const detail = /[.!?:]$/.test(failure.message) ? failure.message : `${failure.message}.`;
  return failure.cure === '' ? detail : `${detail} ${failure.cure}`;
}
