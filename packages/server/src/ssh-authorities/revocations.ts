/**
 * Lists of what is revoked, as people hand them in: a KRL as ssh-keygen -k writes it, or lines of public keys as in the
 * file of sshd's RevokedKeys. Both are kept as a KRL (OpenSSH's PROTOCOL.krl).
 */
import { BerthError, largestRevocationList } from '@berth/contract';
import { KeyError, RevocationList, Writer, parsePublicKey } from '@berth/ssh';

const magic = Buffer.from('SSHKRL\n\0');
const explicitKeys = 2;
/** Old and short ones are those that one wants to revoke. */
const minimumRsaBits = 1024;

/** @throws BerthError `bad_revocation_list` that says what is wrong, and in which line */
export function readRevocations(file: Buffer): { bytes: Buffer; list: RevocationList } {
  if (file.length > largestRevocationList)
    throw bad(`it has ${file.length} bytes of at most ${largestRevocationList}`);
  const bytes = file.subarray(0, magic.length).equals(magic) ? file : revocationListOf(readKeys(file));
  try {
    return { bytes, list: new RevocationList(bytes) };
  } catch (error) {
    throw error instanceof KeyError ? bad(error.message) : error;
  }
}

function readKeys(file: Buffer): Buffer[] {
  const keys: Buffer[] = [];
  for (const [index, text] of file.toString('utf8').split('\n').entries()) {
    const line = text.trim();
    if (line === '' || line.startsWith('#')) continue;
    try {
      keys.push(parsePublicKey(line, { minimumRsaBits }).blob);
    } catch (error) {
      throw error instanceof KeyError ? bad(`line ${index + 1}: ${error.message}`) : error;
    }
  }
  if (keys.length === 0) throw bad('there is no key in it');
  return keys;
}

/** PROTOCOL.krl: format 1, number 0, and one section with the keys as they are. */
function revocationListOf(keys: Buffer[]): Buffer {
  const section = new Writer();
  for (const key of keys) section.string(key);
  return new Writer()
    .bytes(magic)
    .uint32(1)
    .uint64(0n)
    .uint64(BigInt(Math.floor(Date.now() / 1000)))
    .uint64(0n)
    .string('')
    .string(`${keys.length} public keys`)
    .byte(explicitKeys)
    .string(section.toBuffer())
    .toBuffer();
}

function bad(why: string): BerthError {
  return new BerthError('bad_revocation_list', `list: is no list of revoked keys (${why}).`, {
    field: 'list',
  });
}
