/**
 * Settings: `berth.yaml` and `BERTH_*`, the same names in both.
 *
 * One table says each setting's meaning, kind, default and bounds; docs/settings.md is made from it. A key that is
 * not in it, or a value that does not fit, stops the start with its name, its value and what is allowed. Where each
 * value came from is kept, so that `berth settings` can show it. A name with a dot is a group in the file
 * (`tls: {certificate: ...}`) and has an underscore in the environment (`BERTH_TLS_CERTIFICATE`).
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isIP, isIPv6 } from 'node:net';
import { isAbsolute, join, resolve } from 'node:path';
import { parse } from 'yaml';
import { passwordClasses } from './secrets/password.ts';
import type { PasswordClass } from './secrets/password.ts';

export interface PortRange {
  first: number;
  last: number;
}

export interface Settings {
  /** Folder of the database, secrets and sockets; absolute. */
  dataDir: string;
  http: { host: string; port: number };
  /** Without a trailing slash; null: made from the address that `http` got. */
  publicUrl: string | null;
  sshHost: string;
  portRange: PortRange;
  portOrder: 'sequential' | 'random';
  /** How long a released port is given to nobody else, as long as others are free. */
  portRestSeconds: number;
  /** Address on which own ports and the shared port are opened. */
  portAddress: string;
  /** null: the embedded database in `dataDir`. */
  databaseUrl: string | null;
  runtime: 'docker';
  /** Of new environments. */
  exposure: 'gateway' | 'direct';
  /** 0: none. */
  sharedPort: number;
  /** What this process runs: the control plane, the data plane, or both. */
  roles: ('server' | 'gateway')[];
  /** Processes that serve connections, each with a core of its own to use. */
  gatewayWorkers: number;
  /** Account that they run as, where Berth is started as root. */
  gatewayUser: string;
  /** Sources whose connections begin with a header of the PROXY protocol. */
  proxyProtocol: string[];
  /** What happens to live connections of whoever would not get in any more. */
  liveConnections: 'keep' | 'cut';
  /** How long a gateway that ends waits for its connections. */
  drainSeconds: number;
  /** How long after a person's stop those who were connected do not start the environment by themselves. */
  wakeQuietMinutes: number;
  'lockout.failures': number;
  'lockout.windowMinutes': number;
  'lockout.minutes': number;
  'ban.failures': number;
  'ban.minutes': number;
  'limits.attempts': number;
  'limits.graceSeconds': number;
  'limits.connectionsPerSecond': number;
  'limits.unauthenticatedPerSource': number;
  'limits.startups': { begin: number; ratePercent: number; full: number };
  /** A file, or `udp://HOST:PORT`; null: nowhere. */
  authLog: string | null;
  /** Where gateways on other machines reach the server; null: the Unix socket only. */
  'control.listen': { host: string; port: number } | null;
  /** PEM files, absolute: all or none. */
  'control.certificate': string | null;
  'control.key': string | null;
  'control.authority': string | null;
  /** What people are called in new environments: `developer`, or `user<customer id>`. */
  userName: 'developer' | 'customer';
  /** Reference of the environment image behind the catalogue's `default`; null: not known to this server. */
  environmentImage: string | null;
  /** Folders of the host in which data sets must be; none: wherever it is not refused. */
  datasetFolders: string[];
  /** How long an environment may take from the request until ssh answers. */
  readyTimeoutSeconds: number;
  /** How long processes in an environment have to end when it is stopped. */
  stopGraceSeconds: number;
  /** PEM files of the API's own certificate (with its chain) and key, absolute; both or none. */
  'tls.certificate': string | null;
  'tls.key': string | null;
  /** Addresses and CIDR blocks whose X-Forwarded-* headers are believed. */
  trustedProxies: string[];
  /** Of passwords that people choose; those that Berth makes have at least 16 characters. */
  passwordMinLength: number;
  /** The kinds of characters that such a password must have. */
  passwordClasses: PasswordClass[];
  /** After this age an environment's password is replaced; 0: never. */
  passwordMaxAgeDays: number;
  /** How long before that its timeline says so. */
  passwordNoticeDays: number;
  /** Timelines of deleted environments; 0: for ever, as in all of `retention`. */
  'retention.events': number;
  'retention.audit': number;
  /** Released port mappings, and what is left of deleted environments. */
  'retention.history': number;
  logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
}

