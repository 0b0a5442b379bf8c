// Why a probe failed: a code for programs and a sentence for a person. Thrown by probe.ts and by the
// handshake under it. What a stranger sent is in a sentence only escaped and cut short.

export type ProbeErrorCode =
  /** The name has no address, or no route leads there. */
  | 'unreachable'
  | 'refused'
  | 'timeout'
  /** The peer ended the connection, perhaps because it is busy or starting. */
  | 'closed'
  | 'reset'
  | 'not_ssh'
  | 'protocol'
  | 'host_key_mismatch'
  | 'no_common_algorithm'
  | 'bad_signature'
  | 'aborted';

export class ProbeError extends Error {
  override readonly name = 'ProbeError';
  readonly code: ProbeErrorCode;

  constructor(code: ProbeErrorCode, sentence: string, options?: ErrorOptions) {
    super(sentence, options);
    this.code = code;
  }
}
