/**
 * Who is meant: from where a connection came in and the user name that it gives, to an environment, an account or
 * nobody. attempt.ts asks at each attempt, since the state may have changed since the one before.
 */
import type { AccountRoute, EnvironmentRoute, WayIn } from '@berth/contract';
import { fingerprint } from '@berth/ssh';
import type { OfferedKey } from '@berth/ssh';
import { mayReach, mayReachAny } from './allowlist.ts';
import type { GatewayState } from './state.ts';

/** Where a connection came in. */
export type Door =
  | { kind: 'own-port'; environment: string }
  | { kind: 'shared-port' }
  /** The inner session of a jump: an account has opened the way to one environment. */
  | { kind: 'jump'; environment: string; jumper: string };

export interface Route {
  way: WayIn;
  /** An environment's id, an account's name, or what was typed where there is neither. */
  target: string;
  /** Where there is one: the environment, or the account that wants to jump. */
  environment: EnvironmentRoute | undefined;
  account: AccountRoute | undefined;
  /** Whether the user name is the right one, without which nothing else is. */
  isUser: boolean;
}

export function routeOf(state: GatewayState, door: Door, user: string): Route {
  if (door.kind !== 'shared-port') {
    const environment = state.environment(door.environment);
    const isUser = environment?.username === user;
    return { way: door.kind, target: door.environment, environment, account: undefined, isUser };
  }
  const environment = state.environment(user);
  const account = environment === undefined ? state.account(user) : undefined;
  const way = account === undefined ? 'shared-port' : 'jump-login';
  return {
    way,
    target: user,
    environment,
    account,
    isUser: environment !== undefined || account !== undefined,
  };
}

/** Whether the allowlists let the source try at all. Where nobody is meant there is nobody to forbid it. */
export function mayTry(state: GatewayState, { environment, account }: Route, source: string): boolean {
  if (environment !== undefined) return mayReach(state, environment, source);
  return account === undefined || mayReachAny(state, account.customer, source);
}

/** Whether a signature by this key would be worth asking the server about. */
export function isKnownKey(state: GatewayState, route: Route, { key, certificate }: OfferedKey): boolean {
  const { environment, account, isUser } = route;
  if (!isUser) return false;
  const customer = state.customer((account ?? environment)?.customer ?? NaN);
  if (customer === undefined) return false;
  if (certificate === undefined) return (account ?? customer).keys.includes(fingerprint(key.blob));
  return customer.authorities.includes(fingerprint(certificate.authority.blob));
}
