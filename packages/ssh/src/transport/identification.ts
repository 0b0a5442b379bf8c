// The first line each side sends: `SSH-2.0-software comments` (RFC 4253, section 4.2). A server may send
// other lines before it. Called at the start of each connection, before anything is a packet.

import { WireError } from '../wire.ts';
import type { InputBuffer } from './input-buffer.ts';
import type { Role } from './packet-transport.ts';
import { quoted } from './quoted.ts';
import { TransportError, disconnectReason } from './transport-error.ts';

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

/** What a server may say before its identification. */
const maximumPreludeBytes = 16 * 1024;

/**
 * Finds the peer's identification in what it sends first. A client sends nothing before it; a server may send lines,
 * which nobody reads here (RFC 4253, section 4.2).
 */
export class IdentificationReader {
  readonly #peerIsServer: boolean;
  #preludeBytes = 0;
  /** The peer's line without its end, as soon as it is there. */
  identification: string | undefined;

  /** `role` is the own one. */
  constructor(role: Role) {
    this.#peerIsServer = role === 'client';
  }

  /** Returns where it stopped: after the identification, or before a line that is not whole. Throws TransportError. */
  read(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const isIdentification =
        bytes.toString('latin1', at, Math.min(end, at + 4)) === 'SSH-'.slice(0, end - at);
      if (!isIdentification && !this.#peerIsServer) throw notSsh(bytes.toString('latin1', at, end));
      const lineEnd = bytes.subarray(at, end).indexOf(0x0a);
      const lineBytes = lineEnd === -1 ? end - at : lineEnd + 1;
      const limit = isIdentification ? maximumLineBytes : maximumPreludeBytes - this.#preludeBytes;
      if (lineBytes > limit) throw notSsh(bytes.toString('latin1', at, end));
      if (lineEnd === -1) return at;
      const text = bytes.toString('latin1', at, at + lineEnd).replace(/\r$/, '');
      at += lineBytes;
      if (isIdentification) {
        if (!/^SSH-(?:2\.0|1\.99)-[ -~]+$/.test(text)) throw notSsh(text);
        this.identification = text;
        return at;
      }
      this.#preludeBytes += lineBytes;
    }
    return at;
  }
}

function notSsh(said: string): TransportError {
  return new TransportError(
    'not_ssh',
    `What is there does not speak SSH 2; it says ${quoted(said.split('\n')[0] ?? '')}.`,
    disconnectReason.versionNotSupported,
  );
}
