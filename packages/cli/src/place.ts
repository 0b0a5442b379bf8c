/**
 * Where this machine's Berth keeps its things. The same order as the server's own: the flag, the variable,
 * the settings file, the XDG data folder.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { usageFailure } from './failure.ts';

function xdg(variable: string, ...fallback: string[]): string {
  return join(process.env[variable] || join(homedir(), ...fallback), 'berth');
}

const defaultDataFolder = () => xdg('XDG_DATA_HOME', '.local', 'share');

/** What is remembered between two runs and may be lost. */
export const stateFolder = () => xdg('XDG_STATE_HOME', '.local', 'state');

/** What can be made again. */
export const cacheFolder = () => xdg('XDG_CACHE_HOME', '.cache');

/** A setting that the command needs before the server can be asked for it. */
export function settingInForce(name: 'dataDir' | 'environmentImage' | 'logLevel'): string | undefined {
  const variable = {
    dataDir: 'BERTH_DATA_DIR',
    environmentImage: 'BERTH_ENVIRONMENT_IMAGE',
    logLevel: 'BERTH_LOG_LEVEL',
  }[name];
  const value = process.env[variable] ?? settingsFile()[name];
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
    const content: unknown = parse(readFileSync(file, 'utf8'));
    return typeof content === 'object' && content !== null ? { ...content } : {};
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw usageFailure(
      `The settings file ${resolve(file)} cannot be read: ${reason}`,
      'Correct it, or name another in BERTH_CONFIG.',
    );
  }
}
