/**
 * Profiles: the Berths that somebody signed in to, in `profiles.yaml` of the XDG configuration folder. It holds
 * tokens, so only its owner may read it.
 */
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CommandFailure, exitCodes, usageFailure } from './failure.ts';
import { writeWhole } from './files.ts';
import { xdg } from './xdg.ts';
import { parseYaml, yamlText } from './yaml.ts';

export interface Profile {
  name: string;
  url: string;
  /** As whom; null: signed out. */
  account: string | null;
  token: string | undefined;
}

interface Profiles {
  current: string | undefined;
  profiles: Profile[];
}

/** "local" is what this machine's own Berth is called. */
const namePattern = /^(?!local$)[a-z0-9][a-z0-9._-]{0,62}$/;

export const profilesFile = () => join(xdg('XDG_CONFIG_HOME', '.config'), 'profiles.yaml');

/** @throws CommandFailure when a profile cannot be called that */
export function checkProfileName(name: string): string {
  if (namePattern.test(name)) return name;
  throw usageFailure(
    `--profile is ${JSON.stringify(name)}`,
    'Allowed: lower case letters, digits, dots, hyphens and underscores, such as work; not "local", which is this machine.',
  );
}

/** What the profile of an address is called where nobody named it: its host. */
export function profileNameOf(url: string): string {
  const name = (URL.parse(url)?.host ?? '').toLowerCase().replaceAll(/[^a-z0-9.]+/g, '-');
  return namePattern.test(name) ? name : 'default';
}

/** @throws CommandFailure when the file is not what this command writes */
export function readProfiles(): Profiles {
  const file = profilesFile();
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return { current: undefined, profiles: [] };
    }
    throw unreadable(file, error);
  }
  if ((statSync(file).mode & 0o077) !== 0) {
    throw new CommandFailure(
      exitCodes.failed,
      'open_profiles',
      `${file} holds tokens, and others may read it`,
      `Close it (chmod 600 ${file}), and renew the tokens if others were on this machine.`,
    );
  }
  try {
    const { current, profiles } = (parseYaml(text) ?? {}) as {
      current?: unknown;
      profiles?: Record<string, { url?: unknown; account?: unknown; token?: unknown }>;
    };
    return {
      current: typeof current === 'string' ? current : undefined,
      profiles: Object.entries(profiles ?? {}).map(([name, { url, account, token }]) => {
        if (typeof url !== 'string') throw new TypeError(`the profile ${name} has no url`);
        return {
          name,
          url,
          account: typeof account === 'string' ? account : null,
          token: typeof token === 'string' ? token : undefined,
        };
      }),
    };
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): CommandFailure {
  const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
  return usageFailure(
    `The profiles in ${file} cannot be read: ${reason}`,
    'Correct the file, or delete it and sign in again with: berth login URL',
  );
}

export function writeProfiles({ current, profiles }: Profiles): void {
  const file = profilesFile();
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const document = {
    ...(current === undefined ? {} : { current }),
    profiles: Object.fromEntries(
      profiles
        .toSorted((one, other) => (one.name < other.name ? -1 : 1))
        .map(({ name, url, account, token }) => [
          name,
          { url, ...(account === null ? {} : { account }), ...(token === undefined ? {} : { token }) },
        ]),
    ),
  };
  writeWhole(file, `${yamlText(document)}\n`, 0o600);
}

/** Stores the profile, in place of one of the same name, and puts it in use. */
export function storeProfile(profile: Profile): void {
  const { profiles } = readProfiles();
  const others = profiles.filter(({ name }) => name !== profile.name);
  writeProfiles({
    current: profile.name,
    profiles: [...others, profile],
  });
}

export function profileInUse(): Profile | undefined {
  const { current, profiles } = readProfiles();
  return profiles.find(({ name }) => name === current);
}

/** @throws CommandFailure that names the profiles there are */
export function findProfile(name: string): Profile {
  const { profiles } = readProfiles();
  const found = profiles.find((each) => each.name === name);
  if (found !== undefined) return found;
  throw new CommandFailure(
    exitCodes.notFound,
    'no_profile',
    `There is no profile called ${name}; ` +
      (profiles.length === 0
        ? 'there are none yet.'
        : `there are: ${profiles.map((each) => each.name).join(', ')}.`),
    `Make it with: berth login URL --profile ${namePattern.test(name) ? name : 'NAME'}`,
  );
}
