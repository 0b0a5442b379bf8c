/** Whether the machine has what the environment needs: engine, image, quota, data sets, room. */
import { statfs } from 'node:fs/promises';
import type { RunResources, DiskRoom } from '../../runtime/runtime.ts';
import { RuntimeError } from '../../runtime/runtime.ts';
import { specDatasets } from '../../datasets/table.ts';
import { resourcesOfNextRun } from '../../environments/resources.ts';
import { whatDoesNotFit } from '../../quotas/quotas.ts';
import { imageReference } from '../../reconciler/table.ts';
import { found, gibibytes, mebibytes } from '../found.ts';
import type { Found } from '../found.ts';
import type { Scene } from '../scene.ts';

/** Below these nothing starts reliably. */
const leastDiskBytes = 512 * 1024 ** 2;
const leastInodes = 1000;
const leastMemoryBytes = 200 * 1024 ** 2;
/** Programs that want to run, for each core. */
const mostLoadPerCore = 20;

export async function runtime(scene: Scene): Promise<Found> {
  try {
    await scene.workload();
    return found('runtime_answers', { runtime: scene.services.runtime.name });
  } catch (error) {
    if (!(error instanceof RuntimeError) || error.code !== 'unavailable') throw error;
    return found('runtime_away', { reason: error.message, what_to_do: error.cure });
  }
}

export async function image({ services: { database, runtime }, subject }: Scene): Promise<Found> {
  const reference = await imageReference(database, subject.image);
  if (reference === undefined) return found('image_not_in_catalogue', { image: subject.image });
  const isThere = await runtime.hasImage(reference);
  return found(isThere ? 'image_there' : 'image_missing', { image: subject.image, reference });
}

export async function quota({ services: { database }, subject, failing }: Scene): Promise<Found> {
  const runs = subject.wanted === 'running' && subject.status !== 'failed';
  if (runs || failing !== null) return found('quota_fits');
  const excess = await whatDoesNotFit(database, subject.customer_id, {
    excludeId: subject.id,
    environments: 1,
    ...(resourcesOfNextRun(subject) satisfies RunResources),
  });
  if (excess === null) return found('quota_fits');
  const { name: resource, limit, unit, used, asked } = excess;
  return found('quota_reached', { resource, limit, unit, used, asked });
}

export async function datasets({ services: { database, runtime }, subject }: Scene): Promise<Found> {
  const mounts = await specDatasets(database, subject.datasets);
  if (mounts.length === 0) return found('no_datasets');
  try {
    await Promise.all(mounts.map((each) => runtime.findDataset(each)));
  } catch (error) {
    if (!(error instanceof RuntimeError) || error.code !== 'dataset_missing') throw error;
    return found('dataset_missing', { reason: error.message, what_to_do: error.cure });
  }
  return found('datasets_there', { datasets: mounts.map(({ name }) => name).join(', ') });
}

export async function room({ services, question, signal }: Scene): Promise<Found> {
  const { runtime, settings } = services;
  const [machine, own] = await Promise.all([runtime.machineRoom(signal), diskOf(settings.dataDir)]);
  for (const { place, freeBytes, inodes, inodesFree } of [machine.disk, own]) {
    if (freeBytes < leastDiskBytes)
      return found('disk_full_on_machine', { place, disk_free_mib: mebibytes(freeBytes) });
    // Where more can be made there are none, by some file systems' count.
    if (inodes > 0 && inodesFree < leastInodes)
      return found('inodes_used_up_on_machine', { place, inodes_free: inodesFree });
  }
  const { memoryFreeBytes, load, cores } = machine;
  if (memoryFreeBytes < leastMemoryBytes)
    return found('memory_used_up_on_machine', { memory_free_mib: mebibytes(memoryFreeBytes) });
  if (load > mostLoadPerCore * cores) return found('processors_overloaded', { load, cores });
  if (!question.forAdministrator) return found('room_enough');
  return found('room_there', {
    disk_free_gib: gibibytes(machine.disk.freeBytes),
    memory_free_gib: gibibytes(memoryFreeBytes),
    load,
    cores,
  });
}

/** Where Berth's own files are. */
async function diskOf(place: string): Promise<DiskRoom> {
  const { bsize, bavail, files, ffree } = await statfs(place);
  return { place, freeBytes: bsize * bavail, inodes: files, inodesFree: ffree };
}
