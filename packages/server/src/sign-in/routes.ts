/** /api/login, /api/session, /api/whoami, /api/account/password: an account and its password. */
import { ChangePassword, Login, LoginToken, Whoami, routes } from '@berth/contract';
import Type from 'typebox';
import type { Principal } from '../accounts/principal.ts';
import { actorOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import { principalOfToken } from '../tokens/table.ts';
import { hashOf } from '../tokens/tokens.ts';
import { SignInLimits } from './limits.ts';
import { mustBeSameOrigin, setSessionCookie } from './origin.ts';
import { changeOwnPassword, signIn, signInLifeMs, signOut } from './sign-in.ts';

export function signInRoutes(app: App, { database, addresses, settings }: Services): void {
  const tags = ['sign-in'];
  const limits = new SignInLimits();

  app.post(
    routes.login,
    {
      config: { public: true },
      schema: {
        summary: 'A token for an account and its password',
        tags,
        body: Login,
        response: { 200: LoginToken },
      },
    },
    async (request) => {
      const made = await signIn(database, limits, actorOf(request), request.body, 'login');
      return { token: made.token, expires_at: made.expiresAt.toISOString() };
    },
  );

  app.post(
    routes.session,
    {
      config: { public: true },
      schema: {
        summary: "Sign in a browser: the session's token comes as a cookie",
        tags,
        body: Login,
        response: { 200: Whoami },
      },
    },
    async (request, reply) => {
      // Nobody else's page signs a browser in, as whomever.
      if (request.headers.origin !== undefined) mustBeSameOrigin(request, addresses.publicUrl);
      const { token } = await signIn(database, limits, actorOf(request), request.body, 'session');
      const hash = hashOf(token);
      const signedIn = hash && (await principalOfToken(database, hash));
      if (!signedIn) throw new Error('the session was just made');
      setSessionCookie(reply, addresses.publicUrl, token, signInLifeMs / 1000);
      return presentPrincipal(signedIn.principal);
    },
  );

  app.delete(
    routes.session,
    {
      config: { anyScope: true },
      schema: {
        summary: 'Sign out: ends the session or login that asks',
        tags,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await signOut(database, actorOf(request), request.principal);
      setSessionCookie(reply, addresses.publicUrl, null);
      return reply.code(204).send(null);
    },
  );

  app.get(
    routes.whoami,
    {
      config: { anyScope: true },
      schema: { summary: 'Who is asking', tags, response: { 200: Whoami } },
    },
    (request) => presentPrincipal(request.principal),
  );

  app.post(
    routes.ownPassword,
    {
      schema: {
        summary: 'Change your own password; ends your other sessions and logins',
        tags,
        body: ChangePassword,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await changeOwnPassword(database, settings, limits, actorOf(request), request.principal, request.body);
      return reply.code(204).send(null);
    },
  );
}

function presentPrincipal(principal: Principal): Whoami {
  const { account, accountId, role, customerId, customer, scopes } = principal;
  return { account, account_id: accountId, role, customer_id: customerId, customer, scopes: [...scopes] };
}
