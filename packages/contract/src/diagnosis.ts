/**
 * `GET /api/environments/:id/diagnosis`: why somebody does not get into an environment, or why it does not run, and what
 * helps. What there is to be found stands in findings.ts.
 */
import Type from 'typebox';
import type { Static } from 'typebox';
import { CheckResult } from './check-result.ts';
import { Timestamp, nullable } from './common.ts';
import { EnvironmentId } from './environment.ts';

/** The longest that a diagnosis takes, whatever hangs. */
export const longestDiagnosisMs = 15_000;

export const DiagnoseEnvironment = Type.Object(
  {
    source: Type.Optional(
      Type.String({
        maxLength: 64,
        description: 'address from which the person connects; default: the one that asks',
      }),
    ),
    fingerprint: Type.Optional(
      Type.String({
        pattern: '^SHA256:[A-Za-z0-9+/]{43}$',
        maxLength: 50,
        description: 'of the key that the person uses',
      }),
    ),
    certificate: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9+/]{1,8190}={0,2}$',
        maxLength: 8192,
        description: 'the user certificate, as in a file ...-cert.pub: its second word',
      }),
    ),
  },
  { additionalProperties: false },
);
export type DiagnoseEnvironment = Static<typeof DiagnoseEnvironment>;

export const Diagnosis = Type.Object(
  {
    env_id: EnvironmentId,
    at: Timestamp,
    source: nullable(Type.String(), { description: 'whose way in was looked at; null: it is not known' }),
    healthy: Type.Boolean({ description: 'whether nothing was found to be a problem' }),
    checks: Type.Array(CheckResult, { description: 'in the order in which to read them' }),
    duration_ms: Type.Integer(),
  },
  { $id: 'Diagnosis' },
);
export type Diagnosis = Static<typeof Diagnosis>;
