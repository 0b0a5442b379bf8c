/**
 * Settings: `berth.yaml` and `BERTH_*`, the same names in both.
 *
 * One table says each setting's kind, default and bounds. A key that is not in it, or a value that does not
 * fit, stops the start with its name, its value and what is allowed. Where each value came from is kept, so
 * that `berth settings` can show it.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isIPv4, isIPv6 } from 'node:net';
import { isAbsolute, join, resolve } from 'node:path';
import { parse } from 'yaml';

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
  /** Address on which own ports are published. */
  portAddress: string;
  /** null: the embedded database in `dataDir`. */
  databaseUrl: string | null;
  runtime: 'docker';
  exposure: 'direct';
  /** Reference of the environment image behind the catalogue's `default`; null: not known to this server. */
  environmentImage: string | null;
  /** How long an environment may take from the request until ssh answers. */
  readyTimeoutSeconds: number;
  /** How long processes in an environment have to end when it is stopped. */
  stopGraceSeconds: number;
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
  default: T;
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
    default: join(process.env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'berth'),
    allowed: 'a path of a folder',
    read: (value) =>
      value === '' || value.includes('\0') ? undefined : isAbsolute(value) ? value : resolve(value),
  },
  http: {
    default: { host: '127.0.0.1', port: 8080 },
    allowed: 'HOST:PORT such as 127.0.0.1:8080 or [::1]:8080; port 0 lets the system choose',
    read(value) {
      const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(value);
      const host = match?.[1] ?? match?.[2] ?? '';
      const port = Number(match?.[3]);
      return (isIPv6(host) || hostName(host) !== undefined) && port <= 65535 ? { host, port } : undefined;
    },
    show: ({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`,
  },
  publicUrl: {
    default: null,
    allowed: 'an http or https URL without a path, such as https://berth.example.com',
    read(value) {
      const url = URL.parse(value);
      const plain = url && /^https?:$/.test(url.protocol) && url.pathname === '/' && !url.search && !url.hash;
      return plain && !url.username && !url.password ? url.origin : undefined;
    },
  },
  sshHost: {
    default: 'localhost',
    allowed: 'the host name or address that people type after ssh',
    read: hostName,
  },
  portRange: {
    default: { first: 30000, last: 32767 },
    allowed: 'FIRST-LAST within 1024-65535, such as 30000-32767',
    read(value) {
      const match = /^(\d{4,5})-(\d{4,5})$/.exec(value);
      const range = { first: Number(match?.[1]), last: Number(match?.[2]) };
      return range.first >= 1024 && range.last <= 65535 && range.first <= range.last ? range : undefined;
    },
    show: ({ first, last }) => `${first}-${last}`,
  },
  portOrder: { default: 'sequential', allowed: 'sequential or random', read: oneOf('sequential', 'random') },
  portRestSeconds: { default: 600, allowed: 'seconds, 0 to 31536000', read: wholeNumber(0, 31_536_000) },
  portAddress: {
    default: '0.0.0.0',
    allowed: 'the IPv4 address on which own ports are opened, such as 0.0.0.0 or 127.0.0.1',
    read: (value) => (isIPv4(value) ? value : undefined),
  },
  databaseUrl: {
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
  runtime: { default: 'docker', allowed: 'docker', read: oneOf('docker') },
  exposure: { default: 'direct', allowed: 'direct', read: oneOf('direct') },
  environmentImage: {
    default: null,
    allowed: 'a reference of an image, such as berth/environment:0123456789ab',
    read: (value) => (/^[a-z0-9][A-Za-z0-9_./:@-]{0,254}$/.test(value) ? value : undefined),
  },
  readyTimeoutSeconds: { default: 300, allowed: 'seconds, 5 to 3600', read: wholeNumber(5, 3600) },
  stopGraceSeconds: { default: 10, allowed: 'seconds, 1 to 600', read: wholeNumber(1, 600) },
  logLevel: {
    default: 'info',
    allowed: 'fatal, error, warn, info, debug, trace or silent',
    read: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
  },
};

const names = Object.keys(definitions) as (keyof Settings)[];

/** `portRange` -> `BERTH_PORT_RANGE` */
export function environmentVariable(name: string): string {
  return `BERTH_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
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
    for (const [name, value] of Object.entries(readSettingsFile(file))) {
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
