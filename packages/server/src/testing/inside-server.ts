/**
 * The sshd of an environment, for tests: by our own server, with the files that Berth wrote for it. It lets in whoever
 * shows a certificate of Berth's authority for this environment, and runs what is asked for as the user who runs the
 * tests.
 */
import { KeyError, SigningKey, checkCertificate, parsePrivateKey, parsePublicKey } from '@berth/ssh';
import type { Certificate } from '@berth/ssh';
import type { Peer } from '../../../ssh/src/testing/peer.ts';
import { startShellServer } from '../../../ssh/src/testing/shell-server.ts';
import type { SecretFiles } from '../runtime/runtime.ts';

export async function startInsideServer(
  secrets: () => SecretFiles | undefined,
  environment: Record<string, string>,
): Promise<Peer> {
  const server = await startShellServer({
    environment,
    hostKeys: [new SigningKey(parsePrivateKey(secrets()?.ssh_host_ed25519_key ?? ''))],
    authentication: {
      methods: ['publickey'],
      decide: (attempt) => {
        if (attempt.method !== 'publickey' || attempt.certificate === undefined) return { outcome: 'refuse' };
        if (!opens(attempt.certificate, secrets())) return { outcome: 'refuse' };
        return { outcome: attempt.signed ? 'accept' : 'usable' };
      },
    },
  });
  return { host: '127.0.0.1', port: server.port, stop: server.stop };
}

function opens(certificate: Certificate, secrets: SecretFiles | undefined): boolean {
  const authority = parsePublicKey(secrets?.['trusted_user_ca.pub'] ?? '').blob;
  try {
    checkCertificate(certificate, {
      role: 'user',
      principals: (secrets?.principals ?? '').trim().split('\n'),
      isTrusted: (blob) => blob.equals(authority),
      sourceAddress: '127.0.0.1',
    });
    return true;
  } catch (error) {
    if (error instanceof KeyError) return false;
    throw error;
  }
}
