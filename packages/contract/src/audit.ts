/** The audit log: who did what, from where, and whether it was allowed. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { NumericId, Timestamp, listQuery, nullable, oneOf, page } from './common.ts';

export const auditOutcomes = ['done', 'refused'] as const;
export type AuditOutcome = (typeof auditOutcomes)[number];

export const AuditRecord = Type.Object(
  {
    id: Type.Integer({ description: 'grows; the cursor of this list' }),
    at: Timestamp,
    action: Type.String({ description: 'such as customer.create or login' }),
    outcome: oneOf(auditOutcomes),
    account: nullable(Type.String(), { description: 'null: nobody was signed in' }),
    customer_id: nullable(Type.Integer()),
    source: nullable(Type.String(), { description: 'address; null: the socket in the data folder' }),
    target: nullable(Type.String(), { description: 'what it was done to' }),
    detail: Type.Record(Type.String(), Type.Unknown(), { description: 'what changed; never a secret' }),
  },
  { $id: 'AuditRecord' },
);
export type AuditRecord = Static<typeof AuditRecord>;
export const AuditPage = page(AuditRecord, 'AuditPage');
export type AuditPage = Static<typeof AuditPage>;
export const ListAudit = listQuery({
  action: Type.Optional(Type.String({ maxLength: 64, description: 'an action, or its part before the dot' })),
  account: Type.Optional(Type.String({ maxLength: 64 })),
  customer_id: Type.Optional(NumericId),
  target: Type.Optional(Type.String({ maxLength: 128 })),
  outcome: Type.Optional(oneOf(auditOutcomes)),
  since: Type.Optional(Timestamp),
  until: Type.Optional(Timestamp),
});
