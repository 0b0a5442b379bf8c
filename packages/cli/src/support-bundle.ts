/** The file of `berth support-bundle`: a tar archive of what a helper asks for first, with every secret taken out. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { release, version as osVersion } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { pathOf, routes } from '@berth/contract/paths';
import type { Environment, EnvironmentEvent, Platform } from '@berth/contract';
import { diagnose } from './doctor/doctor.ts';
import { usageFailure } from './failure.ts';
import { redact, redactText } from './redact.ts';
import type { Session } from './session.ts';
import { sshAccess } from './ssh-client.ts';
import { tarOf } from './tar.ts';
import { pastEvents } from './timeline.ts';

const eventsOfEach = 200;
const askTimeoutMs = 10_000;
/** More failed environments than anybody reads. */
const mostEnvironments = 50;

/** @returns the names of its files, and its size */
export async function writeSupportBundle(
  session: Session,
  file: string,
): Promise<{ files: string[]; bytes: number }> {
  if (existsSync(file)) throw usageFailure(`${file} is there already`, 'Name a file that is not there yet.');
  const { client, place } = session;
  const known = knownSecrets(session);
  const documents = new Map<string, unknown>();
  const missing: string[] = [];
  const add = async (name: string, content: () => Promise<unknown>) => {
    try {
      documents.set(name, await content());
    } catch (error) {
      missing.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };

  let platform: Platform | undefined;
  await add('platform.json', async () => (platform = await client.get<Platform>(routes.platform)));
  await add('settings.json', async () => platform?.settings ?? missingBecause('the platform did not answer'));
  await add('versions.json', async () => ({
    berth: platform?.version,
    node: process.versions.node,
    system: `${process.platform} ${release()} (${osVersion()})`,
    place: place.name,
  }));
  await add('doctor.json', () => diagnose(session));
  await add('readiness.json', async () =>
    text(await client.ask(routes.ready, AbortSignal.timeout(askTimeoutMs))),
  );
  await add('metrics.txt', async () =>
    text(await client.stream(routes.metrics, { headers: { accept: 'text/plain' } })),
  );
  const failedOnes: Environment[] = [];
  await add('failed-environments.json', async () => {
    const { items } = await client.list<Environment>(
      routes.environments,
      { status: 'failed' },
      mostEnvironments,
    );
    failedOnes.push(...items);
    for (const { env_id } of items) {
      const access = await sshAccess(session, env_id).catch(() => undefined);
      if (access !== undefined) known.push(access.ssh_password);
    }
    return items;
  });
  for (const { env_id } of failedOnes) {
    await add(`events/${pathOf(':id', { id: env_id })}.json`, () => lastEvents(session, env_id));
  }
  if (missing.length > 0) documents.set('missing.txt', `${missing.join('\n')}\n`);

  // Only now every secret is known.
  const files = new Map([...documents].map(([name, document]) => [name, contentOf(document, known)]));
  const archive = await promisify(gzip)(tarOf('berth-support', files));
  try {
    writeFileSync(file, archive, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw usageFailure(
      `${file} cannot be written (${error instanceof Error && 'code' in error ? String(error.code) : String(error)})`,
      'Name a file in a folder that is there and open to this account.',
    );
  }
  return { files: [...files.keys()], bytes: archive.length };
}

function missingBecause(reason: string): never {
  throw new Error(reason);
}

async function lastEvents(session: Session, id: string): Promise<EnvironmentEvent[]> {
  const events = await Array.fromAsync(pastEvents(session.client, id));
  return events.slice(-eventsOfEach);
}

function contentOf(document: unknown, known: string[]): string {
  if (typeof document === 'string') return redactText(document, known);
  return `${JSON.stringify(redact(document, known), null, 2)}\n`;
}

/** Secrets that this machine holds itself. */
function knownSecrets({ place }: Session): string[] {
  const known = [process.env['BERTH_TOKEN'], 'token' in place ? place.token : undefined];
  if ('folder' in place) {
    try {
      known.push(readFileSync(join(place.folder, 'admin-password'), 'utf8').trim());
    } catch {
      // It is there only until somebody changes it.
    }
  }
  return known.filter((each) => each !== undefined);
}
