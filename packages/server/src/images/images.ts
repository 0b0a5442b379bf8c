/**
 * The catalogue of images that environments start from: who may use which, and what a look into one found.
 *
 * The environment image that Berth builds is in it as `default`.
 */
import { BerthError } from '@berth/contract';
import type { AddImage, Image, ImageCheck, ImageFinding, UpdateImage } from '@berth/contract';
import { visibleCustomer } from '../accounts/principal.ts';
import type { Principal } from '../accounts/principal.ts';
import { audit } from '../audit/audit.ts';
import type { Actor } from '../audit/audit.ts';
import { mustBeCustomers, shownCustomers } from '../customers/named.ts';
import type { Database, Session } from '../database/database.ts';
import type { ImageRow } from '../database/schema.ts';
import { mustBeUnused } from '../environments/uses.ts';
import type { Services } from '../http/app.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import type { Page } from '../http/pages.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import {
  deleteImage,
  findImage,
  holdImage,
  insertImage,
  listImages,
  lockImage,
  updateImage,
  writeCheck,
} from './table.ts';

export const defaultImage = 'default';

/** A pull may take as long as this. */
const longestCheckMs = 10 * 60 * 1000;

export async function imagesOf(
  database: Database,
  principal: Principal,
  { limit = 100, cursor }: { limit?: number; cursor?: string },
): Promise<Page<Image>> {
  const visibleTo = visibleCustomer(principal);
  const rows = await listImages(database, {
    visibleTo,
    after: readCursor(cursor, ['string'])?.[0] as string | undefined,
    limit: limit + 1,
  });
  return pageOf(
    rows,
    limit,
    ({ name }) => [name],
    (row) => presentImage(row, visibleTo),
  );
}

/** @throws BerthError `not_found` */
export async function imageOf(database: Database, principal: Principal, name: string): Promise<Image> {
  const visibleTo = visibleCustomer(principal);
  const row = await findImage(database, name, visibleTo);
  if (!row) throw noSuchImage(name);
  return presentImage(row, visibleTo);
}

/** It is not looked into before somebody asks for a check. @throws BerthError `name_taken`, `unknown_reference` */
export async function addImage(database: Database, actor: Actor, input: AddImage): Promise<Image> {
  const { name, reference, description = '', default_resources = {}, customers = null } = input;
  return database.transaction().execute(async (transaction) => {
    await mustBeCustomers(transaction, customers);
    const row = await insertImage(transaction, {
      name,
      reference,
      description,
      default_resources: JSON.stringify(default_resources),
      customers,
    });
    if (!row) {
      throw new BerthError('name_taken', `name: there is an image ${JSON.stringify(name)} already.`, {
        field: 'name',
      });
    }
    await audit(transaction, actor, { action: 'image.add', target: name, detail: { ...input } });
    return presentImage(row, null);
  });
}

/**
 * Environments take another reference over at their next start.
 *
 * @throws BerthError `not_found`, `unknown_reference`, `bad_request`
 */
export async function changeImage(
  database: Database,
  actor: Actor,
  name: string,
  change: UpdateImage,
): Promise<Image> {
  return database.transaction().execute(async (transaction) => {
    const before = await lockImage(transaction, name);
    if (!before) throw noSuchImage(name);
    const { reference, description, default_resources, customers } = change;
    const moves = reference !== undefined && reference !== before.reference;
    if (moves && name === defaultImage) {
      throw new BerthError(
        'bad_request',
        `reference: the image ${defaultImage} is the one that belongs to this Berth, set at each start.`,
        { field: 'reference', cure: 'Add an image of another name, or set environmentImage.' },
      );
    }
    await mustBeCustomers(transaction, customers);
    const row = await updateImage(transaction, name, {
      reference: reference ?? before.reference,
      ...(description === undefined ? {} : { description }),
      ...(default_resources === undefined ? {} : { default_resources: JSON.stringify(default_resources) }),
      ...(customers === undefined ? {} : { customers }),
      ...(moves ? { last_check: null } : {}),
    });
    await audit(transaction, actor, { action: 'image.update', target: name, detail: { ...change } });
    return presentImage(row, null);
  });
}

