/** The state of this Berth as a whole: health, settings in force, what was found that is nobody's. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { Timestamp, nullable, oneOf } from './common.ts';

export const Health = Type.Object({ status: Type.Literal('ok') }, { $id: 'Health' });
export type Health = Static<typeof Health>;

export const Readiness = Type.Object(
  {
    status: Type.Unsafe<'ready' | 'not_ready'>({ type: 'string', enum: ['ready', 'not_ready'] }),
    checks: Type.Object({
      database: Type.String({ description: '"ok" or what is wrong' }),
      runtime: Type.String({ description: '"ok" or what is wrong' }),
    }),
  },
  { $id: 'Readiness' },
);
export type Readiness = Static<typeof Readiness>;

export const Setting = Type.Object({
  name: Type.String(),
  value: Type.Unknown(),
  source: Type.String({
    description: 'where the value came from: default, a file, or an environment variable',
  }),
});
export type Setting = Static<typeof Setting>;

export const Platform = Type.Object(
  {
    version: Type.String(),
    installation_id: Type.String(),
    runtime: Type.String(),
    database: Type.String(),
    images: Type.Array(Type.Object({ name: Type.String(), reference: Type.String() })),
    settings: Type.Array(Setting),
    notes: Type.Array(Type.String(), { description: 'what the runtime cannot do here, said aloud' }),
    unclaimed: Type.Array(
      Type.Object({
        kind: Type.String(),
        name: Type.String(),
        env_id: Type.String(),
      }),
      {
        description:
          'containers and volumes of this installation without an environment; reported, never deleted',
      },
    ),
    ports: Type.Object({ used: Type.Integer(), resting: Type.Integer(), free: Type.Integer() }),
  },
  { $id: 'Platform' },
);
export type Platform = Static<typeof Platform>;

/** What is looked at, in the order in which it is told. */
export const healthChecks = [
  'database',
  'runtime',
  'gateways',
  'data_disk',
  'runtime_disk',
  'certificate',
  'ports',
  'queue',
  'audit',
  'backup',
] as const;
export type HealthCheckName = (typeof healthChecks)[number];

/** From best to worst. */
export const healthResults = ['ok', 'unknown', 'warning', 'failed'] as const;
export type HealthResult = (typeof healthResults)[number];

export const HealthCheck = Type.Object(
  {
    name: oneOf(healthChecks),
    result: oneOf(healthResults),
    detail: Type.String({ description: 'what was found, for people' }),
    cure: nullable(Type.String(), { description: 'what to do; null: nothing' }),
    facts: Type.Record(Type.String(), nullable(Type.Union([Type.String(), Type.Number()])), {
      description: 'the numbers, times and names in the sentences',
    }),
  },
  { $id: 'HealthCheck' },
);
export type HealthCheck = Static<typeof HealthCheck>;

/** `GET /api/platform/health` */
export const PlatformHealth = Type.Object(
  {
    at: Timestamp,
    result: oneOf(healthResults, { description: 'the worst of all' }),
    checks: Type.Array(HealthCheck),
    gateways: Type.Array(
      Type.Object({
        id: Type.String(),
        host: Type.String(),
        version: Type.String(),
        started_at: Timestamp,
        seen_at: Timestamp,
        connections: Type.Integer(),
        draining: Type.Boolean({ description: 'it takes nobody anew, and ends with its last connection' }),
      }),
      { description: 'workers that were heard within a minute' },
    ),
    versions: Type.Object({ berth: Type.String(), node: Type.String(), database: Type.String() }),
  },
  { $id: 'PlatformHealth' },
);
export type PlatformHealth = Static<typeof PlatformHealth>;
