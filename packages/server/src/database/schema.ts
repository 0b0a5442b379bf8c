/** The tables, as Kysely sees them. What each is for stands in the migrations. */
import type {
  AuditOutcome,
  DatasetKind,
  EnvironmentEvent,
  Exposure,
  Forwarding,
  ImageCheck,
  LoginMethod,
  OwnPortMode,
  Resources,
  Role,
  Scope,
  Status,
  TokenKind,
  WayIn,
} from '@berth/contract';
import type { ColumnType, Generated, Insertable, Selectable } from 'kysely';

/** Read as Date, written as Date; the database's clock gives the default. */
type Stamp = ColumnType<Date, Date | undefined, Date>;
type NullableStamp = ColumnType<Date | null, Date | null | undefined, Date | null>;

/** Read as parsed JSON, written as its text. */
type Json<T> = ColumnType<T, string | undefined, string>;
type NullableJson<T> = ColumnType<T | null, string | null | undefined, string | null>;

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
  deleted_at: NullableStamp;
  /** Whether passwords open its environments at all. */
  password_login: Generated<boolean>;
}

/** null: no limit. */
interface QuotasTable {
  customer_id: number;
  environments: number | null;
  cpu: number | null;
  memory: number | null;
  gpu: number | null;
  storage: number | null;
}

interface AccountsTable {
  id: Generated<number>;
  customer_id: number;
  name: string;
  role: Role;
  /** null: only its tokens get in. */
  password_hash: string | null;
  password_changed_at: Stamp;
  created_at: Stamp;
  last_login_at: NullableStamp;
}

interface TokensTable {
  id: Generated<number>;
  account_id: number;
  hash: Buffer;
  created_at: Stamp;
  expires_at: NullableStamp;
  kind: Generated<TokenKind>;
  name: Generated<string>;
  scopes: Generated<Scope[]>;
  /** The beginning of the token, to know it again. */
  hint: Generated<string>;
  last_used_at: NullableStamp;
}

/** RFC 8628. */
interface DeviceLoginsTable {
  device_code_hash: Buffer;
  user_code: string;
  name: string;
  source: string | null;
  /** Who approved it; null: nobody yet. */
  account_id: Generated<number | null>;
  /** Those of whoever approved it. */
  scopes: Generated<Scope[]>;
  denied: Generated<boolean>;
  created_at: Stamp;
  expires_at: Date;
  asked_at: NullableStamp;
}

interface ImagesTable {
  name: string;
  reference: string;
  created_at: Stamp;
  description: Generated<string>;
  default_resources: Json<Partial<Resources>>;
  /** Who may use it; null: all. */
  customers: number[] | null;
  last_check: NullableJson<ImageCheck>;
}

