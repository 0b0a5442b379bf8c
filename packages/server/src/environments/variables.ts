/**
 * The environment variables of an environment. People put secrets of their own into them, so they are kept sealed, and
 * reach the container as one of its secret files; only their names are shown again.
 */
import { BerthError, longestVariablesBytes, mostVariables } from '@berth/contract';
import type { EnvironmentVariables } from '@berth/contract';
import type { EnvironmentRow } from '../database/schema.ts';
import type { KeyRing } from '../secrets/key-ring.ts';

const purpose = (id: string) => `env-vars:${id}`;

/** @throws BerthError `bad_request` when they are too many, or too many bytes together */
export function sealVariables(
  keyRing: KeyRing,
  id: string,
  variables: EnvironmentVariables,
): Pick<EnvironmentRow, 'env_vars' | 'env_var_names'> {
  const names = Object.keys(variables).toSorted();
  if (names.length > mostVariables) {
    throw new BerthError(
      'bad_request',
      `env_vars: would be ${names.length}; at most ${mostVariables} are possible.`,
      {
        field: 'env_vars',
        cure: 'Remove some of them: null as its value removes one.',
      },
    );
  }
  const bytes = Object.entries(variables)
    .map(([name, value]) => Buffer.byteLength(`${name}=${value}`) + 1)
    .reduce((sum, each) => sum + each, 0);
  if (bytes > longestVariablesBytes) {
    throw new BerthError(
      'bad_request',
      `env_vars: are ${bytes} bytes together; at most ${longestVariablesBytes} are possible.`,
      { field: 'env_vars', cure: 'Put what is long into a file in the environment.' },
    );
  }
  return {
    env_vars: names.length === 0 ? null : keyRing.seal(JSON.stringify(variables), purpose(id)),
    env_var_names: names,
  };
}

export function openVariables(
  keyRing: KeyRing,
  { id, env_vars }: Pick<EnvironmentRow, 'id' | 'env_vars'>,
): EnvironmentVariables {
  return env_vars === null ? {} : (JSON.parse(keyRing.open(env_vars, purpose(id))) as EnvironmentVariables);
}

/** Those named are set, or removed by null; the others stay. */
export function changeVariables(
  before: EnvironmentVariables,
  change: Record<string, string | null>,
): EnvironmentVariables {
  const all = Object.entries({ ...before, ...change });
  return Object.fromEntries(all.filter((pair): pair is [string, string] => pair[1] !== null));
}
