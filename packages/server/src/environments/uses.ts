/** Which environments use a thing of a catalogue, so that it is not deleted under them. */
import { BerthError } from '@berth/contract';
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';

const namedAtMost = 5;

/** @param thing locked by the caller, so that no environment begins to use it. @throws BerthError `in_use` */
export async function mustBeUnused(
  session: Session,
  thing: { image: string } | { dataset: string },
): Promise<void> {
  const query = session.selectFrom('environments').select('id').where('status', '<>', 'deleted');
  const rows = await (
    'image' in thing
      ? query.where('image', '=', thing.image)
      : query.where(sql<boolean>`datasets @> array[${thing.dataset}]::text[]`)
  )
    .orderBy('id')
    .limit(namedAtMost + 1)
    .execute();
  if (rows.length === 0) return;
  const [kind, name] = 'image' in thing ? ['image', thing.image] : ['data set', thing.dataset];
  const shown = rows.slice(0, namedAtMost).map(({ id }) => id);
  const users = `${shown.join(', ')}${rows.length > namedAtMost ? ' and others' : ''}`;
  throw new BerthError('in_use', `The ${kind} ${name} is used by ${users}.`);
}
