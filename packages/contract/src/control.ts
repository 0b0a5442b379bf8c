/**
 * The control protocol: what a gateway and a server say to each other.
 *
 * HTTP/1.1, over a Unix socket on one machine and mutual TLS between machines; the gateway is always the client. Four
 * calls: the state (a stream of lines, never ending), attempts, upstreams (a stream of lines that ends), records. The
 * server checks what comes with the schemas below; the gateway trusts its server. Times are ISO 8601 in UTC, keys and
 * certificates the base64 of their SSH wire format (RFC 4253, section 6.6).
 */
import Type from 'typebox';
import type { Static } from 'typebox';
import { nullable, oneOf } from './common.ts';
import { loginMethods, refusals, waysIn } from './vocabulary.ts';
import type { LoginMethod, Refusal } from './vocabulary.ts';

export const controlPaths = {
  state: '/control/state',
  attempts: '/control/attempts',
  upstreams: '/control/upstreams',
  records: '/control/records',
} as const;

/** What a session may forward. `sftp` switches the subsystem; scp's old protocol is an ordinary program. */
export interface Forwarding {
  local: boolean;
  remote: boolean;
  agent: boolean;
  x11: boolean;
  sftp: boolean;
}

export const everythingForwarded: Forwarding = {
  local: true,
  remote: true,
  agent: true,
  x11: true,
  sftp: true,
};

// ---- State: server to gateway, NDJSON -------------------------------------------------------------------------------

/** What holds for all of a gateway's connections. Durations carry their unit. */
export interface GatewaySettings {
  /** Address on which ports are opened: `0.0.0.0`, `::` (both families), ... */
  address: string;
  /** 0: there is no shared port. */
  sharedPort: number;
  /** CIDR blocks from which the PROXY protocol is expected, and from nowhere else taken. */
  proxyProtocol: string[];
  graceSeconds: number;
  /** Failed attempts that end a connection. */
  attemptsPerConnection: number;
  /** New connections of one source in one second. */
  connectionsPerSecond: number;
  /** Connections of one source that have not logged in. */
  unauthenticatedPerSource: number;
  /** Random early drop, as sshd_config(5) has it for MaxStartups. */
  startups: { begin: number; ratePercent: number; full: number };
  /** What happens to live connections of whoever would not get in any more: key deleted, password changed, stopped. */
  liveConnections: 'keep' | 'cut';
  /** How long a gateway that is to end waits for its connections. */
  drainSeconds: number;
}

/** An environment as the gateway sees it. */
export interface EnvironmentRoute {
  id: string;
  customer: number;
  /** The own port that the gateway shall listen on; null: none, or it leads straight to the container. */
  port: number | null;
  /** User name on the own port and behind a jump. */
  username: string;
  /** OpenSSH private key file, unencrypted: host key of the own port and of the inner session of a jump. */
  hostKey: string;
  /** Whether a password can be right at all. */
  passwordLogin: boolean;
  /** CIDR blocks of the environment itself; those of its customer hold too. No entry in either: everybody. */
  allowlist: string[];
}

export interface CustomerRoute {
  id: number;
  allowlist: string[];
  /** `SHA256:...` of the keys that open its environments. */
  keys: string[];
  /** `SHA256:...` of the authorities whose user certificates do. */
  authorities: string[];
}

/** Who may jump. */
export interface AccountRoute {
  name: string;
  customer: number;
  /** `SHA256:...`, of the account's own keys. */
  keys: string[];
}

/**
 * A pair that is locked. `target` is what was tried: an environment's id, an account's or an unknown name. `source` is
 * `countedSource` of the address, here and in bans.
 */
export interface LockoutRoute {
  target: string;
  source: string;
  until: string;
}

export interface BanRoute {
  source: string;
  until: string;
}

/**
 * One line of the state. A stream begins with `begin`, every entry there is, and `complete`; what the gateway knew before
 * and was not told again is void from then on: a connection to an environment that is not there ends. Each line after
 * `complete` is one more than the number before, beginning with that of `complete`; those before it say nothing by
 * theirs. A gap ends the stream. A null `route` says that there is no such entry (any more). Also before `complete` there
 * may be `end` lines, of the half minute before, for a gateway that was away for a moment.
 */
export type StateLine =
  | { type: 'begin'; number: number; server: string }
  | { type: 'complete'; number: number }
  | { type: 'settings'; number: number; settings: GatewaySettings }
  /** OpenSSH private key files: host keys of the shared port and of the outer session of a jump. */
  | { type: 'host-keys'; number: number; keys: string[] }
  | { type: 'environment'; number: number; id: string; route: EnvironmentRoute | null }
  | { type: 'customer'; number: number; id: number; route: CustomerRoute | null }
  | { type: 'account'; number: number; name: string; route: AccountRoute | null }
  | { type: 'lockout'; number: number; target: string; source: string; until: string | null }
  | { type: 'ban'; number: number; source: string; until: string | null }
  /** End these live connections; the sentence is for the person. */
  | { type: 'end'; number: number; which: Which; sentence: string }
  /** Every five seconds, so that a connection that is dead is noticed. */
  | { type: 'beat'; number: number };

