/** Data sets: files that many environments mount at `/gemini/data-<name>`. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { NumericId, Timestamp, listQuery, nullable, oneOf, page } from './common.ts';

export const datasetKinds = ['folder', 'volume'] as const;
export type DatasetKind = (typeof datasetKinds)[number];

const Customers = nullable(Type.Array(NumericId, { maxItems: 1000, uniqueItems: true }), {
  description: 'customers that may mount it; null: all',
});
const Description = Type.String({ maxLength: 500, pattern: '^[^\\u0000-\\u0008\\u000b-\\u001f\\u007f]*$' });

export const Dataset = Type.Object(
  {
    name: Type.String(),
    kind: oneOf(datasetKinds, { description: 'a folder of the host, or a volume of the runtime' }),
    source: nullable(Type.String(), {
      description: 'absolute path of the folder, or name of the volume; null: only administrators see it',
    }),
    read_only: Type.Boolean(),
    description: Type.String(),
    customers: Customers,
    mount_path: Type.String(),
    environments: Type.Integer({ description: 'how many mount it' }),
    created_at: Timestamp,
  },
  { $id: 'Dataset' },
);
export type Dataset = Static<typeof Dataset>;
export const DatasetPage = page(Dataset, 'DatasetPage');
export type DatasetPage = Static<typeof DatasetPage>;
export const ListDatasets = listQuery({});

export const AddDataset = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,31}$', maxLength: 32 }),
    kind: oneOf(datasetKinds),
    source: Type.String({ minLength: 1, maxLength: 1024, pattern: '^[^\\u0000-\\u001f:]+$' }),
    read_only: Type.Optional(Type.Boolean({ description: 'default true' })),
    description: Type.Optional(Description),
    customers: Type.Optional(Customers),
  },
  { $id: 'AddDataset', additionalProperties: false },
);
export type AddDataset = Static<typeof AddDataset>;

export const UpdateDataset = Type.Object(
  {
    read_only: Type.Optional(Type.Boolean()),
    description: Type.Optional(Description),
    customers: Type.Optional(Customers),
  },
  { $id: 'UpdateDataset', additionalProperties: false, minProperties: 1 },
);
export type UpdateDataset = Static<typeof UpdateDataset>;