export interface SettingInForce {
  name: string;
  value: unknown;
  source: string;
}

export class SettingsError extends Error {
  constructor(name: string, value: unknown, source: string, allowed: string) {
    super(`setting ${name} (${source}) is ${JSON.stringify(value)}; allowed: ${allowed}`);
    this.name = 'SettingsError';
  }
}

interface Definition<T> {
  /** One line, for the documentation. */
  about: string;
  default: T;
  /** The default in words, where its value says nothing. */
  defaultInWords?: string;
  allowed: string;
  /** undefined: the value does not fit. */
  read(value: string): T | undefined;
  /** How the value is shown where it holds a secret. */
  show?(value: T): unknown;
}

type Definitions = { [K in keyof Settings]: Definition<Settings[K]> };

const wholeNumber = (least: number, most: number) => (value: string) => {
  const number = /^\d{1,9}$/.test(value) ? Number(value) : NaN;
  return number >= least && number <= most ? number : undefined;
};

const oneOf =
  <T extends string>(...values: T[]) =>
  (value: string) =>
    values.find((each) => each === value);

const hostName = (value: string) =>
  /^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$/.test(value) ? value : undefined;

const path = (value: string) =>
  value === '' || value.includes('\0') ? undefined : isAbsolute(value) ? value : resolve(value);

const retention = (about: string, days: number): Definition<number> => ({
  about: `${about} Days; 0 keeps them for ever.`,
  default: days,
  allowed: 'days, 0 to 36500; 0 keeps for ever',
  read: wholeNumber(0, 36_500),
});

/** "10.0.0.0/8", "::1", ... */
function isAddressBlock(value: string): boolean {
  const [address = '', bits, ...rest] = value.split('/');
  const kind = isIP(address);
  const most = kind === 4 ? 32 : 128;
  return (
    kind !== 0 &&
    rest.length === 0 &&
    (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most))
  );
}

function addressBlocks(value: string): string[] | undefined {
  const blocks = value.split(',').map((each) => each.trim());
  return blocks.every(isAddressBlock) ? blocks : undefined;
}

function hostAndPort(value: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(value);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  return (isIPv6(host) || hostName(host) !== undefined) && port <= 65535 ? { host, port } : undefined;
}

