// Signatures as `ssh-keygen -Y` makes and checks them (OpenSSH's PROTOCOL.sshsig): the way to have OpenSSH
// itself sign and verify with a key of any type, without a connection.

import { hash } from 'node:crypto';
import { Reader, Writer } from '../wire.ts';
import { sshKeygenIn } from './ssh-keygen.ts';

const namespace = 'test';
const magic = Buffer.from('SSHSIG');

/** What is really signed when `message` is. */
export function signedBytes(message: string): Buffer {
  return new Writer()
    .bytes(magic)
    .string(namespace)
    .string('')
    .string('sha512')
    .string(hash('sha512', message, 'buffer'))
    .toBuffer();
}

/** The signature blob that OpenSSH makes with a private key file. */
export function signByOpenSsh(privateKeyFile: string, message: string): Buffer {
  const parameters = ['-Y', 'sign', '-q', '-f', 'key', '-n', namespace];
  const armor = sshKeygenIn({ key: privateKeyFile }, parameters, message).printed;
  const reader = new Reader(Buffer.from(armor.replace(/-----.*-----/g, ''), 'base64'));
  reader.bytes(magic.length, 'magic');
  reader.uint32('version');
  for (const field of ['public key', 'namespace', 'reserved', 'hash algorithm']) reader.string(field);
  return Buffer.from(reader.string('signature'));
}

/** Whether OpenSSH finds a signature blob over `signedBytes(message)` good. */
export function isGoodForOpenSsh(publicKey: Buffer, signature: Buffer, message: string): boolean {
  const blob = new Writer()
    .bytes(magic)
    .uint32(1)
    .string(publicKey)
    .string(namespace)
    .string('')
    .string('sha512')
    .string(signature)
    .toBuffer();
  const base64 = blob.toString('base64').match(/.{1,70}/g) ?? [];
  const armor = ['-----BEGIN SSH SIGNATURE-----', ...base64, '-----END SSH SIGNATURE-----', ''].join('\n');
  try {
    sshKeygenIn({ armor }, ['-Y', 'check-novalidate', '-n', namespace, '-s', 'armor'], message);
    return true;
  } catch {
    return false;
  }
}
