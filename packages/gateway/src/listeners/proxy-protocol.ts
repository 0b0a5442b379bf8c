/**
 * The PROXY protocol, versions 1 and 2 (haproxy's doc/proxy-protocol.txt): what a load balancer says first on a
 * connection, so that whoever is behind it is known by his own address. connection.ts reads it from sources that are
 * configured to send it, and from nobody else: to others it is just no SSH.
 */
import { isIPv4, isIPv6 } from 'node:net';
import type { Socket } from 'node:net';
import { sourceOf } from '../limits/source.ts';

/** Whom the balancer accepted; null: it speaks for itself, as in its health checks. */
export interface ProxiedOrigin {
  source: string;
  port: number;
}

export interface ProxyHeader {
  /** Its length; what follows is the client's. */
  bytes: number;
  origin: ProxiedOrigin | null;
}

/** The header is not one, or did not come. The connection is of no use then. */
export class ProxyHeaderError extends Error {
  override name = 'ProxyHeaderError';
}

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const textStart = Buffer.from('PROXY ', 'latin1');
/** Section 2.1: 107 characters at most, with the line's end. */
const mostTextBytes = 107;
const fixedBytes = 16;
/** Addresses take 216 at most; the rest is additions that balancers make, such as names of certificates. */
const mostAddedBytes = 4096;

/**
 * Reads the header at the beginning of what has come.
 *
 * @returns undefined when more must come first
 * @throws ProxyHeaderError
 */
export function parseProxyHeader(received: Buffer): ProxyHeader | undefined {
  const isText = startsAlike(received, textStart);
  if (!isText && !startsAlike(received, signature)) throw new ProxyHeaderError('no PROXY header');
  return isText ? parseText(received) : parseBinary(received);
}

/** Whether one of the two is the beginning of the other. */
function startsAlike(received: Buffer, start: Buffer): boolean {
  const length = Math.min(received.length, start.length);
  return received.subarray(0, length).equals(start.subarray(0, length));
}

function parseText(received: Buffer): ProxyHeader | undefined {
  const end = received.subarray(0, mostTextBytes).indexOf('\r\n', 0, 'latin1');
  if (end === -1) {
    if (received.length >= mostTextBytes) throw new ProxyHeaderError('a PROXY line that does not end');
    return undefined;
  }
  const bytes = end + 2;
  const [, protocol, source = '', destination = '', ...ports] = received
    .toString('latin1', 0, end)
    .split(' ');
  // Whatever follows it is to be ignored.
  if (protocol === 'UNKNOWN') return { bytes, origin: null };
  const isAddress = protocol === 'TCP4' ? isIPv4 : protocol === 'TCP6' ? isIPv6 : () => false;
  if (!isAddress(source) || !isAddress(destination) || ports.length !== 2 || !ports.every(isPort)) {
    throw new ProxyHeaderError('a malformed PROXY line');
  }
  return { bytes, origin: originOf(source, Number(ports[0])) };
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function parseBinary(received: Buffer): ProxyHeader | undefined {
  if (received.length < fixedBytes) return undefined;
  const versionAndCommand = received.readUInt8(12);
  const family = received.readUInt8(13);
  const addedBytes = received.readUInt16BE(14);
  if (versionAndCommand !== 0x20 && versionAndCommand !== 0x21) {
    throw new ProxyHeaderError('a PROXY header of another version');
  }
  if (addedBytes > mostAddedBytes) throw new ProxyHeaderError('a PROXY header that is too long');
  const bytes = fixedBytes + addedBytes;
  if (received.length < bytes) return undefined;
  const isLocal = versionAndCommand === 0x20;
  return { bytes, origin: isLocal ? null : binaryOrigin(family, received.subarray(fixedBytes, bytes)) };
}

/** Section 2.2: TCP over IPv4 and IPv6; what is unspecified, or a Unix socket, tells of no address. */
function binaryOrigin(family: number, added: Buffer): ProxiedOrigin | null {
  if (family === 0x00 || family === 0x31) return null;
  if (family === 0x11 && added.length >= 12) {
    return originOf([...added.subarray(0, 4)].join('.'), added.readUInt16BE(8));
  }
  if (family === 0x21 && added.length >= 36) {
    const groups = Array.from({ length: 8 }, (_, index) => added.readUInt16BE(2 * index).toString(16));
    return originOf(groups.join(':'), added.readUInt16BE(32));
  }
  throw new ProxyHeaderError('a malformed PROXY header');
}

function originOf(address: string, port: number): ProxiedOrigin {
  const source = sourceOf(address);
  if (source === undefined) throw new ProxyHeaderError('a PROXY header with no address');
  return { source, port };
}

/**
 * Takes the header off a connection that nobody has read from. What follows it stays unread.
 *
 * @throws ProxyHeaderError for what is malformed, ends early, or has not come within `timeoutMs`
 */
export function readProxyHeader(socket: Socket, timeoutMs: number): Promise<ProxiedOrigin | null> {
  const { promise, resolve, reject } = Promise.withResolvers<ProxiedOrigin | null>();
  let received = Buffer.alloc(0);
  const fail = (why: string): void => reject(new ProxyHeaderError(why));
  const timer = setTimeout(() => fail(`no PROXY header within ${timeoutMs / 1000} s`), timeoutMs);
  const onData = (chunk: Buffer): void => {
    received = Buffer.concat([received, chunk]);
    let header: ProxyHeader | undefined;
    try {
      header = parseProxyHeader(received);
    } catch (error) {
      reject(error as ProxyHeaderError);
      return;
    }
    if (header === undefined) return;
    stop();
    if (received.length > header.bytes) socket.unshift(received.subarray(header.bytes));
    resolve(header.origin);
  };
  const onClose = (): void => fail('the connection ended before its PROXY header');
  const stop = (): void => {
    clearTimeout(timer);
    socket.pause();
    socket.off('data', onData).off('end', onClose).off('close', onClose);
  };
  socket.on('data', onData).on('end', onClose).on('close', onClose);
  socket.resume();
  return promise.finally(stop);
}