function shownPlace({ host, port }: { host: string; port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** A database's URL as it may be shown; one that cannot be read is not shown, since a password may be anywhere in it. */
function withoutPassword(value: string): string {
  const url = URL.parse(value);
  if (!url) return '(hidden)';
  if (url.password) url.password = 'xxxxx';
  if (url.searchParams.has('password')) url.searchParams.set('password', 'xxxxx');
  return url.href;
}

const definitions: Definitions = {
  dataDir: {
    about: 'Folder of the embedded database, the key ring, the secrets and the socket.',
    defaultInWords: '~/.local/share/berth',
    default: join(process.env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'berth'),
    allowed: 'a path of a folder',
    read: path,
  },
  http: {
    about: 'Where the API listens.',
    default: { host: '127.0.0.1', port: 8080 },
    allowed: 'HOST:PORT such as 127.0.0.1:8080 or [::1]:8080; port 0 lets the system choose',
    read: hostAndPort,
    show: shownPlace,
  },
  publicUrl: {
    about: 'How people and programs reach the API; links are made with it.',
    defaultInWords: 'made from `http`',
    default: null,
    allowed: 'an http or https URL without a path, such as https://berth.example.com',
    read(value) {
      const url = URL.parse(value);
      const plain = url && /^https?:$/.test(url.protocol) && url.pathname === '/' && !url.search && !url.hash;
      return plain && !url.username && !url.password ? url.origin : undefined;
    },
  },
  sshHost: {
    about: 'The name in the ssh command that people paste.',
    default: 'localhost',
    allowed: 'the host name or address that people type after ssh',
    read: hostName,
  },
  portRange: {
    about: 'Ports that environments get as their own.',
    default: { first: 30000, last: 32767 },
    allowed: 'FIRST-LAST within 1024-65535, such as 30000-32767',
    read(value) {
      const match = /^(\d{4,5})-(\d{4,5})$/.exec(value);
      const range = { first: Number(match?.[1]), last: Number(match?.[2]) };
      return range.first >= 1024 && range.last <= 65535 && range.first <= range.last ? range : undefined;
    },
    show: ({ first, last }) => `${first}-${last}`,
  },
  portOrder: {
    about: 'Which free port is given next.',
    default: 'sequential',
    allowed: 'sequential or random',
    read: oneOf('sequential', 'random'),
  },
  portRestSeconds: {
    about: 'How long a released port is given to nobody else, as long as others are free.',
    default: 600,
    allowed: 'seconds, 0 to 31536000',
    read: wholeNumber(0, 31_536_000),
  },
  portAddress: {
    about:
      'Address on which own ports and the shared port are opened; with direct exposure Docker publishes own ports on it.',
    default: '0.0.0.0',
    allowed:
      'an address of this machine, such as 127.0.0.1 or 2001:db8::1; 0.0.0.0 is all IPv4, :: all of both kinds',
    read: (value) => (isIP(value) !== 0 && !value.includes('%') ? value : undefined),
  },
  databaseUrl: {
    about: 'PostgreSQL, version 15 or later, instead of the embedded database.',
    defaultInWords: 'the embedded database',
    default: null,
    allowed: 'postgres://USER:PASSWORD@HOST:PORT/DATABASE; without it the embedded database is used',
    read(value) {
      const url = URL.parse(value);
      return url && /^postgres(ql)?:$/.test(url.protocol) ? value : undefined;
    },
    show(value) {
      return value === null ? null : withoutPassword(value);
    },
  },
  runtime: {
    about: 'What runs the containers.',
    default: 'docker',
    allowed: 'docker',
    read: oneOf('docker'),
  },
  exposure: {
    about: 'What serves the own ports of new environments: the gateway, or the container itself.',
    default: 'gateway',
    allowed: 'gateway or direct',
    read: oneOf('gateway', 'direct'),
  },
  sharedPort: {
    about: "The port for all, where the user name is the environment's id; 0 opens none.",
    default: 2222,
    allowed: 'a port, 1 to 65535, or 0',
    read: wholeNumber(0, 65_535),
  },
  roles: {
    about: 'What runs here: the server, the gateway, or both.',
    default: ['server', 'gateway'],
    allowed: 'server, gateway, or both with a comma between',
    read(value) {
      const named = value
        .split(',')
        .map((each) => (['server', 'gateway'] as const).find((known) => known === each.trim()));
      return named.every((each) => each !== undefined) ? [...new Set(named)] : undefined;
    },
    show: (named) => named.join(','),
  },
  gatewayWorkers: {
    about: 'Processes that serve SSH connections; each can use a core.',
    default: 1,
    allowed: 'a number, 1 to 64',
    read: wholeNumber(1, 64),
  },
  gatewayUser: {
    about: 'The account that they run as where Berth is started as root.',
    default: 'nobody',
    allowed: 'the name of an account of this machine',
    read: (value) => (/^[a-z_][a-z0-9_-]{0,31}$/.test(value) ? value : undefined),
  },
  proxyProtocol: {
    about:
      'Load balancers whose connections to the gateway begin with a PROXY protocol header (version 1 or 2); from nobody else is one taken.',
    default: [],
    defaultInWords: 'none',
    allowed: 'addresses and CIDR blocks with commas between, such as 10.0.0.0/8,fd00::/8',
    read: addressBlocks,
    show: (blocks) => blocks.join(','),
  },
  liveConnections: {
    about:
      'What happens to connections of whoever would not get in any more (key deleted, password changed, environment stopped); a deletion always cuts.',
    default: 'keep',
    allowed: 'keep or cut',
    read: oneOf('keep', 'cut'),
  },
  drainSeconds: {
    about: 'How long a gateway that is replaced or ends serves the connections that it has.',
    default: 3600,
    allowed: 'seconds, 0 to 604800',
    read: wholeNumber(0, 604_800),
  },
  wakeQuietMinutes: {
    about:
      'How long after a person stopped an environment only a login with a terminal starts it again, from addresses that were connected.',
    default: 10,
    allowed: 'minutes, 0 to 1440',
    read: wholeNumber(0, 1440),
  },
  'lockout.failures': {
    about: 'Failed logins from one address at one environment that lock that pair.',
    default: 5,
    allowed: 'a number, 1 to 1000',
    read: wholeNumber(1, 1000),
  },
  'lockout.windowMinutes': {
    about: 'Within how long they count.',
    default: 30,
    allowed: 'minutes, 1 to 10080',
    read: wholeNumber(1, 10_080),
  },
  'lockout.minutes': {
    about: 'How long the pair stays locked.',
    default: 30,
    allowed: 'minutes, 1 to 10080',
    read: wholeNumber(1, 10_080),
  },
  'ban.failures': {
    about: 'Failed logins from one address at any environments, within `lockout.windowMinutes`, that ban it.',
    default: 20,
    allowed: 'a number, 1 to 10000',
    read: wholeNumber(1, 10_000),
  },
  'ban.minutes': {
    about: 'How long nothing of a banned address is accepted.',
    default: 30,
    allowed: 'minutes, 1 to 10080',
    read: wholeNumber(1, 10_080),
  },
  'limits.attempts': {
    about: 'Failed attempts after which an SSH connection ends.',
    default: 5,
    allowed: 'a number, 1 to 20',
    read: wholeNumber(1, 20),
  },
  'limits.graceSeconds': {
    about: 'How long somebody may take to log in.',
    default: 120,
    allowed: 'seconds, 5 to 600',
    read: wholeNumber(5, 600),
  },
  'limits.connectionsPerSecond': {
    about: 'New SSH connections of one address in one second, in each gateway worker; more are dropped.',
    default: 30,
    allowed: 'a number, 1 to 10000',
    read: wholeNumber(1, 10_000),
  },
  'limits.unauthenticatedPerSource': {
    about: 'Connections of one address that have not logged in, in each gateway worker; more are dropped.',
    default: 50,
    allowed: 'a number, 1 to 10000',
    read: wholeNumber(1, 10_000),
  },
  'limits.startups': {
    about:
      'Connections that have not logged in, in each gateway worker: from the first number on some are dropped, beginning with the second in a hundred, and all from the third on (as MaxStartups of sshd).',
    default: { begin: 500, ratePercent: 30, full: 2000 },
    allowed: 'BEGIN:PERCENT:FULL such as 500:30:2000',
    read(value) {
      const match = /^(\d{1,6}):(\d{1,3}):(\d{1,6})$/.exec(value);
      const [begin, ratePercent, full] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3])];
      return begin >= 1 && ratePercent <= 100 && full >= begin ? { begin, ratePercent, full } : undefined;
    },
    show: ({ begin, ratePercent, full }) => `${begin}:${ratePercent}:${full}`,
  },
  authLog: {
    about: "Where each login is written in sshd's own words, for fail2ban and log collectors.",
    default: null,
    defaultInWords: 'nowhere',
    allowed: 'a path of a file, or udp://HOST:PORT of a syslog server',
    read(value) {
      const match = /^udp:\/\/(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/.exec(value);
      if (match) return Number(match[2]) <= 65_535 && Number(match[2]) > 0 ? value : undefined;
      return value.includes('://') ? undefined : path(value);
    },
  },
  'control.listen': {
    about: 'Where gateways on other machines reach the server, by mutual TLS.',
    default: null,
    defaultInWords: 'nowhere: the Unix socket in the data folder only',
    allowed:
      'HOST:PORT such as 0.0.0.0:8443, together with control.certificate, control.key and control.authority',
    read: hostAndPort,
    show: (place) => place && shownPlace(place),
  },
  'control.certificate': {
    about: 'PEM file of the certificate with which this process shows itself to the other side.',
    default: null,
    defaultInWords: 'none',
    allowed: 'a path of a PEM file',
    read: path,
  },
  'control.key': {
    about: 'PEM file of the private key of `control.certificate`.',
    default: null,
    defaultInWords: 'none',
    allowed: 'a path of a PEM file',
    read: path,
  },
  'control.authority': {
    about: "PEM file of the authority that has signed the other side's certificate.",
    default: null,
    defaultInWords: 'none',
    allowed: 'a path of a PEM file',
    read: path,
  },
  userName: {
    about: 'The user name in new environments.',
    default: 'developer',
    allowed: 'developer, or customer for user<customer id>',
    read: oneOf('developer', 'customer'),
  },
  environmentImage: {
    about: 'The image that the catalogue calls `default`.',
    defaultInWords: 'built by `berth up`',
    default: null,
    allowed: 'a reference of an image, such as berth/environment:0123456789ab',
    read: (value) => (/^[a-z0-9][A-Za-z0-9_./:@-]{0,254}$/.test(value) ? value : undefined),
  },
  datasetFolders: {
    about: 'Folders of the host in which data sets may be.',
    default: [],
    defaultInWords: "anywhere but in what is the system's or Berth's own",
    allowed: 'absolute paths with commas between, such as /srv/data,/mnt/models',
    read(value) {
      const folders = value.split(',').map((folder) => folder.trim());
      return folders.every((folder) => isAbsolute(folder) && resolve(folder) === folder)
        ? folders
        : undefined;
    },
    show: (folders) => folders.join(','),
  },
  readyTimeoutSeconds: {
    about: 'How long a start may take until it counts as failed.',
    default: 300,
    allowed: 'seconds, 5 to 3600',
    read: wholeNumber(5, 3600),
  },
  stopGraceSeconds: {
    about: 'How long processes in an environment have to end when it is stopped.',
    default: 10,
    allowed: 'seconds, 1 to 600',
    read: wholeNumber(1, 600),
  },
  'tls.certificate': {
    about:
      'PEM file of the certificate, with its chain, for HTTPS; a changed file is taken without a restart.',
    default: null,
    defaultInWords: 'none: HTTP',
    allowed: 'a path of a PEM file, together with tls.key',
    read: path,
  },
  'tls.key': {
    about: 'PEM file of the private key of `tls.certificate`.',
    default: null,
    defaultInWords: 'none: HTTP',
    allowed: 'a path of a PEM file, together with tls.certificate',
    read: path,
  },
  trustedProxies: {
    about: 'Reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; from nobody else.',
    default: [],
    defaultInWords: 'none',
    allowed: 'addresses and CIDR blocks with commas between, such as 10.0.0.0/8,fd00::/8',
    read: addressBlocks,
    show: (blocks) => blocks.join(','),
  },
  passwordMinLength: {
    about: 'Shortest password that an account may choose; the passwords of environments keep to it too.',
    default: 12,
    allowed: 'characters, 12 to 128',
    read: wholeNumber(12, 128),
  },
  passwordClasses: {
    about:
      'Of which characters such a password must have at least one each; those that Berth makes have all.',
    default: [...passwordClasses],
    allowed: 'upper, lower, digit, special with commas between, or none',
    read(value) {
      if (value === 'none') return [];
      const named = value.split(',').map((each) => passwordClasses.find((known) => known === each.trim()));
      return named.every((each) => each !== undefined) ? named : undefined;
    },
    show: (named) => named.join(',') || 'none',
  },
  passwordMaxAgeDays: {
    about: "After how many days an environment's password is replaced; 0 replaces none.",
    default: 0,
    allowed: 'days, 0 to 3650; 0 replaces none',
    read: wholeNumber(0, 3650),
  },
  passwordNoticeDays: {
    about: "How many days before that the environment's timeline says so.",
    default: 7,
    allowed: 'days, 0 to 365; 0 gives no notice',
    read: wholeNumber(0, 365),
  },
  'retention.events': retention('How long the timelines of deleted environments are kept.', 90),
  'retention.audit': retention('How long audit records are kept.', 365),
  'retention.history': retention(
    'How long released ports and the records of deleted environments are kept.',
    365,
  ),
  logLevel: {
    about: 'How much is written to the log on stderr.',
    default: 'info',
    allowed: 'fatal, error, warn, info, debug, trace or silent',
    read: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
  },
};

