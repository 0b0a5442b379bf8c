/** Starts the environment's JupyterLab over a session of the SSH connection, by inside/start.sh. labs.ts calls it. */
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { BerthError, jupyterRoutes, pathOf } from '@berth/contract';
import { imageCures } from '../../runtime/image-check.ts';
import type { Inside } from '../inside.ts';

/** Longer than the script waits for JupyterLab itself. */
const longestMs = 90_000;

const script = readFileSync(new URL('inside/start.sh', import.meta.url), 'utf8');
const configuration = readFileSync(new URL('inside/configuration.py', import.meta.url), 'utf8');

/** Where it listens inside, and what lets in. */
export interface RunningLab {
  /** Of its Unix socket. */
  path: string;
  token: string;
}

/** What everything of an environment begins with: `/jupyter/demo-7f3k/`. */
export function baseUrlOf(environment: string): string {
  return pathOf(jupyterRoutes.environment, { id: environment }).slice(0, -1);
}

/**
 * @throws BerthError `jupyter_missing`, `jupyter_failed`; why the connection ended
 */
export async function startJupyter(inside: Inside, idleMinutes: number): Promise<RunningLab> {
  const session = await inside.session();
  const timer = setTimeout(() => session.close(), longestMs);
  try {
    session.stderr.resume();
    const words = ['/bin/sh', '-s', baseUrlOf(inside.environment), String(idleMinutes), configuration];
    await session.exec(words.map(quoted).join(' '));
    session.channel.end(script);
    // What their profile prints comes before it.
    const line = (await text(session.channel)).split('\n').findLast((each) => each.startsWith(answer));
    const [, outcome = '', ...rest] = line?.trim().split(' ') ?? [];
    const [path = '', token = ''] = rest;
    const isRight = path.startsWith('/') && /^[0-9a-f]{64}$/.test(token);
    if (outcome === 'ready' && isRight) return { path, token };
    if (outcome === 'missing')
      throw new BerthError('jupyter_missing', `The image of ${inside.environment} has no JupyterLab.`, {
        cure: `In the environment: ${imageCures.jupyter} - or have it added to the image.`,
      });
    throw new BerthError(
      'jupyter_failed',
      `JupyterLab did not start in ${inside.environment}: ${printable(rest.join(' ')) || 'it said nothing.'}`,
    );
  } finally {
    clearTimeout(timer);
    session.close();
  }
}

const answer = 'berth-jupyter ';

/** As one word for whichever shell the user has. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", `'"'"'`)}'`;
}

function printable(said: string): string {
  return said.replace(/[\p{Cc}\p{Cf}]/gu, ' ').trim();
}
