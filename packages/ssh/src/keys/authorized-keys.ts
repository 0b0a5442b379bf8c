// authorized_keys: which keys may log in, and what each of them may do then (sshd(8), AUTHORIZED_KEYS FILE
// FORMAT). Called with the lines of such a file; the caller applies the options to the connection.
//
// Later options override earlier ones where sshd lets them (`restrict,pty`); an option that sshd takes once is
// refused the second time. A line with an option that is not understood is refused whole, since it may be the
// one that was to keep somebody out.

import { KeyError } from './key-error.ts';
import { type Origins, parseOrigins, printable } from './pattern-list.ts';
import { type PublicKey, parsePublicKey } from './public-key.ts';

/** A place that a forwarding may lead to or listen at. */
export interface ForwardingPlace {
  /** Undefined for `permitlisten` without a host. */
  readonly host: string | undefined;
  readonly port: number | '*';
}

export interface AuthorizedKeyOptions {
  /** The key is not a person's but an authority's, whose certificates are taken. */
  readonly certAuthority: boolean;
  /** With `certAuthority`: the certificate must name one of these. */
  readonly principals: readonly string[] | undefined;
  /** The only command that may run. */
  readonly command: string | undefined;
  /** The first of each name counts. */
  readonly environment: ReadonlyMap<string, string>;
  /** First moment at which the key is no longer taken. */
  readonly expiresAt: Date | undefined;
  /** Where connections may come from. */
  readonly from: Origins | undefined;
  /** Where -L may lead to; undefined for anywhere. */
  readonly permitOpen: readonly ForwardingPlace[] | undefined;
  /** Where -R may listen; undefined for anywhere. */
  readonly permitListen: readonly ForwardingPlace[] | undefined;
  /** The number of a tun device. */
  readonly tunnel: number | undefined;
  readonly agentForwarding: boolean;
  readonly portForwarding: boolean;
  readonly x11Forwarding: boolean;
  readonly pty: boolean;
  readonly userRc: boolean;
  /** For `verify` with a security key's key. */
  readonly touchRequired: boolean;
  readonly userVerificationRequired: boolean;
}

export interface AuthorizedKey {
  /** From 1. */
  readonly lineNumber: number;
  readonly key: PublicKey;
  readonly options: AuthorizedKeyOptions;
}

export interface AuthorizedKeys {
  readonly keys: readonly AuthorizedKey[];
  /** Lines that could not be read, which sshd would skip too. */
  readonly problems: readonly { readonly lineNumber: number; readonly error: KeyError }[];
}

type Draft = { -readonly [Name in keyof AuthorizedKeyOptions]: AuthorizedKeyOptions[Name] } & {
  environment: Map<string, string>;
};

const maximumPrincipals = 256;

/** Each option that is only a word: what it sets. */
const flags: Readonly<Record<string, Partial<AuthorizedKeyOptions>>> = {
  'cert-authority': { certAuthority: true },
  restrict: {
    ...{ agentForwarding: false, portForwarding: false, x11Forwarding: false, pty: false, userRc: false },
  },
  'agent-forwarding': { agentForwarding: true },
  'no-agent-forwarding': { agentForwarding: false },
  'port-forwarding': { portForwarding: true },
  'no-port-forwarding': { portForwarding: false },
  'x11-forwarding': { x11Forwarding: true },
  'no-x11-forwarding': { x11Forwarding: false },
  pty: { pty: true },
  'no-pty': { pty: false },
  'user-rc': { userRc: true },
  'no-user-rc': { userRc: false },
  'touch-required': { touchRequired: true },
  'no-touch-required': { touchRequired: false },
  'verify-required': { userVerificationRequired: true },
  'no-verify-required': { userVerificationRequired: false },
};

/** Each option that has a value: how the value is read into the draft. Throws KeyError. */
const readers: Readonly<Record<string, (draft: Draft, value: string) => void>> = {
  command: (draft, value) => {
    refuseSecond('command', draft.command);
    draft.command = value;
  },
  principals: (draft, value) => {
    refuseSecond('principals', draft.principals);
    const principals = value.split(',');
    if (principals.includes('') || principals.length > maximumPrincipals) {
      throw refusal(`principals="..." is a list of 1 to ${maximumPrincipals} names`);
    }
    draft.principals = principals;
  },
  from: (draft, value) => {
    refuseSecond('from', draft.from);
    draft.from = parseOrigins(value);
  },
  'expiry-time': (draft, value) => {
    const time = parseTime(value);
    if (draft.expiresAt === undefined || time < draft.expiresAt) draft.expiresAt = time;
  },
  environment: (draft, value) => {
    const [, name = '', text = ''] = /^([A-Za-z0-9_]+)=(.*)$/s.exec(value) ?? [];
    if (name === '') throw refusal('environment="..." is not of the form NAME=value');
    if (!draft.environment.has(name)) draft.environment.set(name, text);
  },
  permitopen: (draft, value) => {
    draft.permitOpen = [...(draft.permitOpen ?? []), parsePlace('permitopen', value)];
  },
  permitlisten: (draft, value) => {
    const place = /^[\d*]+$/.test(value)
      ? { host: undefined, port: parsePort('permitlisten', value) }
      : parsePlace('permitlisten', value);
    draft.permitListen = [...(draft.permitListen ?? []), place];
  },
  tunnel: (draft, value) => {
    refuseSecond('tunnel', draft.tunnel);
    if (!/^\d{1,9}$/.test(value)) throw refusal('tunnel="..." is not the number of a device');
    draft.tunnel = Number(value);
  },
};