const names = Object.keys(definitions) as (keyof Settings)[];

/** The table as documentation shows it. */
export const settingsTable = names.map((name) => {
  const { about, allowed, defaultInWords, show, ...definition } = definitions[name] as Definition<unknown>;
  const shown = show ? show(definition.default) : definition.default;
  return {
    name,
    variable: environmentVariable(name),
    about,
    allowed,
    default: defaultInWords ?? `\`${String(shown)}\``,
  };
});

/** `portRange` -> `BERTH_PORT_RANGE`, `tls.key` -> `BERTH_TLS_KEY` */
export function environmentVariable(name: string): string {
  const words = name.replaceAll('.', '_').replace(/[A-Z]/g, (letter) => `_${letter}`);
  return `BERTH_${words.toUpperCase()}`;
}

/** `{tls: {key: 'x'}}` -> `['tls.key', 'x']`; only groups that the table has. */
function* flattened(content: Record<string, unknown>): Generator<[string, unknown]> {
  for (const [name, value] of Object.entries(content)) {
    const isGroup = names.some((each) => each.startsWith(`${name}.`));
    if (isGroup && typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [inner, each] of Object.entries(value)) yield [`${name}.${inner}`, each];
    } else {
      yield [name, value];
    }
  }
}

/** `BERTH_*` variables that are not settings of the server: the command's, the image build's and the test suite's. */
const otherVariables = /^BERTH_(URL|TOKEN|PROFILE|CONFIG|INSTALL_DOCKER|IMAGE_CERTIFICATES|TEST_[A-Z_]+)$/;

