// The first line each side sends: `SSH-2.0-software comments` (RFC 4253, section 4.2). A server may send
// other lines before it. Called at the start of each connection, before anything is a packet.

import { WireError } from '../wire.ts';
import type { InputBuffer } from './input-buffer.ts';

// With its CR LF.
const maximumLineBytes = 255;

export interface Line {
  /** Without its line end. */
  readonly text: string;
  readonly isIdentification: boolean;
}

/**
 * Takes the next line, or returns undefined until one is whole. Throws WireError for an identification
 * that is too long, not printable, or not of SSH 2. Bounding the lines before it is the caller's.
 */
export function takeLine(input: InputBuffer): Line | undefined {
  const bytes = input.peek();
  const isIdentification = bytes.subarray(0, 4).toString('latin1') === 'SSH-';
  const lineEnd = bytes.indexOf(0x0a);
  if (isIdentification && (lineEnd === -1 ? bytes.length : lineEnd + 1) > maximumLineBytes) {
    throw malformed(`longer than ${maximumLineBytes} bytes`);
  }
  if (lineEnd === -1) return undefined;
  // The RFC wants CR LF and tells us to take LF alone from old servers.
  const text = input
    .take(lineEnd + 1)
    .toString(isIdentification ? 'latin1' : 'utf8')
    .replace(/\r?\n$/, '');
  if (isIdentification && !/^SSH-(?:2\.0|1\.99)-[ -~]+$/.test(text)) {
    throw malformed('not the printable line of an SSH 2 server');
  }
  return { text, isIdentification };
}

function malformed(explanation: string): WireError {
  return new WireError('identification', 0, 'malformed', explanation);
}