/** Reads a whole file. Never throws for a text: what cannot be read is in `problems`. */
export function parseAuthorizedKeys(text: string): AuthorizedKeys {
  const keys: AuthorizedKey[] = [];
  const problems: { lineNumber: number; error: KeyError }[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const lineNumber = index + 1;
    if (/^[ \t]*(?:#|$)/.test(line)) continue;
    try {
      keys.push({ lineNumber, ...parseAuthorizedKey(line) });
    } catch (error) {
      if (!(error instanceof KeyError)) throw error;
      problems.push({ lineNumber, error });
    }
  }
  return { keys, problems };
}

/**
 * Reads one line. Throws KeyError: `authorized_keys_line` for what is wrong with the options, `pattern` for a list
 * in `from` that cannot be read, or a public key's code.
 */
export function parseAuthorizedKey(line: string): Omit<AuthorizedKey, 'lineNumber'> {
  const text = line.trim();
  // No option starts like a type, so a type that is not taken gets a public key's refusal.
  if (/^(?:ssh|ecdsa|sk)-/.test(text)) return { key: parsePublicKey(text), options: newDraft() };
  const end = endOfOptions(text);
  const key = text.slice(end).trim();
  // Without a key behind them, what was read is no options: the refusal is the key's.
  if (key === '') return { key: parsePublicKey(text), options: newDraft() };
  const options = parseOptions(text.slice(0, end));
  return { key: parsePublicKey(key), options };
}

function newDraft(): Draft {
  return {
    certAuthority: false,
    principals: undefined,
    command: undefined,
    environment: new Map(),
    expiresAt: undefined,
    from: undefined,
    permitOpen: undefined,
    permitListen: undefined,
    tunnel: undefined,
    agentForwarding: true,
    portForwarding: true,
    x11Forwarding: true,
    pty: true,
    userRc: true,
    touchRequired: true,
    userVerificationRequired: false,
  };
}

/** The first white space outside of quotes. A quote after a backslash is a quote within. */
function endOfOptions(text: string): number {
  let isQuoted = false;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '\\' && text[at + 1] === '"') at += 1;
    else if (text[at] === '"') isQuoted = !isQuoted;
    else if (!isQuoted && (text[at] === ' ' || text[at] === '\t')) return at;
  }
  if (isQuoted) throw refusal('a quotation mark is not closed');
  return text.length;
}

function parseOptions(text: string): AuthorizedKeyOptions {
  const draft = newDraft();
  // A name, and perhaps a value in quotes, in which \" is a quotation mark.
  const option = /([A-Za-z0-9-]+)(?:=("(?:\\"|[^"\\]|\\(?!"))*"))?(,|$)/y;
  let isExpected = true;
  while (isExpected) {
    const start = option.lastIndex;
    const [, name = '', quoted, separator] = option.exec(text) ?? [];
    if (name === '') {
      throw refusal(
        `the options cannot be read from ${printable(text.slice(start))} on; they are names or name="value", ` +
          'with commas between and no spaces',
      );
    }
    applyOption(draft, name.toLowerCase(), quoted?.slice(1, -1).replaceAll('\\"', '"'));
    isExpected = separator === ',';
  }
  return draft;
}

function applyOption(draft: Draft, name: string, value: string | undefined): void {
  if (value === undefined && Object.hasOwn(flags, name)) {
    Object.assign(draft, flags[name]);
    return;
  }
  if (value !== undefined && Object.hasOwn(readers, name)) {
    readers[name]?.(draft, value);
    return;
  }
  if (Object.hasOwn(flags, name)) throw refusal(`the option ${name} takes no value`);
  if (Object.hasOwn(readers, name)) throw refusal(`the option ${name} needs a value in quotation marks`);
  throw refusal(`there is no option ${printable(name)}`);
}

function refuseSecond(name: string, earlier: unknown): void {
  if (earlier !== undefined) throw refusal(`the option ${name} is there twice`);
}

/** `host:port`, IPv6 addresses in square brackets. */
function parsePlace(name: string, value: string): ForwardingPlace {
  const [, bracketed, plain, port] = /^(?:\[([^\s[\]]+)\]|([^\s:[\]]+)):([\d*]+)$/.exec(value) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || port === undefined) {
    throw refusal(`${name}="..." is not of the form host:port, IPv6 addresses in square brackets`);
  }
  return { host, port: parsePort(name, port) };
}

function parsePort(name: string, text: string): number | '*' {
  if (text === '*') return '*';
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65535) {
    throw refusal(`${name}="..." has no port from 1 to 65535, or *`);
  }
  return port;
}

/** YYYYMMDD or YYYYMMDDHHMM[SS], in UTC with a Z behind it, otherwise in this machine's zone. */
function parseTime(value: string): Date {
  const [, digits = '', zone] = /^(\d{8}|\d{12}|\d{14})(Z|UTC)?$/i.exec(value) ?? [];
  const part = (start: number, end: number): number => Number(digits.slice(start, end) || '0');
  const parts = [part(0, 4), part(4, 6) - 1, part(6, 8), part(8, 10), part(10, 12), part(12, 14)] as const;
  const time = zone === undefined ? new Date(...parts) : new Date(Date.UTC(...parts));
  const utc = new Date(Date.UTC(...parts));
  // The 31st of February would be taken for a day of March.
  const isReal =
    digits !== '' &&
    parts[0] >= 1970 &&
    utc.getUTCMonth() === parts[1] &&
    utc.getUTCDate() === parts[2] &&
    utc.getUTCHours() === parts[3] &&
    utc.getUTCMinutes() === parts[4] &&
    utc.getUTCSeconds() === parts[5];
  if (!isReal)
    throw refusal('expiry-time="..." is not a time of the form YYYYMMDD[Z] or YYYYMMDDHHMM[SS][Z]');
  return time;
}

function refusal(reason: string): KeyError {
  return new KeyError('authorized_keys_line', `This line cannot be used: ${reason}.`);
}
