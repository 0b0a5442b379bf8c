/**
 * What of a request goes on to JupyterLab, and what of its answer to the browser (RFC 9110, section 7.6.1). Nothing of
 * Berth's own sign-in goes in, and nothing that comes out sets a cookie for more than this environment's JupyterLab.
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';

/** Of one connection, not of the message. */
const hopByHop = [
  ...['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
  ...['proxy-authenticate', 'proxy-authorization'],
];

/** What says who somebody is or where from: believed inside only of Berth. */
const identity = /^(authorization|forwarded|via|expect|x-(forwarded|real|remote|auth|berth)-.*|remote-user)$/;

/** What the server answers itself, or what would give a script more than its own environment. */
const kept =
  /^(server|service-worker-allowed|access-control-.*|strict-transport-security|clear-site-data|alt-svc)$/;

/** Names of cookies that are Berth's: its session's, its page's, JupyterLab's session. */
const ownCookie = /^(__Host-|__Secure-)?berth(-[a-z]+)?$/;

export function headersInwards(
  given: IncomingHttpHeaders,
  { token, account }: { token: string; account: string },
): OutgoingHttpHeaders {
  const named = new Set(listOf(given.connection));
  const headers: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || hopByHop.includes(name) || named.has(name) || identity.test(name)) continue;
    headers[name] = value;
  }
  const cookies = (given.cookie ?? '')
    .split(';')
    .map((each) => each.trim())
    .filter((each) => each !== '' && !ownCookie.test(each.split('=')[0]?.trim() ?? ''));
  if (cookies.length > 0) headers['cookie'] = cookies.join('; ');
  else delete headers['cookie'];
  return { ...headers, 'x-berth-jupyter': token, 'x-berth-account': account };
}

export function headersOutwards(
  given: IncomingHttpHeaders,
  { baseUrl, isSecure }: { baseUrl: string; isSecure: boolean },
): OutgoingHttpHeaders {
  const named = new Set(listOf(given.connection));
  const headers: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || hopByHop.includes(name) || named.has(name) || kept.test(name)) continue;
    headers[name] = value;
  }
  const cookies = (given['set-cookie'] ?? []).flatMap((each) => confined(each, baseUrl, isSecure));
  if (cookies.length > 0) headers['set-cookie'] = cookies;
  else delete headers['set-cookie'];
  return {
    ...headers,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'same-origin',
    // No other site, nor another environment's page, has it in an element of its own.
    'cross-origin-resource-policy': 'same-origin',
    // Beside its own policy, and whatever that says.
    'content-security-policy': [given['content-security-policy'] ?? [], "frame-ancestors 'self'"]
      .flat()
      .join(', '),
  };
}

/** A cookie of this environment's JupyterLab only (RFC 6265, section 4.1). */
function confined(cookie: string, baseUrl: string, isSecure: boolean): string[] {
  const [pair = '', ...attributes] = cookie.split(';').map((each) => each.trim());
  const name = pair.split('=')[0]?.trim() ?? '';
  if (name === '' || ownCookie.test(name) || name.startsWith('__Host-')) return [];
  let path = baseUrl;
  const others = attributes.filter((attribute) => {
    const [key = '', value = ''] = attribute.split('=').map((each) => each.trim());
    if (key.toLowerCase() === 'path' && value.startsWith(baseUrl)) path = value;
    return !['path', 'domain', 'secure', 'samesite'].includes(key.toLowerCase());
  });
  return [[pair, ...others, `Path=${path}`, 'SameSite=Strict', ...(isSecure ? ['Secure'] : [])].join('; ')];
}

function listOf(header: string | undefined): string[] {
  return (header ?? '').split(',').map((each) => each.trim().toLowerCase());
}
