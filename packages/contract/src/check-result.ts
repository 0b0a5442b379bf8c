/** One thing that a diagnosis looked at, as the API shows it; findings.ts has what there is to be found. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { nullable, oneOf } from './common.ts';
import { diagnosisChecks, findings, verdicts } from './findings.ts';
import type { DiagnosisCheck, FindingCode } from './findings.ts';

const Fact = Type.Union([Type.String(), Type.Number(), Type.Boolean()]);

/** One thing that was looked at. */
export const CheckResult = Type.Object(
  {
    id: oneOf(Object.keys(diagnosisChecks) as DiagnosisCheck[]),
    looked_at: Type.String({ description: 'for people' }),
    verdict: oneOf(verdicts),
    code: oneOf(Object.keys(findings) as FindingCode[], { description: 'what was found; it stays as it is' }),
    cause: Type.String({ description: 'what was found, in plain words' }),
    cure: nullable(Type.String(), { description: 'what to do; null: nothing' }),
    facts: Type.Record(Type.String(), Fact, { description: 'what the sentences are made with, and more' }),
  },
  { $id: 'CheckResult' },
);
export type CheckResult = Static<typeof CheckResult>;
