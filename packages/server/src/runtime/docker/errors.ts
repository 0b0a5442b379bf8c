/** Turns what the engine answers into the runtime's errors, with the cure. */
import { RuntimeError } from '../runtime.ts';

interface EngineError extends Error {
  statusCode?: number;
  code?: string;
  reason?: string;
  json?: { message?: string } | null;
}

const lostConnection = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE', 'EACCES', 'ETIMEDOUT']);

const patterns: { pattern: RegExp; make(message: string): RuntimeError }[] = [
  {
    pattern: /port is already allocated|address already in use|cannot assign requested address/i,
    make: (message) =>
      new RuntimeError(
        'port_taken',
        `The port is held by another program (${message}).`,
        'Free the port, or let Berth choose another.',
      ),
  },
  {
    pattern:
      /could not select device driver|nvidia-container|no known GPU vendor|unknown or invalid runtime/i,
    make: () =>
      new RuntimeError(
        'gpu_unavailable',
        'This host gives no GPU to containers: the engine has no NVIDIA device driver.',
        'Install the NVIDIA driver and the NVIDIA Container Toolkit, or start the environment with gpu 0.',
      ),
  },
  {
    pattern: /no such image|manifest unknown|pull access denied|repository does not exist/i,
    make: (message) =>
      new RuntimeError(
        'image_missing',
        `The image is not on this host and cannot be pulled (${message}).`,
        'Check its reference, or pull it by hand with "docker pull".',
      ),
  },
  {
    pattern: /no space left on device|disk quota exceeded/i,
    make: () =>
      new RuntimeError(
        'no_space',
        'The disk of this host is full.',
        'Free space (see "docker system df"), then start the environment again.',
      ),
  },
];

export function runtimeError(error: unknown, doing: string): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const engine = error as EngineError;
  const message = engineMessage(error);
  if (
    engine.statusCode === undefined &&
    (lostConnection.has(engine.code ?? '') || /socket hang up/.test(message))
  ) {
    return new RuntimeError(
      'unavailable',
      engine.code === 'EACCES'
        ? 'This user may not use Docker (permission denied on its socket).'
        : 'Docker does not answer.',
      engine.code === 'EACCES'
        ? 'Add the user to the group "docker", or run Berth as root.'
        : 'Start it ("systemctl start docker"); Berth goes on by itself.',
      { cause: error },
    );
  }
  const known = patterns.find(({ pattern }) => pattern.test(message));
  if (known) return known.make(message);
  if (engine.statusCode === 400) {
    return new RuntimeError(
      'refused',
      `Docker refuses while ${doing}: ${message}.`,
      'Change the resources of the environment and start it again.',
      { cause: error },
    );
  }
  return new RuntimeError(
    'other',
    `Docker failed while ${doing}: ${message}.`,
    'Look at the log of the Docker daemon, then start the environment again.',
    { cause: error },
  );
}

export function hasStatus(error: unknown, ...statuses: number[]): boolean {
  return statuses.includes((error as EngineError).statusCode ?? 0);
}

export function engineMessage(error: unknown): string {
  const engine = error as EngineError;
  return oneLine(engine.json?.message ?? engine.message ?? String(error));
}

/** Without what the client library puts in front. */
function oneLine(text: string): string {
  return text
    .replace(/^\(HTTP code \d+\) [\w ]+ - /, '')
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/\.$/, '')
    .slice(0, 400);
}
