/** Backup, restore and the renewal of the key ring. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { Timestamp } from './common.ts';

export const RestoreQuery = Type.Object(
  {
    replace: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'also where there are environments already; they are forgotten',
      }),
    ),
  },
  { additionalProperties: false },
);

const RowCounts = Type.Record(Type.String(), Type.Integer(), { description: 'rows of each table' });

export const Restored = Type.Object(
  {
    installation_id: Type.String({ description: 'the installation that this Berth is from now on' }),
    version: Type.String({ description: 'of the Berth that made the backup' }),
    made_at: Timestamp,
    rows: RowCounts,
  },
  { $id: 'Restored' },
);
export type Restored = Static<typeof Restored>;

/** The header of a backup's answer that holds its `RowCounts` as JSON. */
export const rowCountsHeader = 'berth-rows';

export const RotatedSecrets = Type.Object(
  {
    key_id: Type.String({ description: 'of the key that seals from now on' }),
    resealed: Type.Integer({ description: 'values that were sealed again' }),
    dropped: Type.Array(Type.String(), { description: 'ids of the keys that opened them before' }),
  },
  { $id: 'RotatedSecrets' },
);
export type RotatedSecrets = Static<typeof RotatedSecrets>;