interface DatasetsTable {
  name: string;
  kind: DatasetKind;
  source: string;
  read_only: boolean;
  description: Generated<string>;
  customers: number[] | null;
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
  datasets: Generated<string[]>;
  /** Sealed JSON; purpose `env-vars:<env_id>`. */
  env_vars: string | null;
  env_var_names: Generated<string[]>;
  /** Whose volumes it uses: its own id, or that of the deleted environment whose files it adopted. */
  storage_id: string;
  /** Set on a deleted environment whose files are kept for another. */
  storage_kept_since: NullableStamp;
  /** While it is being deleted: whether its files stay. */
  keep_storage: Generated<boolean>;
  /** Other resources for this run only. */
  run_resources: NullableJson<Resources>;
  /** What its last started run has. */
  running_resources: NullableJson<Resources>;
  /** Of the container that there is; null: there is none. */
  running_exposure: Generated<Exposure | null>;
  /** Whether its password opens it; its customer's word holds too. */
  password_login: Generated<boolean>;
  /** Whether a login starts it when it is stopped. */
  wake: Generated<boolean>;
  forwarding: Json<Forwarding>;
  /** When a person stopped it last. */
  stop_asked_at: NullableStamp;
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
  /** When its owner was told that the password will be replaced. */
  password_notice_at: NullableStamp;
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
  last_used_at: NullableStamp;
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

/** A request with `Idempotency-Key` and its answer. */
interface RepeatableRequestsTable {
  account_id: number;
  key: string;
  request_hash: Buffer;
  /** null while it is being answered. */
  status: number | null;
  /** Sealed JSON; purpose `answer:<account_id>:<key>`. */
  answer: string | null;
  created_at: Stamp;
}

interface AuditTable {
  id: Generated<number>;
  at: Stamp;
  action: string;
  outcome: AuditOutcome;
  account: string | null;
  customer_id: number | null;
  source: string | null;
  target: string | null;
  detail: Json<Record<string, unknown>>;
  /** Id of the attempt that a login was; null: another act. */
  attempt: Generated<string | null>;
  seal_id: Generated<number | null>;
}

/** Environments' ids and accounts' names: user names on the shared port. */
interface LoginNamesTable {
  name: string;
  kind: 'environment' | 'account';
}

interface GatewayHostKeysTable {
  /** `ssh-ed25519`, ... */
  type: string;
  /** Sealed OpenSSH private key file; purpose `gateway-host-key:<type>`. */
  private_key: string;
  public_key: string;
  created_at: Stamp;
}

interface AllowlistEntriesTable {
  id: Generated<number>;
  customer_id: number;
  /** null: all of the customer's. */
  env_id: string | null;
  /** CIDR in its shortest form. */
  network: string;
  note: string;
  created_at: Stamp;
}

interface SshAuthoritiesTable {
  id: Generated<number>;
  customer_id: number;
  name: string;
  type: string;
  fingerprint: string;
  public_key: string;
  created_at: Stamp;
}

interface SshRevocationsTable {
  customer_id: number;
  list: Buffer;
  updated_at: Stamp;
}

interface LoginFailuresTable {
  id: Generated<number>;
  attempt: string;
  target: string;
  source: string;
  at: Stamp;
}

interface LockoutsTable {
  id: Generated<number>;
  target: string;
  env_id: string | null;
  customer_id: number | null;
  source: string;
  failures: number;
  locked_at: Stamp;
  until: Date;
  cleared_at: NullableStamp;
  cleared_by: string | null;
}

interface BansTable {
  id: Generated<number>;
  source: string;
  failures: number;
  banned_at: Stamp;
  until: Date;
  cleared_at: NullableStamp;
  cleared_by: string | null;
}

/** Workers of gateways. */
interface GatewaysTable {
  id: string;
  host: string;
  version: string;
  started_at: Date;
  seen_at: Stamp;
  connections: number;
  draining: boolean;
  ended_at: NullableStamp;
}

interface ConnectionsTable {
  id: string;
  /** The worker; null: straight to the container's sshd. */
  gateway: string | null;
  env_id: string;
  customer_id: number;
  account: string | null;
  method: LoginMethod;
  fingerprint: string | null;
  key_name: string | null;
  way: WayIn;
  source: string;
  source_port: number;
  client: string;
  started_at: Date;
  seen_at: Stamp;
  ended_at: NullableStamp;
  end_reason: string | null;
  bytes_in: Generated<number>;
  bytes_out: Generated<number>;
  channels: Generated<number>;
  open_channels: Generated<number>;
}

interface AuditSealsTable {
  id: number;
  sealed_at: Stamp;
  rows: number;
  first_id: number;
  last_id: number;
  hash: Buffer;
  row_ids: number[];
  /** SHA-256 of each row's canonical form, 32 bytes a row. */
  row_digests: Buffer;
}

export interface Tables {
  installation: InstallationTable;
  customers: CustomersTable;
  quotas: QuotasTable;
  accounts: AccountsTable;
  tokens: TokensTable;
  device_logins: DeviceLoginsTable;
  images: ImagesTable;
  datasets: DatasetsTable;
  environments: EnvironmentsTable;
  port_mappings: PortMappingsTable;
  ssh_credentials: CredentialsTable;
  ssh_keys: SshKeysTable;
  environment_events: EventsTable;
  repeatable_requests: RepeatableRequestsTable;
  audit: AuditTable;
  login_names: LoginNamesTable;
  gateway_host_keys: GatewayHostKeysTable;
  allowlist_entries: AllowlistEntriesTable;
  ssh_authorities: SshAuthoritiesTable;
  ssh_revocations: SshRevocationsTable;
  login_failures: LoginFailuresTable;
  lockouts: LockoutsTable;
  bans: BansTable;
  gateways: GatewaysTable;
  connections: ConnectionsTable;
  audit_seals: AuditSealsTable;
}

export type EnvironmentRow = Selectable<EnvironmentsTable>;
export type NewEnvironmentRow = Insertable<EnvironmentsTable>;
export type CredentialsRow = Selectable<CredentialsTable>;
export type SshKeyRow = Selectable<SshKeysTable>;
export type EventRow = Selectable<EventsTable>;
export type ImageRow = Selectable<ImagesTable>;
export type DatasetRow = Selectable<DatasetsTable>;
export type PortMappingRow = Selectable<PortMappingsTable>;
export type AllowlistEntryRow = Selectable<AllowlistEntriesTable>;
export type AuditRow = Selectable<AuditTable>;
export type ConnectionRow = Selectable<ConnectionsTable>;
export type DeviceLoginRow = Selectable<DeviceLoginsTable>;
