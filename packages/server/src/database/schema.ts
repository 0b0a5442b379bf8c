/** The tables, as Kysely sees them. What each is for stands in the migrations. */
import type { EnvironmentEvent, Exposure, OwnPortMode, Role, Status } from '@berth/contract';
import type { ColumnType, Generated, Insertable, Selectable } from 'kysely';

/** Read as Date, written as Date; the database's clock gives the default. */
type Stamp = ColumnType<Date, Date | undefined, Date>;
type NullableStamp = ColumnType<Date | null, Date | null | undefined, Date | null>;

interface InstallationTable {
  id: string;
  created_at: Stamp;
  /** Sealed; purpose `authority`. */
  authority_key: string;
  authority_public: string;
}

interface CustomersTable {
  id: Generated<number>;
  name: string;
  created_at: Stamp;
}

interface AccountsTable {
  id: Generated<number>;
  customer_id: number;
  name: string;
  role: Role;
  password_hash: string;
  created_at: Stamp;
}

interface TokensTable {
  id: Generated<number>;
  account_id: number;
  hash: Buffer;
  created_at: Stamp;
  expires_at: NullableStamp;
}

interface ImagesTable {
  name: string;
  reference: string;
  created_at: Stamp;
}

type Wanted = 'running' | 'stopped' | 'deleted';

export interface EnvironmentsTable {
  id: string;
  customer_id: number;
  name: string;
  image: string;
  cpu: number;
  memory: number;
  gpu: number;
  storage: number;
  exposure: Exposure;
  own_port: OwnPortMode;
  sudo: boolean;
  username: string;
  wanted: Wanted;
  restart_wanted: Generated<boolean>;
  /** Grows with each request; work that began for an older one does not decide the status. */
  generation: Generated<number>;
  status: Status | 'deleted';
  status_since: Stamp;
  step: string | null;
  failure_code: string | null;
  failure_cause: string | null;
  failure_cure: string | null;
  notes: ColumnType<string[], string | undefined, string>;
  created_at: Stamp;
  /** When it was first, and last, running. */
  first_started_at: NullableStamp;
  started_at: NullableStamp;
  deleted_at: NullableStamp;
  /** The container's run that Berth last saw running. */
  run_id: string | null;
  due_at: NullableStamp;
  attempts: Generated<number>;
  lease_owner: string | null;
  lease_until: NullableStamp;
}

interface PortMappingsTable {
  id: Generated<number>;
  env_id: string;
  customer_id: number;
  external_port: number;
  internal_port: Generated<number>;
  status: 'active' | 'released';
  allocated_at: Stamp;
  released_at: NullableStamp;
}

interface CredentialsTable {
  env_id: string;
  /** Sealed; purpose `environment-password:<env_id>`. */
  password: string;
  password_hash: string;
  password_changed_at: Stamp;
  /** Sealed; purpose `host-key:<env_id>`. */
  host_key: string;
  host_key_public: string;
}

interface SshKeysTable {
  id: Generated<number>;
  customer_id: number;
  account_id: number;
  name: string;
  type: string;
  fingerprint: string;
  public_key: string;
  created_at: Stamp;
}

interface EventsTable {
  id: Generated<number>;
  env_id: string;
  at: Stamp;
  kind: EnvironmentEvent['kind'];
  step: string | null;
  message: string;
  status: Status | null;
}

export interface Tables {
  installation: InstallationTable;
  customers: CustomersTable;
  accounts: AccountsTable;
  tokens: TokensTable;
  images: ImagesTable;
  environments: EnvironmentsTable;
  port_mappings: PortMappingsTable;
  ssh_credentials: CredentialsTable;
  ssh_keys: SshKeysTable;
  environment_events: EventsTable;
}

export type EnvironmentRow = Selectable<EnvironmentsTable>;
export type NewEnvironmentRow = Insertable<EnvironmentsTable>;
export type CredentialsRow = Selectable<CredentialsTable>;
export type SshKeyRow = Selectable<SshKeysTable>;
export type EventRow = Selectable<EventsTable>;
export type PortMappingRow = Selectable<PortMappingsTable>;
