// A security key (FIDO token) in software, for tests: there is no device in a test machine, so what one would
// sign is made here with node:crypto as OpenSSH's PROTOCOL.u2f says, and held to what ssh-keygen accepts.

import { generateKeyPairSync, hash, sign } from 'node:crypto';
import type { SecurityKeyType } from '../keys/algorithms.ts';
import { Writer } from '../wire.ts';

export interface SoftwareSecurityKey {
  readonly type: SecurityKeyType;
  readonly blob: Buffer;
  /** A signature blob. Flags: 1 touched, 4 verified by PIN. */
  readonly sign: (data: Uint8Array, flags?: number, counter?: number) => Buffer;
  /** The content of the private key file that ssh-keygen would write for it. */
  readonly privateKeyFile: (keyHandle: Buffer, flags: number) => string;
}

export function makeSecurityKey(type: SecurityKeyType, application = 'ssh:'): SoftwareSecurityKey {
  const isEcdsa = type === 'sk-ecdsa-sha2-nistp256@openssh.com';
  const { publicKey, privateKey } = isEcdsa
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('ed25519');
  const fields = new Writer().string(type);
  if (isEcdsa) fields.string('nistp256');
  fields.string(publicKey.export({ format: 'raw-public' })).string(application);
  const blob = fields.toBuffer();
  return {
    type,
    blob,
    sign: (data, flags = 1, counter = 7) => {
      const state = new Writer().byte(flags).uint32(counter).toBuffer();
      const signed = Buffer.concat([
        hash('sha256', application, 'buffer'),
        state,
        hash('sha256', data, 'buffer'),
      ]);
      const raw = sign(isEcdsa ? 'sha256' : null, signed, { key: privateKey, dsaEncoding: 'ieee-p1363' });
      const numbers = new Writer().unsignedMpint(raw.subarray(0, 32)).unsignedMpint(raw.subarray(32));
      const signature = isEcdsa ? numbers.toBuffer() : raw;
      return new Writer().string(type).string(signature).bytes(state).toBuffer();
    },
    privateKeyFile: (keyHandle, flags) => {
      const secret = new Writer()
        .uint32(1)
        .uint32(1)
        .bytes(blob)
        .byte(flags)
        .string(keyHandle)
        .string('')
        .string('on the key ring')
        .toBuffer();
      const padding = Buffer.from(Array.from({ length: -secret.length & 7 }, (_, index) => index + 1));
      const file = new Writer().string(Buffer.concat([secret, padding])).toBuffer();
      const header = new Writer()
        .bytes(Buffer.from('openssh-key-v1\0'))
        .string('none')
        .string('none')
        .string('')
        .uint32(1)
        .string(blob)
        .bytes(file);
      const lines =
        header
          .toBuffer()
          .toString('base64')
          .match(/.{1,70}/g) ?? [];
      const name = 'OPENSSH PRIVATE KEY';
      return [`-----BEGIN ${name}-----`, ...lines, `-----END ${name}-----`, ''].join('\n');
    },
  };
}
