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
/** A record as its seal covers it, and the link that it is in: one line of an export. */
export const AuditExportLine = Type.Intersect([
  AuditRecord,
  Type.Object({
    attempt: nullable(Type.String(), { description: 'id of the attempt that a login was' }),
    seal_id: nullable(Type.Integer(), { description: 'its link of the chain; null: not sealed yet' }),
  }),
]);
export type AuditExportLine = Static<typeof AuditExportLine>;
export const AuditPage = page(AuditRecord, 'AuditPage');
export type AuditPage = Static<typeof AuditPage>;
const filters = {
  action: Type.Optional(Type.String({ maxLength: 64, description: 'an action, or its part before the dot' })),
  account: Type.Optional(Type.String({ maxLength: 64 })),
  customer_id: Type.Optional(NumericId),
  target: Type.Optional(Type.String({ maxLength: 255 })),
  source: Type.Optional(Type.String({ maxLength: 45, pattern: '^[0-9A-Fa-f:.]+$', description: 'address' })),
  outcome: Type.Optional(oneOf(auditOutcomes)),
  since: Type.Optional(Timestamp),
  until: Type.Optional(Timestamp),
};
export const ListAudit = listQuery(filters);
export const ExportAudit = Type.Object(filters, { additionalProperties: false });

export const VerifyAudit = Type.Object(
  {
    from: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{64}$',
        description: 'a hash that an earlier verification told; the chain must still hold it',
      }),
    ),
  },
  { additionalProperties: false },
);

const Count = Type.Integer({ minimum: 0 });

export const auditFaults = [
  'record_changed',
  'record_removed',
  'record_added',
  'link_changed',
  'link_removed',
  'beginning_removed',
  'hash_not_found',
] as const;

export const AuditFault = Type.Object({
  kind: oneOf(auditFaults),
  link: nullable(Type.Integer(), { description: 'number of the link in the chain' }),
  record: nullable(Type.Integer(), { description: 'id of the record; null: of no single one' }),
  detail: Type.String({ description: 'a sentence for people' }),
});
export type AuditFault = Static<typeof AuditFault>;

export const AuditVerdict = Type.Object(
  {
    type: Type.Literal('verdict'),
    whole: Type.Boolean(),
    records: Count,
    links: Count,
    unsealed: Type.Integer({ description: 'records so young that no link holds them yet' }),
    first_at: nullable(Type.String(), { description: 'of the sealed records' }),
    last_at: nullable(Type.String()),
    first_link: nullable(Type.Integer()),
    last_link: nullable(Type.Integer()),
    last_hash: nullable(Type.String(), {
      description:
        'of the last link, 64 hexadecimal digits: write it down elsewhere, and give it as "from" later',
    }),
    records_since: nullable(Count, {
      description: 'records in the links after the one with the hash "from"',
    }),
    faults: Type.Array(AuditFault, { description: 'at most a hundred' }),
    fault_count: Count,
  },
  { $id: 'AuditVerdict' },
);
export type AuditVerdict = Static<typeof AuditVerdict>;

/** The answer of a verification, one a line. */
export const AuditVerifyLine = Type.Union([
  Type.Object({ type: Type.Literal('progress'), records: Count, links: Count, of_links: Count }),
  AuditVerdict,
]);
export type AuditVerifyLine = Static<typeof AuditVerifyLine>;
