/** Finds out who is asking: a bearer token, else the cookie of a browser's session. */
import { BerthError } from '@berth/contract';
import type { FastifyRequest } from 'fastify';
import type { Principal } from '../accounts/principal.ts';
import { firstAdministrator } from '../accounts/table.ts';
import type { Session } from '../database/database.ts';
import type { Services } from '../http/app.ts';
import { noteUse, principalOfToken } from '../tokens/table.ts';
import { hashOf } from '../tokens/tokens.ts';
import { mustBeSameOrigin, sessionToken } from './origin.ts';

/** @throws BerthError `unauthorized`; `forbidden` when a cookie comes from somebody else's page */
export async function authenticate(
  { database, addresses, logger }: Services,
  request: FastifyRequest,
): Promise<Principal> {
  const { authorization } = request.headers;
  const cookie = authorization === undefined ? sessionToken(request, addresses.publicUrl) : undefined;
  const token = cookie ?? /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  if (token === undefined) throw new BerthError('unauthorized', 'The request carries no bearer token.');
  const hash = hashOf(token);
  const found = hash && (await principalOfToken(database, hash));
  if (!found) {
    throw new BerthError(
      'unauthorized',
      cookie === undefined ? 'The bearer token is unknown or has expired.' : 'The session has ended.',
    );
  }
  if (cookie !== undefined && request.method !== 'GET' && request.method !== 'HEAD')
    mustBeSameOrigin(request, addresses.publicUrl);
  const { principal, useIsOld } = found;
  if (useIsOld && principal.tokenId !== null) {
    // Nobody waits for it, and nothing is lost where it fails.
    noteUse(database, principal.tokenId).catch((error: Error) =>
      logger.debug({ error: error.message }, 'the use of a token could not be noted'),
    );
  }
  return principal;
}

/** Who uses the Unix socket in the data folder: only its owner can open that. */
export async function localPrincipal(session: Session): Promise<Principal> {
  const principal = await firstAdministrator(session);
  if (!principal) throw new BerthError('unauthorized', 'There is no administrator.');
  return principal;
}
