/** The catalogue of images that environments start from. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { NumericId, Timestamp, listQuery, nullable, oneOf, page, slug } from './common.ts';
import { Resources } from './environment.ts';

export const ImageName = slug('name in the catalogue');

const Reference = Type.String({
  maxLength: 255,
  pattern: '^[a-z0-9][A-Za-z0-9_./:@-]{0,254}$',
  description: 'as "docker pull" takes it',
});
const Description = Type.String({ maxLength: 500, pattern: '^[^\\u0000-\\u0008\\u000b-\\u001f\\u007f]*$' });
const Customers = nullable(Type.Array(NumericId, { maxItems: 1000, uniqueItems: true }), {
  description: 'customers that may use it; null: all',
});
const DefaultResources = Type.Partial(Resources, { additionalProperties: false });

export const imageCheckResults = ['ok', 'warning', 'missing'] as const;

/** What one look into the image found. */
export const ImageFinding = Type.Object({
  what: Type.String({ description: 'such as sshd, user, sudo, jupyter' }),
  result: oneOf(imageCheckResults),
  detail: Type.String(),
  cure: nullable(Type.String()),
});
export type ImageFinding = Static<typeof ImageFinding>;

export const ImageCheck = Type.Object({
  usable: Type.Boolean({ description: 'an environment can start from it' }),
  checked_at: Timestamp,
  findings: Type.Array(ImageFinding),
});
export type ImageCheck = Static<typeof ImageCheck>;

export const Image = Type.Object(
  {
    name: Type.String(),
    reference: Type.String(),
    description: Type.String(),
    default_resources: DefaultResources,
    customers: Customers,
    check: nullable(ImageCheck, { description: 'the last check; null: never checked' }),
    created_at: Timestamp,
  },
  { $id: 'Image' },
);
export type Image = Static<typeof Image>;
export const ImagePage = page(Image, 'ImagePage');
export type ImagePage = Static<typeof ImagePage>;
export const ListImages = listQuery({});

export const AddImage = Type.Object(
  {
    name: ImageName,
    reference: Reference,
    description: Type.Optional(Description),
    default_resources: Type.Optional(DefaultResources),
    customers: Type.Optional(Customers),
  },
  { $id: 'AddImage', additionalProperties: false },
);
export type AddImage = Static<typeof AddImage>;

export const UpdateImage = Type.Partial(Type.Omit(AddImage, ['name']), {
  $id: 'UpdateImage',
  additionalProperties: false,
  minProperties: 1,
});
export type UpdateImage = Static<typeof UpdateImage>;
