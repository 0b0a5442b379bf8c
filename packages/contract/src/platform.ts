/** The state of this Berth as a whole: health, settings in force, what was found that is nobody's. */
import Type from 'typebox';
import type { Static } from 'typebox';

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
