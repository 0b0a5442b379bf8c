/** Host keys as the transport takes them, read once from the private key files of the state. */
import type { EnvironmentRoute } from '@berth/contract';
import { SigningKey, parsePrivateKeyFile, serverHostKey } from '@berth/ssh';
import type { ServerHostKey } from '@berth/ssh';

export interface HostKeys {
  keys: SigningKey[];
  forTransport: ServerHostKey[];
}

const ofEnvironments = new WeakMap<EnvironmentRoute, HostKeys>();
const ofGateways = new WeakMap<readonly string[], HostKeys>();

/** Of the own port and of the inner session of a jump. */
export function hostKeysOfEnvironment(environment: EnvironmentRoute): HostKeys {
  let keys = ofEnvironments.get(environment);
  if (keys === undefined) {
    keys = readHostKeys([environment.hostKey]);
    ofEnvironments.set(environment, keys);
  }
  return keys;
}

/** Of the shared port. */
export function hostKeysOfGateway(files: readonly string[]): HostKeys {
  let keys = ofGateways.get(files);
  if (keys === undefined) {
    keys = readHostKeys(files);
    ofGateways.set(files, keys);
  }
  return keys;
}

function readHostKeys(files: readonly string[]): HostKeys {
  const keys = files.map((file) => {
    const { key } = parsePrivateKeyFile(file);
    if (!(key instanceof SigningKey)) throw new TypeError('a host key is in a security key');
    return key;
  });
  return { keys, forTransport: keys.map((key) => serverHostKey(key)) };
}
