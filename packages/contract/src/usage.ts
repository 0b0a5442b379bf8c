/** What environments use of the machine: just now, and over an hour or a day. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { EnvironmentId } from './environment.ts';
import { NumericId, Timestamp, listQuery, nullable, oneOf, page } from './common.ts';
import { usageRanges } from './vocabulary.ts';

/** Of its present run. */
export const UsageLimits = Type.Object({
  cpu_cores: Type.Number({ description: 'never more than the machine has' }),
  memory_bytes: Type.Integer(),
  gpus: Type.Integer({ description: 'whole devices' }),
  disk_bytes: nullable(Type.Integer(), {
    description: 'of its folders that last, together; null: no limit is held to',
  }),
});

export const UsageNow = Type.Object({
  at: Timestamp,
  cpu_cores: Type.Number({ description: 'mean of the last seconds' }),
  cpu_share: Type.Number({ description: 'of its limit; 1 is all of it' }),
  memory_bytes: Type.Integer({ description: 'without files that are merely cached' }),
  memory_share: Type.Number(),
  gpu_share: nullable(Type.Number(), {
    description: 'how busy its devices are, 1 is all the time; null: none, or not to be told',
  }),
  gpu_memory_bytes: nullable(Type.Integer()),
  disk_bytes: nullable(Type.Integer(), {
    description: 'in its folders that last, up to some minutes old; null: not to be told',
  }),
  network_in_bytes: nullable(Type.Number(), { description: 'a second' }),
  network_out_bytes: nullable(Type.Number(), { description: 'a second' }),
});
export type UsageNow = Static<typeof UsageNow>;

/** A column: a value for each moment, null where nothing was measured. */
const Column = Type.Array(nullable(Type.Number()));

export const UsageSeries = Type.Object(
  {
    at: Type.Array(Type.Number(), { description: 'seconds since 1970, growing' }),
    cpu_cores: Column,
    memory_bytes: Column,
    gpu_share: nullable(Column),
    gpu_memory_bytes: nullable(Column),
    disk_bytes: nullable(Column),
    network_in_bytes: nullable(Column),
    network_out_bytes: nullable(Column),
  },
  { description: 'columns of one length; null instead of a column: nothing of it was ever measured' },
);
export type UsageSeries = Static<typeof UsageSeries>;

const ofEnvironment = {
  env_id: EnvironmentId,
  limits: UsageLimits,
  live: nullable(UsageNow, { description: 'null: it does not run, or began to just now' }),
};

/** `GET /api/environments/:id/usage` */
export const Usage = Type.Object(
  {
    ...ofEnvironment,
    range: oneOf(usageRanges),
    step_seconds: Type.Integer({ description: 'between two moments, where nothing is missing' }),
    series: UsageSeries,
  },
  { $id: 'Usage' },
);
export type Usage = Static<typeof Usage>;

export const UsageQuery = Type.Object(
  { range: Type.Optional(oneOf(usageRanges, { default: 'hour' })) },
  { additionalProperties: false },
);

/** `GET /api/usage`: those that run. */
export const RunningUsage = Type.Object(
  { ...ofEnvironment, name: Type.String(), customer_id: Type.Integer() },
  { $id: 'RunningUsage' },
);
export type RunningUsage = Static<typeof RunningUsage>;
export const RunningUsagePage = page(RunningUsage, 'RunningUsagePage');
export type RunningUsagePage = Static<typeof RunningUsagePage>;

export const ListUsage = listQuery({ customer_id: Type.Optional(NumericId) });
export type ListUsage = Static<typeof ListUsage>;
