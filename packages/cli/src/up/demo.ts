/** The first environment: made once in a Berth's life, so that there is something to get into. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { routes } from '@berth/contract/paths';
import type { CreateEnvironment, CreatedEnvironment, Environment, EnvironmentPage } from '@berth/contract';
import type { Client } from '../client.ts';
import type { Progress } from '../progress.ts';
import { lastEventId } from '../timeline.ts';
import { isPassing, waitUntilAtRest } from '../wait.ts';

export const demoName = 'demo';
const patienceMs = 60_000;

/**
 * Makes the demo unless this Berth ever had an environment; a marker in the data folder remembers that it had.
 *
 * @returns the demo, at rest where that did not take too long; undefined when there is none
 */
export async function ensureDemo(
  client: Client,
  options: { dataDir: string; progress: Progress; signal: AbortSignal },
): Promise<Environment | undefined> {
  const { progress, signal } = options;
  const marker = join(options.dataDir, 'demo-made');
  if (!existsSync(marker)) {
    const { items } = await client.get<EnvironmentPage>(routes.environments, { limit: 1 });
    const wanted: CreateEnvironment = { name: demoName };
    const created =
      items.length === 0 ? await client.post<CreatedEnvironment>(routes.environments, wanted) : undefined;
    writeFileSync(marker, '', { mode: 0o600 });
    if (created !== undefined) {
      progress.step(`creating the environment ${demoName}`);
      return waitUntilAtRest(client, created.env_id, { after: 0, progress, signal });
    }
  }
  const { items } = await client.get<EnvironmentPage>(routes.environments, { name: demoName });
  const demo = items.find((each) => each.name === demoName);
  if (demo === undefined || !isPassing(demo)) return demo;
  progress.step(`waiting for the environment ${demoName}`);
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  const after = await lastEventId(client, demo.env_id);
  return (await waitUntilAtRest(client, demo.env_id, { after, progress, signal: bounded })) ?? demo;
}
