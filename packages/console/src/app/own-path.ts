import { routes } from '@berth/contract/paths';

/** Where a person may be led after signing in: pages of this console, whatever somebody wrote into a link. */
export function isOwnPath(path: unknown): path is string {
  if (typeof path !== 'string' || !path.startsWith('/')) return false;
  // As the browser reads it, which takes "/\example.org" and "/\t/example.org" for other hosts.
  const base = 'https://console.invalid';
  const read = URL.parse(path, base);
  return read !== null && read.origin === base;
}

const jupyter = routes.jupyter.split(':')[0] ?? '';

/** Goes to such a path: JupyterLab's is answered by the server, and leads to another origin. */
export function goTo(path: string, navigate: (path: string) => void): void {
  if (path.startsWith(jupyter)) location.assign(path);
  else navigate(path);
}
