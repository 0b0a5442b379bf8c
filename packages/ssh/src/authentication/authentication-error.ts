// Why a client did not get in although the connection is fine: the server refused all that it had. Thrown by
// `authenticate`; the connection is still there, and its owner may ask a person and try again.

/**
 * One credential and what came of it. `given up`: its callback had nothing (more) to say, or a key had no algorithm that
 * the server takes. `unsent`: the server does not take the method.
 */
export interface Trial {
  /** `password`, `publickey SHA256:...`. */
  readonly description: string;
  readonly outcome: 'passed' | 'refused' | 'given up' | 'unsent';
}

export class AuthenticationError extends Error {
  override readonly name = 'AuthenticationError';
  /** What the server would go on with; undefined when it was asked nothing. */
  readonly methods: readonly string[] | undefined;
  readonly tried: readonly Trial[];

  constructor(methods: readonly string[] | undefined, tried: readonly Trial[]) {
    const of = (outcome: Trial['outcome']): string =>
      tried
        .filter((trial) => trial.outcome === outcome)
        .map(({ description }) => description)
        .join(', ');
    const clauses = [
      ['The server accepted', of('passed')],
      ['The server refused', of('refused')],
      ['Given up:', of('given up')],
      ['Not sent:', of('unsent')],
      ['It would go on with', methods?.join(', ') ?? ''],
    ] as const;
    const sentences = clauses
      .filter(([, names]) => names !== '')
      .map(([clause, names]) => `${clause} ${names}.`);
    super(['Logging in failed.', ...sentences].join(' '));
    this.methods = methods;
    this.tried = tried;
  }
}
