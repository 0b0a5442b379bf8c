/** The catalogue of images. The environment image that Berth builds is in it as `default`. */
import type { Session } from '../database/database.ts';

export async function setDefaultImage(session: Session, reference: string): Promise<void> {
  await session
    .insertInto('images')
    .values({ name: 'default', reference })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ reference }))
    .execute();
}
