// The ciphers and MACs that protect packets, by the names that KEXINIT negotiates, and the sizes of their
// parts: AES-GCM (RFC 5647, as OpenSSH's PROTOCOL section 1.6 changes it), ChaCha20-Poly1305 (OpenSSH's
// PROTOCOL.chacha20poly1305), AES-CTR (RFC 4344) with HMAC-SHA-2 (RFC 6668), also encrypt-then-MAC
// (OpenSSH's PROTOCOL, section 1.5). `none` is what stands before the first NEWKEYS. No CBC and no SHA-1.
//
// All of them lay a packet out alike: 4 bytes of length, 1 of padding length, the payload, the padding,
// the tag. So a payload starts at the fifth byte of its packet whatever protects it, and a relay can seal
// in the place where it opened.

interface Cipher {
  readonly mode: 'none' | 'gcm' | 'chacha20-poly1305' | 'ctr';
  readonly keyBytes: number;
  readonly ivBytes: number;
  readonly blockBytes: number;
  /** Of the tag that the cipher makes itself; 0 where a MAC makes it. */
  readonly tagBytes: number;
}

interface Mac {
  readonly hash: 'sha256' | 'sha512';
  /** Of the key and of the tag: RFC 6668 has them equal. */
  readonly bytes: number;
  readonly isEncryptThenMac: boolean;
}

const ciphers = {
  none: { mode: 'none', keyBytes: 0, ivBytes: 0, blockBytes: 8, tagBytes: 0 },
  'aes128-gcm@openssh.com': { mode: 'gcm', keyBytes: 16, ivBytes: 12, blockBytes: 16, tagBytes: 16 },
  'aes256-gcm@openssh.com': { mode: 'gcm', keyBytes: 32, ivBytes: 12, blockBytes: 16, tagBytes: 16 },
  'chacha20-poly1305@openssh.com': {
    mode: 'chacha20-poly1305',
    keyBytes: 64,
    ivBytes: 0,
    blockBytes: 8,
    tagBytes: 16,
  },
  'aes128-ctr': { mode: 'ctr', keyBytes: 16, ivBytes: 16, blockBytes: 16, tagBytes: 0 },
  'aes192-ctr': { mode: 'ctr', keyBytes: 24, ivBytes: 16, blockBytes: 16, tagBytes: 0 },
  'aes256-ctr': { mode: 'ctr', keyBytes: 32, ivBytes: 16, blockBytes: 16, tagBytes: 0 },
} as const satisfies Record<string, Cipher>;

const macs = {
  'hmac-sha2-256-etm@openssh.com': { hash: 'sha256', bytes: 32, isEncryptThenMac: true },
  'hmac-sha2-512-etm@openssh.com': { hash: 'sha512', bytes: 64, isEncryptThenMac: true },
  'hmac-sha2-256': { hash: 'sha256', bytes: 32, isEncryptThenMac: false },
  'hmac-sha2-512': { hash: 'sha512', bytes: 64, isEncryptThenMac: false },
} as const satisfies Record<string, Mac>;

/** All that are known. `none` is not negotiated. */
export const cipherNames: readonly string[] = Object.keys(ciphers).filter((name) => name !== 'none');
export const macNames: readonly string[] = Object.keys(macs);

export interface PacketAlgorithm extends Cipher {
  /** Only beside a cipher in `ctr` mode. */
  readonly mac: Mac | undefined;
  /** Of what follows the padding, whoever makes it. */
  readonly tagBytes: number;
  /**
   * Whether the length field is encrypted with the rest and counts for the padding, as RFC 4253 has it.
   * AEAD and encrypt-then-MAC leave it out of both (ChaCha20-Poly1305 encrypts it apart).
   */
  readonly isLengthInBlocks: boolean;
}

/** Throws RangeError for a name that is not known, and for a `ctr` cipher without a MAC. */
export function packetAlgorithm(cipherName: string, macName?: string): PacketAlgorithm {
  if (!isCipherName(cipherName)) throw new RangeError(`not a cipher: ${cipherName}`);
  const cipher: Cipher = ciphers[cipherName];
  if (cipher.mode !== 'ctr') {
    return { ...cipher, mac: undefined, isLengthInBlocks: cipher.mode === 'none' };
  }
  if (macName === undefined || !isMacName(macName)) throw new RangeError(`not a MAC: ${macName}`);
  const mac: Mac = macs[macName];
  return { ...cipher, mac, tagBytes: mac.bytes, isLengthInBlocks: !mac.isEncryptThenMac };
}

/** Whether the cipher authenticates by itself, so that no MAC is negotiated (OpenSSH's PROTOCOL, section 1.6). */
export function isAuthenticated(cipherName: string): boolean {
  return isCipherName(cipherName) && ciphers[cipherName].tagBytes > 0;
}

function isCipherName(name: string): name is keyof typeof ciphers {
  return Object.hasOwn(ciphers, name);
}

function isMacName(name: string): name is keyof typeof macs {
  return Object.hasOwn(macs, name);
}