/** @throws BerthError `not_found`, `in_use` */
export async function removeImage(database: Database, actor: Actor, name: string): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    const row = await lockImage(transaction, name);
    if (!row) throw noSuchImage(name);
    if (name === defaultImage) {
      throw new BerthError('in_use', `The image ${defaultImage} belongs to Berth and stays.`, {
        cure: 'Say with "customers" who may use it.',
      });
    }
    await mustBeUnused(transaction, { image: name });
    await deleteImage(transaction, name);
    await audit(transaction, actor, {
      action: 'image.delete',
      target: name,
      detail: { reference: row.reference },
    });
  });
}

/** @throws BerthError `not_found`, `runtime_unavailable` */
export async function checkImage(
  { database, runtime, stopping }: Pick<Services, 'database' | 'runtime' | 'stopping'>,
  actor: Actor,
  name: string,
): Promise<Image> {
  const row = await findImage(database, name, null);
  if (!row) throw noSuchImage(name);
  const signal = AbortSignal.any([stopping, AbortSignal.timeout(longestCheckMs)]);
  const findings = await runtime.checkImage(row.reference, signal).catch((error: unknown) => {
    if (!(error instanceof RuntimeError) || error.code === 'unavailable') throw error;
    const finding: ImageFinding = {
      what: 'image',
      result: 'missing',
      detail: error.message,
      cure: error.cure,
    };
    return [finding];
  });
  const check: ImageCheck = {
    usable: findings.every(({ result }) => result !== 'missing'),
    checked_at: new Date().toISOString(),
    findings,
  };
  return database.transaction().execute(async (transaction) => {
    await writeCheck(transaction, name, row.reference, check);
    const now = await findImage(transaction, name, null);
    if (!now) throw noSuchImage(name);
    await audit(transaction, actor, {
      action: 'image.check',
      target: name,
      detail: { reference: row.reference, usable: check.usable },
    });
    return presentImage(now, null);
  });
}

/**
 * The image for a new environment of the customer; it stays until the transaction ends. One that the customer may not
 * use is refused in the words for one that does not exist.
 *
 * @throws BerthError `unknown_image`, `unusable_image`
 */
export async function imageForNew(session: Session, customerId: number, name: string): Promise<ImageRow> {
  // The database holds no zero character, and so no image of such a name.
  const row = !name.includes('\0') ? await holdImage(session, name, customerId) : undefined;
  if (!row) throw await unknownImage(session, customerId, name);
  const { last_check: check } = row;
  if (check === null || check.usable) return row;
  const lacks = check.findings.filter(({ result }) => result === 'missing');
  throw new BerthError(
    'unusable_image',
    `image: ${JSON.stringify(name)} cannot be an environment. ${lacks.map(({ detail }) => detail).join(' ')}`,
    { field: 'image' },
  );
}

async function unknownImage(session: Session, customerId: number, name: string): Promise<BerthError> {
  const images = await listImages(session, { visibleTo: customerId, after: undefined, limit: 100 });
  const known = images.map((image) => image.name).join(', ');
  return new BerthError(
    'unknown_image',
    `image: there is no image ${JSON.stringify(name)}; there ${known ? `are: ${known}` : 'are none'}.`,
    {
      field: 'image',
      ...(known ? {} : { cure: 'Start Berth with "npx berth up", which builds the environment image.' }),
    },
  );
}

function noSuchImage(name: string): BerthError {
  return new BerthError('not_found', `There is no image ${JSON.stringify(name)}.`);
}

function presentImage(row: ImageRow, visibleTo: number | null): Image {
  const { name, reference, description, default_resources, customers, last_check, created_at } = row;
  return {
    name,
    reference,
    description,
    default_resources,
    customers: shownCustomers(customers, visibleTo),
    check: last_check,
    created_at: created_at.toISOString(),
  };
}