/** All that is given must fit. */
export interface Which {
  connection?: string;
  environment?: string;
  /** Of the environment. */
  customer?: number;
  /** A login by this key (`SHA256:...`), or by the password. */
  fingerprint?: string;
  method?: LoginMethod;
}

/** How long the server may be silent on the state's stream until it counts as gone. */
export const stateSilenceMs = 15_000;

// ---- Attempts: gateway to server ------------------------------------------------------------------------------------

const id = Type.String({
  pattern: '^[a-z0-9]{16,40}$',
  description: 'made by the gateway, never used again',
});
const base64 = (maxLength: number) => Type.String({ pattern: '^[A-Za-z0-9+/]+={0,2}$', maxLength });
const source = Type.String({ maxLength: 45, description: 'address; IPv4-mapped ones as IPv4' });
const name = Type.String({ maxLength: 255 });
const strangersWord = Type.String({
  maxLength: 255,
  description: "the client's own words; not to be trusted",
});

/** What was shown to the gateway, and whether it was proven; a key that was merely offered is never an attempt. */
export const ShownKey = Type.Object(
  {
    /** Of the plain key, also where a certificate certifies it. */
    blob: base64(32_768),
    certificate: nullable(base64(32_768)),
    algorithm: Type.String({ maxLength: 128 }),
    /** false: the signature is not this key's over this session. It counts as a wrong password does. */
    signature_ok: Type.Boolean(),
    /** Of security keys: what the token says; null with others. */
    security_key: nullable(
      Type.Object(
        { user_present: Type.Boolean(), user_verified: Type.Boolean() },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
export type ShownKey = Static<typeof ShownKey>;

export const AttemptRequest = Type.Object(
  {
    id,
    connection: id,
    /** The worker that asks. */
    gateway: id,
    way: oneOf(waysIn),
    /** What it leads to: an environment's id, an account's name, or an unknown name as it was typed. */
    target: name,
    /** Who opened the jump; null on the other ways in. */
    jumper: nullable(name),
    user: name,
    source,
    source_port: Type.Integer({ minimum: 0, maximum: 65_535 }),
    client: strangersWord,
    method: oneOf(loginMethods),
    password: nullable(Type.String({ maxLength: 1024 })),
    key: nullable(ShownKey),
    /** The gateway's own key, which the certificate for the upstream shall certify. */
    upstream_key: base64(1024),
  },
  { additionalProperties: false },
);
export type AttemptRequest = Static<typeof AttemptRequest>;

/** Where the environment's sshd is and how to get in. */
export interface Upstream {
  host: string;
  port: number;
  user: string;
  /** Its host key, base64. */
  hostKey: string;
  /** For the gateway's own key, base64; its key id is the attempt's id. */
  certificate: string;
}

/** What whoever got in may do, and who that is. */
export interface Grant {
  environment: string;
  customer: number;
  /** The account whose key, or whose jump, it was; null: not known, as with the environment's password. */
  account: string | null;
  /** Name of the key, or key id of the certificate. */
  keyName: string | null;
  fingerprint: string | null;
  forwarding: Forwarding;
  /** Whether a session may have a terminal; a certificate may be without `permit-pty`. */
  terminal: boolean;
  /** Of a certificate: runs in place of whatever is asked for (sshd_config(5), ForceCommand). */
  forceCommand: string | null;
  /** Of security keys: whether somebody must have touched it, and been verified. */
  touchRequired: boolean;
  verificationRequired: boolean;
}

export type AttemptAnswer =
  /** `sentence` is for the person and gives nothing away; null: the usual answer to what is wrong. */
  | { outcome: 'refuse'; reason: Refusal; sentence: string | null }
  /** The same, and the connection is of no more use. */
  | { outcome: 'end'; reason: Refusal; sentence: string }
  /** Of the outer session of a jump: its customer's environments can be reached. */
  | { outcome: 'jump'; account: string; customer: number; fingerprint: string; keyName: string }
  | { outcome: 'accept'; grant: Grant; upstream: Upstream }
  /**
   * Right, but there is nothing to go to yet: ask for the upstream. `terminal`: only if the client asks for one, since
   * the environment was stopped by a person a moment ago; `sentence` says so to those who do not.
   */
  | { outcome: 'wake'; grant: Grant; when: 'now' }
  | { outcome: 'wake'; grant: Grant; when: 'terminal'; sentence: string };

// ---- Upstreams: gateway to server, the answer is NDJSON -------------------------------------------------------------

/** Starts the environment if it is not running, and waits for it. It goes on starting when the gateway goes away. */
export const UpstreamRequest = Type.Object(
  {
    attempt: id,
    environment: name,
    upstream_key: base64(1024),
    account: nullable(name),
    source,
    /** As they were granted. */
    forwarding: Type.Object(
      {
        local: Type.Boolean(),
        remote: Type.Boolean(),
        agent: Type.Boolean(),
        x11: Type.Boolean(),
        sftp: Type.Boolean(),
      },
      { additionalProperties: false },
    ),
    force_command: nullable(Type.String({ maxLength: 8192 })),
    /** Whether an environment that is stopped shall be started; otherwise the answer is `failed`. */
    wake: Type.Boolean(),
  },
  { additionalProperties: false },
);
export type UpstreamRequest = Static<typeof UpstreamRequest>;

/** A stream that ends without `ready` and `failed` is of a server that ends: the gateway asks again. */
export type UpstreamLine =
  /** For the person, as it happens. */
  | { type: 'progress'; message: string; seconds: number }
  | { type: 'ready'; upstream: Upstream }
  | { type: 'failed'; sentence: string };

// ---- Records: gateway to server, at least once each -----------------------------------------------------------------

const time = Type.String({ format: 'date-time' });
const bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** An attempt and how it ended, or what came before there was one (`banned`, `flood`, `not_allowed`). */
const AttemptRecord = Type.Object(
  {
    type: Type.Literal('attempt'),
    id,
    at: time,
    connection: nullable(id),
    way: oneOf(waysIn),
    target: name,
    jumper: nullable(name),
    user: name,
    source,
    source_port: Type.Integer({ minimum: 0, maximum: 65_535 }),
    client: strangersWord,
    method: nullable(oneOf([...loginMethods, 'none'])),
    accepted: Type.Boolean(),
    reason: nullable(oneOf(refusals)),
    fingerprint: nullable(Type.String({ maxLength: 64 })),
    account: nullable(name),
    customer: nullable(Type.Integer()),
    /** How many alike this one stands for: floods are counted and not told one by one. */
    count: Type.Integer({ minimum: 1 }),
  },
  { additionalProperties: false },
);
/** A connection that got in: at its start, whenever its numbers changed (at most each second), at its end. */
const ConnectionRecord = Type.Object(
  {
    type: Type.Literal('connection'),
    id,
    gateway: id,
    environment: name,
    customer: Type.Integer(),
    account: nullable(name),
    method: oneOf(loginMethods),
    fingerprint: nullable(Type.String({ maxLength: 64 })),
    key_name: nullable(name),
    way: oneOf(waysIn),
    source,
    source_port: Type.Integer({ minimum: 0, maximum: 65_535 }),
    client: strangersWord,
    started_at: time,
    /** Wire bytes of the TCP connection: from the client, and to it. */
    bytes_in: bytes,
    bytes_out: bytes,
    channels: Type.Integer({ minimum: 0, description: 'opened so far' }),
    open_channels: Type.Integer({ minimum: 0 }),
    ended_at: nullable(time),
    end_reason: nullable(Type.String({ maxLength: 255 })),
  },
  { additionalProperties: false },
);
/** A port that cannot be opened, since something else has it. */
const PortRecord = Type.Object(
  { type: Type.Literal('port-taken'), environment: name, port: Type.Integer(), message: strangersWord },
  { additionalProperties: false },
);
/** Every five seconds: the worker lives. */
const GatewayRecord = Type.Object(
  {
    type: Type.Literal('gateway'),
    id,
    host: Type.String({ maxLength: 255 }),
    version: Type.String({ maxLength: 64 }),
    started_at: time,
    connections: Type.Integer({ minimum: 0 }),
    draining: Type.Boolean(),
    /** After this one there is none. */
    ended: Type.Boolean(),
    /** Counters since the worker began, by name and labels as Prometheus writes them (`name{label="value"}`). */
    metrics: Type.Record(Type.String({ maxLength: 256 }), Type.Number()),
  },
  { additionalProperties: false },
);
export const GatewayRecords = Type.Array(
  Type.Union([AttemptRecord, ConnectionRecord, PortRecord, GatewayRecord]),
  { maxItems: 5000 },
);
export type AttemptRecord = Static<typeof AttemptRecord>;
export type ConnectionRecord = Static<typeof ConnectionRecord>;
export type PortRecord = Static<typeof PortRecord>;
export type GatewayRecord = Static<typeof GatewayRecord>;
export type GatewayRecordLine = AttemptRecord | ConnectionRecord | PortRecord | GatewayRecord;
