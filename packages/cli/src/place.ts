/**
 * Which Berth is asked, and where this machine's Berth keeps its things.
 *
 * The order: the flags, the variables, the profile in use, the socket in the data folder of this machine. The
 * data folder's own order is the server's: the flag, the variable, the settings file, the XDG data folder.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { usageFailure } from './failure.ts';
import { findProfile, profileInUse, profileNameOf } from './profiles.ts';
import type { Profile } from './profiles.ts';
import { xdg } from './xdg.ts';
import { parseYaml } from './yaml.ts';

export type Place = {
  /** How it is called: the profile's name, the URL's host, or "local". */
  name: string;
  /** What decided, for people. */
  why: string;
} & ({ folder: string } | { url: string; token: string | undefined; profile?: string });

const defaultDataFolder = () => xdg('XDG_DATA_HOME', '.local', 'share');

/** What is remembered between two runs and may be lost. */
export const stateFolder = () => xdg('XDG_STATE_HOME', '.local', 'state');

/** What can be made again. */
export const cacheFolder = () => xdg('XDG_CACHE_HOME', '.cache');

/** @throws CommandFailure when a profile is named that there is not, or the flags name two places */
export function placeInForce(flags: { dataDir?: string; profile?: string }): Place {
  if (flags.dataDir !== undefined && flags.profile !== undefined) {
    throw usageFailure('--data-dir and --profile name two places', 'Leave one of them out.');
  }
  if (flags.dataDir !== undefined) {
    return { name: 'local', why: '--data-dir names the data folder', folder: dataFolder(flags.dataDir) };
  }
  if (flags.profile !== undefined) return placeOf(findProfile(flags.profile), '--profile names it');
  const url = process.env['BERTH_URL'];
  if (url)
    return { name: profileNameOf(url), why: 'BERTH_URL is set', url, token: process.env['BERTH_TOKEN'] };
  const named = process.env['BERTH_PROFILE'];
  if (named) return placeOf(findProfile(named), 'BERTH_PROFILE names it');
  if (process.env['BERTH_DATA_DIR']) {
    return { name: 'local', why: 'BERTH_DATA_DIR is set', folder: dataFolder(undefined) };
  }
  const profile = profileInUse();
  if (profile !== undefined) return placeOf(profile, 'it is the profile in use');
  return { name: 'local', why: 'no flag, variable or profile names another', folder: dataFolder(undefined) };
}

function placeOf({ name, url, token }: Profile, why: string): Place {
  return { name, why, url, token, profile: name };
}

/** The settings that the command needs before the server can be asked for them, or where there is none. */
const variables = {
  dataDir: 'BERTH_DATA_DIR',
  environmentImage: 'BERTH_ENVIRONMENT_IMAGE',
  logLevel: 'BERTH_LOG_LEVEL',
  roles: 'BERTH_ROLES',
  gatewayWorkers: 'BERTH_GATEWAY_WORKERS',
  gatewayUser: 'BERTH_GATEWAY_USER',
  'control.certificate': 'BERTH_CONTROL_CERTIFICATE',
  'control.key': 'BERTH_CONTROL_KEY',
  'control.authority': 'BERTH_CONTROL_AUTHORITY',
} as const;

export function settingInForce(name: keyof typeof variables): string | undefined {
  const file = () => {
    const content = settingsFile();
    const [group = '', inner] = name.split('.');
    const grouped = content[group];
    if (inner === undefined || content[name] !== undefined) return content[name];
    return typeof grouped === 'object' && grouped !== null ? { ...grouped }[inner as never] : undefined;
  };
  const value = process.env[variables[name]] ?? file();
  return value === undefined ? undefined : String(value);
}

export function dataFolder(flag: string | undefined): string {
  return resolve(flag ?? settingInForce('dataDir') ?? defaultDataFolder());
}

export function socketIn(folder: string): string {
  return join(folder, 'berth.sock');
}

function settingsFile(): Record<string, unknown> {
  const dataDir = process.env['BERTH_DATA_DIR'] ?? defaultDataFolder();
  const file = process.env['BERTH_CONFIG'] ?? ['berth.yaml', join(dataDir, 'berth.yaml')].find(existsSync);
  if (file === undefined) return {};
  try {
    const content: unknown = parseYaml(readFileSync(file, 'utf8'));
    return typeof content === 'object' && content !== null ? { ...content } : {};
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw usageFailure(
      `The settings file ${resolve(file)} cannot be read: ${reason}`,
      'Correct it, or name another in BERTH_CONFIG.',
    );
  }
}
