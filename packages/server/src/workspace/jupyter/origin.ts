/**
 * The origin that JupyterLab is served from: never Berth's own, so that no script of a notebook can use Berth's session.
 * With a host name for each environment none can use another environment's either (docs/security.md).
 */
import { isIP } from 'node:net';
import type { Settings } from '../../settings.ts';

const wildcard = '*.';

/** Where its listener is: one port after the API's unless told otherwise. @returns null: nowhere */
export function placeOfJupyter({
  http,
  'jupyter.listen': place,
}: Pick<Settings, 'http' | 'jupyter.listen'>): { host: string; port: number } | null {
  if (place === 'none') return null;
  if (place !== null) return place;
  const { host, port } = http;
  return { host, port: port === 0 ? 0 : port === 65_535 ? 65_534 : port + 1 };
}

/** How the listeners are reached as they are, without anything in front. */
export interface Listening {
  /** `http://127.0.0.1:8080` */
  apiUrl: string;
  /** Port of JupyterLab's listener. */
  port: number;
}

export class JupyterOrigin {
  readonly #scheme: string;
  /** Without the star: host and port. */
  readonly #host: string;
  /** Whether each environment has a host name of its own. */
  readonly isolated: boolean;

  private constructor(pattern: string) {
    const [scheme = '', rest = ''] = pattern.split('//');
    this.#scheme = scheme;
    this.isolated = rest.startsWith(wildcard);
    this.#host = this.isolated ? rest.slice(wildcard.length) : rest;
  }

  /** @returns null where nobody has said how browsers reach it: behind a proxy only its operator knows */
  static of(
    settings: Pick<Settings, 'jupyter.publicUrl'>,
    publicUrl: string,
    listening: Listening,
  ): JupyterOrigin | null {
    const pattern = settings['jupyter.publicUrl'] ?? patternFrom(publicUrl, listening);
    return pattern === null ? null : new JupyterOrigin(pattern);
  }

  get isSecure(): boolean {
    return this.#scheme === 'https:';
  }

  /** `http://demo-7f3k.localhost:8081` */
  originOf(environment: string): string {
    return `${this.#scheme}//${this.isolated ? `${environment}.` : ''}${this.#host}`;
  }

  /** For a policy of content: all origins that there can be. */
  get pattern(): string {
    return `${this.#scheme}//${this.isolated ? wildcard : ''}${this.#host}`;
  }

  /** Whether this is the host of that environment's JupyterLab. @param host as a request names it, with its port */
  isHostOf(host: string, environment: string): boolean {
    return (
      URL.parse(`${this.#scheme}//${host.toLowerCase()}`)?.origin ===
      URL.parse(this.originOf(environment))?.origin
    );
  }
}

function patternFrom(publicUrl: string, { apiUrl, port }: Listening): string | null {
  const url = URL.parse(publicUrl);
  const api = URL.parse(apiUrl);
  if (!url || !api) return null;
  // Browsers find each name below localhost on this machine (RFC 6761, section 6.3). A certificate for it is rare.
  if (isLoopback(url.hostname) && url.protocol === 'http:') return `http://*.localhost:${port}`;
  const isDirect = url.protocol === api.protocol && portOf(url) === portOf(api);
  return isDirect ? `${url.protocol}//${url.hostname}:${port}` : null;
}

function portOf({ port, protocol }: URL): string {
  return port || (protocol === 'https:' ? '443' : '80');
}

function isLoopback(host: string): boolean {
  const address = host.replace(/[[\]]/g, '');
  return host === 'localhost' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}
