// The messages of SFTP version 3 (draft-ietf-secsh-filexfer-02) that a client sends and reads, as OpenSSH speaks it, with
// its extensions (OpenSSH's PROTOCOL, section 4). client.ts uses them.

import { type Reader, Writer } from '../wire.ts';

export const sftpVersion = 3;

export const sftpMessage = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  fileSetAttributes: 10,
  openFolder: 11,
  readFolder: 12,
  remove: 13,
  makeFolder: 14,
  realPath: 16,
  stat: 17,
  rename: 18,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attributes: 105,
  extended: 200,
  extendedReply: 201,
} as const;

/** SSH_FX_... */
export const sftpStatus = {
  ok: 0,
  endOfFile: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  noConnection: 6,
  connectionLost: 7,
  unsupported: 8,
} as const;

/** SSH_FXF_... */
export const openFlag = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const;

const attributeFlag = { size: 1, owner: 2, permissions: 4, times: 8, extended: 0x8000_0000 } as const;

/** stat(2): the bits of `st_mode` that say what it is. */
const kindMask = 0o170000;
const kinds = new Map([
  [0o100000, 'file'],
  [0o040000, 'folder'],
  [0o120000, 'link'],
] as const);

export interface FileAttributes {
  /** `other`: a device, a socket, ..., or the server does not say. */
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  readonly bytes: number;
  /** Of `st_mode`, without the kind; undefined: the server does not say. */
  readonly permissions: number | undefined;
  readonly modifiedAt: Date;
}

export function readAttributes(reader: Reader): FileAttributes {
  const flags = reader.uint32('attribute flags');
  const bytes = flags & attributeFlag.size ? Number(reader.uint64('size')) : 0;
  if (flags & attributeFlag.owner) {
    reader.uint32('user');
    reader.uint32('group');
  }
  const mode = flags & attributeFlag.permissions ? reader.uint32('permissions') : undefined;
  let modifiedAt = new Date(0);
  if (flags & attributeFlag.times) {
    reader.uint32('time of access');
    modifiedAt = new Date(reader.uint32('time of change') * 1000);
  }
  if (flags & attributeFlag.extended) {
    for (let left = reader.uint32('extended attributes'); left > 0; left -= 1) {
      reader.string('name of an attribute');
      reader.string('value of an attribute');
    }
  }
  const kind = mode === undefined ? undefined : kinds.get((mode & kindMask) as 0o100000);
  return {
    kind: kind ?? 'other',
    bytes,
    permissions: mode === undefined ? undefined : mode & 0o7777,
    modifiedAt,
  };
}

/** Those that are given. */
export function formatAttributes({ permissions }: { readonly permissions?: number }): Buffer {
  const writer = new Writer();
  if (permissions === undefined) return writer.uint32(0).toBuffer();
  return writer.uint32(attributeFlag.permissions).uint32(permissions).toBuffer();
}
