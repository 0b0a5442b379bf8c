/** What an environment runs with: what it was asked for, or something else for one run only. */
import type { Resources } from '@berth/contract';
import type { EnvironmentRow } from '../database/schema.ts';

type Columns = Pick<EnvironmentRow, 'cpu' | 'memory' | 'gpu' | 'storage'>;

export function resourcesOf({ cpu, memory, gpu, storage }: Columns): Resources {
  return { cpu, memory, gpu, storage };
}

/** Storage cannot differ from run to run. */
export function resourcesOfNextRun(row: Columns & Pick<EnvironmentRow, 'run_resources'>): Resources {
  return { ...resourcesOf(row), ...row.run_resources, storage: row.storage };
}

export function areEqual(one: Resources, other: Resources): boolean {
  return (
    one.cpu === other.cpu &&
    one.memory === other.memory &&
    one.gpu === other.gpu &&
    one.storage === other.storage
  );
}

const units: Record<keyof Resources, string> = {
  cpu: 'cores',
  memory: 'GiB',
  gpu: 'devices',
  storage: 'GiB',
};

/** For people: `cpu 4 cores, gpu 0 devices`. */
export function inWords(resources: Partial<Resources>): string {
  return (Object.keys(units) as (keyof Resources)[])
    .filter((name) => resources[name] !== undefined)
    .map((name) => `${name} ${resources[name]} ${units[name]}`)
    .join(', ');
}
