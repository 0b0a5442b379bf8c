/**
 * Every column that holds sealed values, and the purpose that each value is bound to. What seals into a new column
 * adds it here: renewing the key ring re-seals what this table names, and a key that nothing here needs is dropped.
 */
import type { Tables } from '../database/schema.ts';

export const authorityPurpose = 'authority';
export const passwordPurpose = (id: string) => `environment-password:${id}`;
export const hostKeyPurpose = (id: string) => `host-key:${id}`;

export const gatewayHostKeyPurpose = (type: string) => `gateway-host-key:${type}`;

export interface SealedColumn {
  table: keyof Tables;
  column: string;
  /** The columns that the purpose is made of, in the order in which `purpose` takes them. */
  of: string[];
  purpose(...of: string[]): string;
}

export const sealedColumns: SealedColumn[] = [
  { table: 'installation', column: 'authority_key', of: [], purpose: () => authorityPurpose },
  { table: 'ssh_credentials', column: 'password', of: ['env_id'], purpose: passwordPurpose },
  { table: 'ssh_credentials', column: 'host_key', of: ['env_id'], purpose: hostKeyPurpose },
  { table: 'environments', column: 'env_vars', of: ['id'], purpose: (id) => `env-vars:${id}` },
  { table: 'gateway_host_keys', column: 'private_key', of: ['type'], purpose: gatewayHostKeyPurpose },
  {
    table: 'repeatable_requests',
    column: 'answer',
    of: ['account_id', 'key'],
    purpose: (accountId, key) => `answer:${accountId}:${key}`,
  },
];
