/**
 * Where a gateway's server is: `unix:PATH` on the same machine, `https://HOST:PORT` with certificates of both sides
 * elsewhere. The supervisor reads the certificates, since a worker without privileges may not be able to.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

export type ServerAddress =
  | { kind: 'unix'; path: string }
  | { kind: 'tls'; host: string; port: number; certificate: string; key: string; authority: string };

/** Paths of PEM files. */
export interface CertificateFiles {
  certificate: string;
  key: string;
  authority: string;
}

export type ServerPlace = { kind: 'unix'; path: string } | { kind: 'tls'; host: string; port: number };

/** @returns undefined when the text is neither of the two */
export function parseServerPlace(text: string): ServerPlace | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    return path === '' ? undefined : { kind: 'unix', path };
  }
  const url = URL.parse(text);
  if (url === null || url.protocol !== 'https:' || url.username !== '' || url.pathname !== '/')
    return undefined;
  if (url.search !== '' || url.hash !== '') return undefined;
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return { kind: 'tls', host, port: url.port === '' ? 443 : Number(url.port) };
}

/** @throws Error with a sentence: a file cannot be read */
export function serverAddress(place: ServerPlace, files: CertificateFiles | null): ServerAddress {
  if (place.kind === 'unix') return place;
  if (files === null) throw new Error('a server on another machine needs certificates');
  const read = (file: string) => {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      throw new Error(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
    }
  };
  return {
    ...place,
    certificate: read(files.certificate),
    key: read(files.key),
    authority: read(files.authority),
  };
}

export function shownPlace(place: ServerPlace): string {
  if (place.kind === 'unix') return `unix:${place.path}`;
  return `https://${isIP(place.host) === 6 ? `[${place.host}]` : place.host}:${place.port}`;
}
