/**
 * Environments in a person's own OpenSSH configuration (ssh_config(5)): one `Include` line at the top of the file,
 * and beside it `berth.d/` with a file of host blocks and one of host keys for each Berth. The blocks are plain and
 * name the pinned keys, so ssh, VS Code and rsync work without this command.
 */
import { existsSync, lstatSync, readFileSync, readdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { diff } from 'node:util';
import type { Environment, SshAccess } from '@berth/contract';
import { firstWay, mustHaveWay } from './environment.ts';
import { CommandFailure, exitCodes } from './failure.ts';
import { printable } from './text.ts';

const marker = '# Environments of Berth; "berth config-ssh --remove" takes these two lines out.';
/** So that taking the lines out leaves no file where there was none. */
const markerOfNew = '# Environments of Berth; "berth config-ssh --remove" takes this file away.';
const contextLines = 3;

/** A file as it is and as it is to be; null: it is not there. */
export interface Change {
  file: string;
  before: Buffer | null;
  after: Buffer | null;
}

/** ssh looks for its configuration in the account's home folder, whatever HOME says. */
function defaultConfigFile(): string {
  return join(userInfo().homedir, '.ssh', 'config');
}

export function folderOf(configFile: string): string {
  return join(dirname(configFile), 'berth.d');
}

/** The names under which ssh knows an environment. */
export function aliasOf({ env_id }: Pick<Environment, 'env_id'>): string {
  return `${env_id}.berth`;
}

/**
 * What writing `accesses` changes.
 *
 * @param place which Berth they are of; part of file names
 */
export function changesToWrite(configFile: string, place: string, accesses: SshAccess[]): Change[] {
  const folder = folderOf(configFile);
  const known = accesses.filter(isKnown);
  const keysFile = join(folder, `${place}.known_hosts`);
  const blocks = known.map((access) => hostBlock(access, pathForSsh(configFile, keysFile)));
  const title = `# Written by "berth config-ssh"; what is changed here is lost at its next run.\n`;
  return [
    change(keysFile, Buffer.from(known.map(knownHostsLines).join(''))),
    change(join(folder, `${place}.conf`), Buffer.from(title + blocks.map((each) => `\n${each}`).join(''))),
    change(configFile, withInclude(configFile, readIfThere(configFile))),
  ].filter(({ before, after }) => before === null || after === null || !before.equals(after));
}

/** What taking everything out again changes. */
export function changesToRemove(configFile: string): Change[] {
  const folder = folderOf(configFile);
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const config = readIfThere(configFile);
  const without = config === null ? null : withoutInclude(configFile, config);
  return [
    ...(config !== null && (without === null || !without.equals(config))
      ? [{ file: configFile, before: config, after: without }]
      : []),
    ...names
      .filter((name) => /\.(conf|known_hosts)$/.test(name))
      .map((name) => change(join(folder, name), null)),
  ];
}

/** Whether ssh finds the environment by its alias. */
export function isConfigured(configFile: string, environment: Environment): boolean {
  const folder = folderOf(configFile);
  const config = readIfThere(configFile);
  if (config === null || !existsSync(folder) || withoutInclude(configFile, config)?.equals(config))
    return false;
  const line = new RegExp(`^Host .*\\b${aliasOf(environment).replaceAll('.', '\\.')}$`, 'm');
  return readdirSync(folder).some(
    (name) => name.endsWith('.conf') && line.test(readFileSync(join(folder, name), 'utf8')),
  );
}

function change(file: string, after: Buffer | null): Change {
  return { file, before: readIfThere(file), after };
}

function readIfThere(file: string): Buffer | null {
  try {
    return readFileSync(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandFailure(exitCodes.failed, 'unreadable', `${file} cannot be read (${reason})`);
  }
}

/** Relative where ssh takes it from ~/.ssh, so that a configuration shared between machines works on each. */
function includeLine(configFile: string): string {
  return configFile === defaultConfigFile()
    ? 'Include berth.d/*.conf'
    : `Include ${quoted(join(folderOf(configFile), '*.conf'))}`;
}

function pathForSsh(configFile: string, file: string): string {
  return configFile === defaultConfigFile()
    ? `~/.ssh/berth.d/${basename(file)}`
    : quoted(file.replaceAll('%', '%%'));
}

function quoted(path: string): string {
  return /[\s"]/.test(path) ? `"${path}"` : path;
}

/** At the top, since after a `Host` line it would hold for that host only. */
function withInclude(configFile: string, config: Buffer | null): Buffer {
  if (config !== null && withoutInclude(configFile, config)?.equals(config) === false) return config;
  if (config !== null && hasOnlyOurs(configFile, config)) return config;
  const lines = `${config === null ? markerOfNew : marker}\n${includeLine(configFile)}\n`;
  return Buffer.concat([Buffer.from(lines), config ?? Buffer.alloc(0)]);
}

function hasOnlyOurs(configFile: string, config: Buffer): boolean {
  return config.equals(Buffer.from(`${markerOfNew}\n${includeLine(configFile)}\n`));
}

/** null: there was no file before Berth. The rest stays byte for byte. */
function withoutInclude(configFile: string, config: Buffer): Buffer | null {
  if (hasOnlyOurs(configFile, config)) return null;
  for (const each of [marker, markerOfNew]) {
    const lines = Buffer.from(`${each}\n${includeLine(configFile)}\n`);
    const at = config.indexOf(lines);
    if (at !== -1) return Buffer.concat([config.subarray(0, at), config.subarray(at + lines.length)]);
  }
  return config;
}

function hostBlock(access: SshAccess, keysFile: string): string {
  const { username, host, port } = mustHaveWay(access, access.env_id);
  const { env_id } = access;
  const id = plain(env_id, /^[a-z0-9][a-z0-9-]{0,62}$/, 'an id');
  return `${[
    `Host ${id} ${aliasOf({ env_id: id })}`,
    `  HostName ${plain(host, /^[A-Za-z0-9][A-Za-z0-9.:_-]{0,252}$/, 'a host')}`,
    `  Port ${plain(String(port), /^\d{1,5}$/, 'a port')}`,
    `  User ${plain(username, /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/, 'a user')}`,
    `  HostKeyAlias ${aliasOf({ env_id: id })}`,
    `  UserKnownHostsFile ${keysFile}`,
    '  GlobalKnownHostsFile /dev/null',
    '  StrictHostKeyChecking yes',
    '  UpdateHostKeys no',
  ].join('\n')}\n`;
}

/** Whether there is a way to it whose host keys are known. */
export function isKnown(access: SshAccess): boolean {
  return firstWay(access) !== undefined && access.known_hosts !== null;
}

/** The environment's keys, or the shared port's, under its alias, since address and port may come to be another's. */
function knownHostsLines(access: SshAccess): string {
  return (access.known_hosts ?? '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, type = '', key = ''] = line.trim().split(/\s+/);
      return `${aliasOf(access)} ${plain(type, /^[a-z0-9@.-]{1,64}$/, 'a kind of key')} ${plain(key, /^[A-Za-z0-9+/=]{1,16384}$/, 'a key')}\n`;
    })
    .join('');
}

/** A server must not be able to write lines of its own into the configuration. */
function plain(value: string, pattern: RegExp, what: string): string {
  if (pattern.test(value)) return value;
  throw new CommandFailure(
    exitCodes.failed,
    'bad_answer',
    `The server named ${printable(JSON.stringify(value))} as ${what}; nothing was written`,
    'Tell the administrator of that Berth.',
  );
}

/** A unified diff, as `diff -u` and `patch` have it. */
export function unifiedDiff({ file, before, after }: Change): string {
  const lines = (content: Buffer | null) =>
    content === null || content.length === 0 ? [] : content.toString('utf8').replace(/\n$/, '').split('\n');
  // util.diff goes from the second to the first: -1 is only in the first.
  const parts = diff(lines(before), lines(after)).map(([operation, text]) => ({
    sign: operation === 0 ? ' ' : operation === 1 ? '-' : '+',
    text,
  }));
  const shown = parts.map((_, index) =>
    parts.slice(Math.max(0, index - contextLines), index + contextLines + 1).some(({ sign }) => sign !== ' '),
  );
  // A tab ends a name that has spaces, for patch.
  const name = file.includes(' ') ? `${file}\t` : file;
  const output = [
    `--- ${before === null ? '/dev/null' : name}`,
    `+++ ${after === null ? '/dev/null' : name}`,
  ];
  let [oldLine, newLine] = [1, 1];
  for (let index = 0; index < parts.length;) {
    if (!shown[index]) {
      oldLine++;
      newLine++;
      index++;
      continue;
    }
    const length = shown.slice(index).findIndex((each) => !each);
    const hunk = parts.slice(index, length === -1 ? undefined : index + length);
    const oldCount = hunk.filter(({ sign }) => sign !== '+').length;
    const newCount = hunk.filter(({ sign }) => sign !== '-').length;
    output.push(
      `@@ -${oldCount === 0 ? oldLine - 1 : oldLine},${oldCount} +${newCount === 0 ? newLine - 1 : newLine},${newCount} @@`,
      ...hunk.map(({ sign, text }) => sign + text),
    );
    oldLine += oldCount;
    newLine += newCount;
    index += hunk.length;
  }
  return output.join('\n');
}

/** @throws CommandFailure when the file is something else */
export function configFileOf(flag: string | undefined): string {
  const file = flag === undefined ? defaultConfigFile() : resolve(flag);
  if (lstatSync(file, { throwIfNoEntry: false })?.isDirectory()) {
    throw new CommandFailure(
      exitCodes.usage,
      'usage',
      `--config names ${file}, which is a folder`,
      'Name a file, such as ~/.ssh/config.',
    );
  }
  return file;
}
