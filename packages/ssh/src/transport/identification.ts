// The first line each side sends: `SSH-2.0-software comments` (RFC 4253, section 4.2). A server may send
// other lines before it. Called at the start of each connection, before anything is a packet.

import type { Role } from './packet-transport.ts';
import { quoted } from './quoted.ts';
import { TransportError, disconnectReason } from './transport-error.ts';

// With its CR LF.
const maximumLineBytes = 255;

/** What a server may say before its identification. */
const maximumPreludeBytes = 16 * 1024;

/**
 * Finds the peer's identification in what it sends first. A client sends nothing before it; a server may send lines,
 * of which only the first is kept (RFC 4253, section 4.2).
 */
export class IdentificationReader {
  readonly #peerIsServer: boolean;
  #preludeBytes = 0;
  /** The first line of a server that is not its identification, as far as it came: what there is to tell of it. */
  said: string | undefined;
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
      if (isIdentification) {
        if (lineBytes > maximumLineBytes) throw notSsh(bytes.toString('latin1', at, end));
      } else {
        if (this.#preludeBytes === 0) {
          this.said = firstLine(bytes.toString('utf8', at, at + Math.min(lineBytes, maximumLineBytes)));
        }
        // Binary data may never come to the end of a line.
        const isBinary = lineEnd === -1 && bytes.subarray(at, end).includes(0);
        if (isBinary || this.#preludeBytes + lineBytes > maximumPreludeBytes) throw notSsh(this.said ?? '');
      }
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

function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? '';
}

export function notSsh(said: string): TransportError {
  return new TransportError(
    'not_ssh',
    `What is there does not speak SSH 2; it says ${quoted(firstLine(said))}.`,
    disconnectReason.versionNotSupported,
  );
}
