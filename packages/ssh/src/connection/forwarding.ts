// What the channels that carry a forwarded connection say when they open: RFC 4254, sections 6.3.2 (X11) and 7.2
// (TCP); OpenSSH's PROTOCOL, section 2.4 (Unix sockets), and its agent channel. And what is asked for with
// tcpip-forward and streamlocal-forward@openssh.com. Who dials and who listens is the owner's to decide.

import { type Duplex, finished } from 'node:stream';
import type { Role } from '../transport/packet-transport.ts';
import { type Reader, Writer } from '../wire.ts';

/** A TCP address as the peer named it, or the path of a Unix socket. */
export type Place = TcpPlace | SocketPlace;

export interface TcpPlace {
  /** A name, an address, or (to listen) one of RFC 4254's: empty, `0.0.0.0`, `::`, `localhost`. Not checked. */
  readonly host: string;
  readonly port: number;
}

export interface SocketPlace {
  readonly path: string;
}

interface Origin {
  /** Where the connection that is forwarded came from, as the peer says. */
  readonly originHost: string;
  readonly originPort: number;
}

export type Forward =
  /** The client wants the server to connect there. */
  | ({ readonly type: 'direct-tcpip' } & TcpPlace & Origin)
  | ({ readonly type: 'direct-streamlocal@openssh.com' } & SocketPlace)
  /** Somebody connected where the server listens for the client. */
  | ({ readonly type: 'forwarded-tcpip' } & TcpPlace & Origin)
  | ({ readonly type: 'forwarded-streamlocal@openssh.com' } & SocketPlace)
  /** A program on the server wants the client's X server, or its agent. */
  | ({ readonly type: 'x11' } & Origin)
  | { readonly type: 'auth-agent@openssh.com' };

type ForwardType = Forward['type'];

/** Which side opens a channel of this type. */
const openers: Record<ForwardType, Role> = {
  'direct-tcpip': 'client',
  'direct-streamlocal@openssh.com': 'client',
  'forwarded-tcpip': 'server',
  'forwarded-streamlocal@openssh.com': 'server',
  x11: 'server',
  'auth-agent@openssh.com': 'server',
};

export function isForwardType(type: string): type is ForwardType {
  return Object.hasOwn(openers, type);
}

export function openerOf(type: ForwardType): Role {
  return openers[type];
}

/** What follows the windows in SSH_MSG_CHANNEL_OPEN. Throws WireError. */
export function parseForward(type: ForwardType, reader: Reader): Forward {
  const forward = readForward(type, reader);
  reader.end('channel open');
  return forward;
}

function readForward(type: ForwardType, reader: Reader): Forward {
  switch (type) {
    case 'direct-tcpip':
    case 'forwarded-tcpip':
      return { type, ...readTcpPlace(reader), ...readOrigin(reader) };
    case 'direct-streamlocal@openssh.com': {
      const path = reader.text('socket path');
      reader.string('reserved');
      reader.uint32('reserved');
      return { type, path };
    }
    case 'forwarded-streamlocal@openssh.com': {
      const path = reader.text('socket path');
      reader.string('reserved');
      return { type, path };
    }
    case 'x11':
      return { type, ...readOrigin(reader) };
    case 'auth-agent@openssh.com':
      return { type };
  }
}

export function formatForward(forward: Forward): Buffer {
  const writer = new Writer();
  switch (forward.type) {
    case 'direct-tcpip':
    case 'forwarded-tcpip':
      writer.string(forward.host).uint32(forward.port).string(forward.originHost).uint32(forward.originPort);
      break;
    case 'direct-streamlocal@openssh.com':
      writer.string(forward.path).string('').uint32(0);
      break;
    case 'forwarded-streamlocal@openssh.com':
      writer.string(forward.path).string('');
      break;
    case 'x11':
      writer.string(forward.originHost).uint32(forward.originPort);
      break;
    case 'auth-agent@openssh.com':
      break;
  }
  return writer.toBuffer();
}

function readOrigin(reader: Reader): Origin {
  return { originHost: reader.text('origin host'), originPort: reader.uint32('origin port') };
}

export function readTcpPlace(reader: Reader): TcpPlace {
  return { host: reader.text('host'), port: reader.uint32('port') };
}

export function formatPlace(place: Place): Buffer {
  const writer = new Writer();
  if ('path' in place) writer.string(place.path);
  else writer.string(place.host).uint32(place.port);
  return writer.toBuffer();
}

/** Whether a connection that the server forwards comes from this place, where the client asked it to listen. */
export function comesFrom(forward: Forward, place: Place): boolean {
  if (forward.type === 'forwarded-tcpip') {
    // Servers disagree on whether to name the host that was asked for or the one that was bound.
    return 'port' in place && place.port === forward.port;
  }
  if (forward.type === 'forwarded-streamlocal@openssh.com') {
    return 'path' in place && place.path === forward.path;
  }
  return false;
}

/**
 * Carries a channel's data to `stream` and back until both are over. Either direction ends by itself; what breaks on
 * one side breaks the other. A net.Socket must be made with `allowHalfOpen`, or it ends both directions at once.
 */
export function join(channel: Duplex, stream: Duplex): void {
  // The peer may have left while the stream was being opened.
  if (channel.destroyed || stream.destroyed) {
    channel.destroy();
    stream.destroy();
    return;
  }
  channel.pipe(stream);
  stream.pipe(channel);
  stream.on('error', () => {});
  channel.on('error', () => {});
  channel.on('close', () => {
    if (!channel.readableEnded) {
      stream.destroy();
      return;
    }
    // What the channel brought is still to be delivered; nothing can go back any more.
    finished(stream, { readable: false }, () => stream.destroy());
  });
  stream.on('close', () => {
    if (!stream.readableEnded || !stream.writableFinished) channel.destroy();
  });
}
