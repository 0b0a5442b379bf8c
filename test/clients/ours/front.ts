/** What our server and our relay have in common: whom they let in, what they prove themselves with, and their count. */
import { readFileSync } from 'node:fs';
import {
  type Attempt,
  type Decision,
  type Method,
  type RekeyLimits,
  type ServerAuthenticationOptions,
  type ServerHostKey,
  type ServerTransportOptions,
  SigningKey,
  authorize,
  offeredBlob,
  parseAuthorizedKeys,
  parsePrivateKeyFile,
  serverHostKey,
} from '@berth/ssh';
import type { ServerOptions } from '../peers/peer.ts';
import { everything } from './algorithms.ts';

export const user = 'peer';

export interface Front {
  readonly signingKeys: readonly SigningKey[];
  readonly transport: ServerTransportOptions;
  readonly authentication: Pick<ServerAuthenticationOptions, 'methods' | 'decide'>;
  /** How many exchanges of keys there were on all connections. */
  readonly exchanges: () => number;
}

export function makeFront(options: ServerOptions): Front {
  const signingKeys = options.hostKeys.map(signingKeyOf);
  let exchanges = 0;
  const hostKeys = signingKeys.map((key): ServerHostKey => {
    const hostKey = serverHostKey(key);
    return {
      ...hostKey,
      sign: (data, algorithm) => {
        exchanges += 1;
        return hostKey.sign(data, algorithm);
      },
    };
  });
  const rekey: Partial<RekeyLimits> = options.rekeyBytes === undefined ? {} : { bytes: options.rekeyBytes };
  return {
    signingKeys,
    transport: {
      hostKeys,
      rekey,
      userSignatureAlgorithms: everything.publicKeys,
      algorithms: { keyExchange: everything.kex, cipher: everything.ciphers, mac: everything.macs },
    },
    authentication: authenticationOf(options),
    exchanges: () => exchanges,
  };
}

export function signingKeyOf({ file }: { readonly file: string }): SigningKey {
  const { key } = parsePrivateKeyFile(readFileSync(file, 'utf8'));
  if (!(key instanceof SigningKey)) throw new TypeError(`${file} does not hold the key itself`);
  return key;
}

function authenticationOf({
  password,
  authorizedKeys,
  authority,
  methods,
}: ServerOptions): Front['authentication'] {
  const lines = [...authorizedKeys, ...(authority === undefined ? [] : [`cert-authority ${authority}`])];
  const { keys } = parseAuthorizedKeys(lines.join('\n'));
  const wanted = (methods?.split(',') ?? []) as Method[];
  const isRight = async (attempt: Attempt): Promise<boolean> => {
    if (attempt.user !== user) return false;
    switch (attempt.method) {
      case 'none':
        return false;
      case 'password':
        return attempt.password === password;
      case 'keyboard-interactive': {
        const [answer] = await attempt.prompt({ prompts: [{ text: 'Password: ', echo: false }] });
        return answer === password;
      }
      case 'publickey': {
        const request = { blob: offeredBlob(attempt), user, address: '127.0.0.1' };
        return authorize(keys, request) !== undefined;
      }
    }
  };
  const decide = async (attempt: Attempt): Promise<Decision> => {
    if (!(await isRight(attempt))) return { outcome: 'refuse' };
    if (attempt.method === 'publickey' && !attempt.signed) return { outcome: 'usable' };
    const done = [...attempt.passed, attempt].map(({ method }) => method);
    const left = wanted.filter((method) => !done.includes(method));
    return left.length > 0 ? { outcome: 'partial', methods: left } : { outcome: 'accept' };
  };
  return {
    methods: wanted.length > 0 ? wanted.slice(0, 1) : ['publickey', 'password', 'keyboard-interactive'],
    decide,
  };
}
