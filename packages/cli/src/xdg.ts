/** Folders of the XDG Base Directory Specification. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** @returns Berth's part of the folder that `variable` names, else of the one below the home folder */
export function xdg(variable: string, ...fallback: string[]): string {
  return join(process.env[variable] || join(homedir(), ...fallback), 'berth');
}
