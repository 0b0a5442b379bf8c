/**
 * The cookie of a browser's session, and the proof that a request came from one of Berth's own pages.
 *
 * The cookie is SameSite=Strict, but "site" takes in every port and every sister domain, where an environment may
 * serve anything; so what changes something must come from the origin itself.
 */
import { BerthError } from '@berth/contract';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Browsers take a `__Host-` cookie from this very host only, and only over TLS. */
function cookieOf(request: FastifyRequest, publicUrl: string): { name: string; secure: boolean } {
  const secure = request.protocol === 'https' || publicUrl.startsWith('https:');
  return { name: secure ? '__Host-berth' : 'berth', secure };
}

export function sessionToken(request: FastifyRequest, publicUrl: string): string | undefined {
  return request.cookies[cookieOf(request, publicUrl).name];
}

/** @param token null: the browser forgets it */
export function setSessionCookie(
  reply: FastifyReply,
  publicUrl: string,
  token: string | null,
  maxAgeSeconds = 0,
): void {
  const { name, secure } = cookieOf(reply.request, publicUrl);
  const attributes = { path: '/', httpOnly: true, sameSite: 'strict', secure } as const;
  void reply.setCookie(name, token ?? '', { ...attributes, maxAge: maxAgeSeconds });
}

/** For requests with a cookie that change something, and for WebSockets. @throws BerthError `forbidden` */
export function mustBeSameOrigin(request: FastifyRequest, publicUrl: string): void {
  const { origin } = request.headers;
  if (origin === undefined && request.headers['sec-fetch-site'] === 'same-origin') return;
  const own = [publicUrl, `${request.protocol}://${request.host}`].map((url) => URL.parse(url)?.origin);
  if (origin !== undefined && own.includes(origin)) return;
  throw new BerthError(
    'forbidden',
    origin === undefined
      ? 'The request has a cookie but does not say which page it comes from.'
      : `The request comes from a page of ${JSON.stringify(origin)}, which is not this Berth.`,
    {
      cure: `Send it from a page of ${own[0] ?? 'this Berth'} (setting publicUrl), or with "Authorization: Bearer <token>" instead of the cookie.`,
    },
  );
}
