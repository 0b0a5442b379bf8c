/** Who is signed in. The one place in the browser where a person becomes an account. */
import type { ChangePassword, Login, Whoami } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { queryOptions } from '@tanstack/react-query';
import { call } from './client.ts';

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: ({ signal }) => call<Whoami>('GET', routes.whoami, { signal }),
  staleTime: 60_000,
});

export async function signIn(login: Login): Promise<Whoami> {
  const session = await call<Whoami>('POST', routes.session, { body: login });
  typed = session.password_given ? login.password : null;
  return session;
}

/** Held from the sign-in to the page that asks for another password, which comes right after it. */
let typed: string | null = null;

export const typedPassword = (): string | null => typed;

export function forgetTypedPassword(): void {
  typed = null;
}

export const signOut = () => call<string>('DELETE', routes.session);

export const changePassword = (change: ChangePassword) =>
  call<string>('POST', routes.ownPassword, { body: change });
