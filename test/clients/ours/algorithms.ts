/** Everything that packages/ssh knows, also what is not offered unless it is asked for. */
import {
  hostCertificateAlgorithms,
  userSignatureAlgorithms,
} from '../../../packages/ssh/src/transport/algorithms.ts';
import { publicKeyAlgorithmNames } from '../../../packages/ssh/src/keys/algorithms.ts';
import { keyExchangeNames } from '../../../packages/ssh/src/transport/key-exchange.ts';
import { cipherNames, macNames } from '../../../packages/ssh/src/transport/packet-algorithms.ts';
import type { Algorithms } from '../peers/peer.ts';

const hostKeys = userSignatureAlgorithms.filter((name) => !name.startsWith('sk-'));

export const everything: Algorithms = {
  kex: keyExchangeNames,
  hostKeys: [...hostKeys, ...hostCertificateAlgorithms],
  ciphers: cipherNames,
  macs: macNames,
  publicKeys: publicKeyAlgorithmNames,
};