/**
 * Reads the settings: defaults, then the file (`BERTH_CONFIG`, else `berth.yaml` in the working folder or in
 * the data folder), then the environment.
 *
 * @throws SettingsError for the first key or value that does not fit
 */
export function readSettings(environment: NodeJS.ProcessEnv): {
  settings: Settings;
  inForce: SettingInForce[];
} {
  const given = new Map<string, { value: string; source: string }>();
  for (const [key, value] of Object.entries(environment)) {
    if (!key.startsWith('BERTH_') || value === undefined || otherVariables.test(key)) continue;
    const name = names.find((each) => environmentVariable(each) === key);
    if (name === undefined) {
      throw new SettingsError(
        key,
        value,
        'environment',
        `one of ${names.map(environmentVariable).join(', ')}`,
      );
    }
    given.set(name, { value, source: `environment ${key}` });
  }
  const file = settingsFile(environment, given.get('dataDir')?.value);
  if (file !== undefined) {
    for (const [name, value] of flattened(readSettingsFile(file))) {
      if (!(names as string[]).includes(name)) {
        throw new SettingsError(name, value, file, `one of ${names.join(', ')}`);
      }
      if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
        throw new SettingsError(name, value, file, definitions[name as keyof Settings].allowed);
      }
      if (!given.has(name)) given.set(name, { value: String(value), source: file });
    }
  }

  const settings: Record<string, unknown> = {};
  const inForce: SettingInForce[] = [];
  const take = <K extends keyof Settings>(name: K) => {
    const definition: Definition<Settings[K]> = definitions[name];
    const source = given.get(name);
    const value = source === undefined ? definition.default : definition.read(source.value);
    if (value === undefined) {
      const shown = name === 'databaseUrl' ? withoutPassword(source?.value ?? '') : source?.value;
      throw new SettingsError(name, shown, source?.source ?? '', definition.allowed);
    }
    settings[name] = value;
    inForce.push({
      name,
      value: definition.show ? definition.show(value) : value,
      source: source?.source ?? 'default',
    });
  };
  names.forEach(take);
  for (const [here, other] of [
    ['tls.certificate', 'tls.key'],
    ['tls.key', 'tls.certificate'],
  ] as const) {
    if (settings[here] === null && settings[other] !== null)
      throw new SettingsError(here, null, given.get(here)?.source ?? 'default', definitions[here].allowed);
  }
  const control = ['control.listen', 'control.certificate', 'control.key', 'control.authority'] as const;
  const lacking = control.find((name) => settings[name] === null);
  if (lacking !== undefined && settings['control.listen'] !== null)
    throw new SettingsError(
      lacking,
      null,
      given.get(lacking)?.source ?? 'default',
      definitions[lacking].allowed,
    );
  return { settings: settings as unknown as Settings, inForce };
}

function settingsFile(environment: NodeJS.ProcessEnv, dataDir: string | undefined): string | undefined {
  const named = environment['BERTH_CONFIG'];
  if (named !== undefined) {
    if (!existsSync(named))
      throw new SettingsError('BERTH_CONFIG', named, 'environment', 'a file that exists');
    return resolve(named);
  }
  return [resolve('berth.yaml'), join(dataDir ?? definitions.dataDir.default, 'berth.yaml')].find(existsSync);
}

function readSettingsFile(file: string): Record<string, unknown> {
  let content: unknown;
  try {
    content = parse(readFileSync(file, 'utf8')) ?? {};
  } catch (error) {
    throw new SettingsError(
      'berth.yaml',
      (error as Error).message.split('\n')[0],
      file,
      'YAML of the form "name: value"',
    );
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new SettingsError('berth.yaml', content, file, 'YAML of the form "name: value"');
  }
  return content as Record<string, unknown>;
}
