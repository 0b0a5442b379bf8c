/**
 * `berth login | logout | profiles`: signing in to a Berth elsewhere, and what is remembered of it.
 *
 * Without an option a browser signs in: the device authorization of RFC 8628, so it may be one on another machine.
 */
import { hostname, userInfo } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { routes } from '@berth/contract/paths';
import type { DeviceAuthorization, Login, LoginToken, Whoami } from '@berth/contract';
import { openInBrowser } from '../browser.ts';
import { Client } from '../client.ts';
import { exitCodeOfInterrupt } from '../confirm.ts';
import { CommandFailure, exitCodes, usageFailure } from '../failure.ts';
import {
  checkProfileName,
  findProfile,
  profileInUse,
  profileNameOf,
  profilesFile,
  readProfiles,
  storeProfile,
  writeProfiles,
} from '../profiles.ts';
import type { Profile } from '../profiles.ts';
import { askSecret } from '../secret.ts';
import { Session, named, say, withOutput } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { printable, table } from '../text.ts';

/** RFC 8628, section 3.5: by how much "slow_down" lengthens the pause. */
const slowDownMs = 5_000;
/** Where the server names no interval. */
const defaultIntervalSeconds = 5;

interface LoginOptions extends CommonOptions {
  token?: true;
  account?: string;
  browser: boolean;
}

export function addLoginCommands(program: Command): void {
  const login = program
    .command('login')
    .description('Sign in to a Berth and remember it as a profile')
    .argument('[url]', "the Berth's address (default: that of the profile, else BERTH_URL)")
    .option('--profile <profile>', "what the profile is called (default: the address's host)")
    .option('--token', 'with a token, read from stdin')
    .option('--account <name>', 'with a password, asked for or read from stdin')
    .option('--no-browser', 'show the address and the code, and open nothing')
    .addHelpText(
      'after',
      '\nWithout --token and --account it shows an address and a code for a browser, here or elsewhere.',
    );
  withOutput(login, named).action((url: string | undefined, _: object, command: Command) =>
    signIn(url, command.optsWithGlobals()),
  );

  const logout = program
    .command('logout')
    .description('Sign out: end the login at Berth and forget its token')
    .option('--profile <profile>', 'of this profile (default: the one in use)');
  withOutput(logout, named).action((_: object, command: Command) => signOut(command.optsWithGlobals()));

  const profiles = program.command('profiles').description('The Berths that you signed in to');
  withOutput(profiles.command('list').description('List the profiles'), named).action(
    (_: object, command: Command) => list(command.optsWithGlobals()),
  );
  withOutput(profiles.command('use').description('Ask this one from now on'), named)
    .argument('<profile>', '"local" for the Berth of this machine')
    .action((name: string, _: object, command: Command) => use(name, command.optsWithGlobals()));
  withOutput(profiles.command('remove').description('Forget a profile and its token'), named)
    .argument('<profile>')
    .action((name: string, _: object, command: Command) => remove(name, command.optsWithGlobals()));
}

async function signIn(given: string | undefined, options: LoginOptions): Promise<void> {
  if (options.token && options.account !== undefined) {
    throw usageFailure('--token and --account are two ways to sign in', 'Leave one of them out.');
  }
  if (options.profile !== undefined) checkProfileName(options.profile);
  const url = urlOf(given, options);
  const client = Client.at(url, undefined, 'The address');
  const name = options.profile ?? profileNameOf(url);
  const token = await tokenFor(client, options);
  const me = await Client.at(url, token).get<Whoami>(routes.whoami);
  storeProfile({ name, url, account: me.account, token });
  Session.answerOf(
    options,
    { profile: name, url, account: me.account, role: me.role, customer: me.customer },
    () =>
      `Signed in to ${url} as ${printable(me.account)} (${me.role} of ${printable(me.customer)}).\n` +
      `The profile ${name} is in use from now on; see: berth profiles list`,
    ({ profile }) => profile,
  );
}

function urlOf(given: string | undefined, { profile }: LoginOptions): string {
  const known = () =>
    profile === undefined ? profileInUse() : readProfiles().profiles.find(({ name }) => name === profile);
  const url = given ?? known()?.url ?? process.env['BERTH_URL'];
  if (!url) {
    throw usageFailure(
      'No address of a Berth is given',
      'Name it: berth login https://berth.example.com (on the machine where Berth runs no login is needed).',
    );
  }
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.username || parsed.password) {
    throw usageFailure(
      `The address is ${JSON.stringify(parsed?.password ? '(hidden)' : url)}`,
      'It takes an http or https address without a password, such as https://berth.example.com.',
    );
  }
  return `${parsed.origin}${parsed.pathname}`.replace(/\/+$/, '');
}

async function tokenFor(client: Client, options: LoginOptions): Promise<string> {
  if (options.token) {
    const token = (await askSecret('Token: ')).trim();
    if (/^[\x21-\x7e]{1,512}$/.test(token)) return token;
    throw usageFailure('What came on stdin is no token', 'A token is one line, such as berth_...');
  }
  if (options.account === undefined) return throughBrowser(client, options);
  const wanted: Login = {
    account: options.account,
    password: await askSecret(`Password of ${printable(options.account)}: `),
  };
  return (await client.postOnce<LoginToken>(routes.login, wanted)).token;
}

/** RFC 8628, sections 3.1 to 3.5. */
async function throughBrowser(client: Client, options: LoginOptions): Promise<string> {
  const device = await client.postOnce<DeviceAuthorization>(routes.deviceAuthorization, {
    name: `${userInfo().username} on ${hostname()}`.slice(0, 64),
  });
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  process.once('SIGINT', interrupt);
  try {
    say(
      `Open this address in a browser:\n\n  ${printable(device.verification_uri_complete)}\n\n` +
        `and compare the code there: ${printable(device.user_code)}`,
    );
    if (options.browser) await openInBrowser(device.verification_uri_complete);
    return await pollForToken(client, device, interrupted.signal);
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    throw new CommandFailure(exitCodeOfInterrupt, 'interrupted', 'Not signed in.');
  } finally {
    process.off('SIGINT', interrupt);
  }
}

async function pollForToken(
  client: Client,
  device: DeviceAuthorization,
  signal: AbortSignal,
): Promise<string> {
  const untilMs = Date.now() + device.expires_in * 1000;
  let pauseMs = (device.interval || defaultIntervalSeconds) * 1000;
  while (Date.now() < untilMs) {
    await delay(pauseMs, undefined, { signal });
    try {
      const { device_code } = device;
      return (await client.postOnce<LoginToken>(routes.deviceToken, { device_code }, signal)).token;
    } catch (error) {
      const failure = error instanceof CommandFailure ? error : undefined;
      if (failure?.code === 'slow_down' || failure?.exitCode === exitCodes.tryLater) pauseMs += slowDownMs;
      else if (failure?.code === 'access_denied') {
        throw new CommandFailure(
          exitCodes.notAllowed,
          'access_denied',
          'The login was refused in the browser',
          'If that was not you, do nothing; else try again.',
        );
      } else if (failure?.code === 'expired_token') break;
      // RFC 8628, section 3.5: a connection that times out only makes the client ask less often.
      else if (failure?.exitCode === exitCodes.unreachable) pauseMs *= 2;
      else if (failure?.code !== 'authorization_pending') throw error;
    }
  }
  throw new CommandFailure(
    exitCodes.notAllowed,
    'expired_token',
    'Nobody approved the login in time',
    'Try again with: berth login',
  );
}

async function signOut(options: CommonOptions): Promise<void> {
  const profile = options.profile === undefined ? profileInUse() : findProfile(options.profile);
  if (profile === undefined) {
    throw usageFailure('No profile is in use, so there is no login to end', 'See: berth profiles list');
  }
  if (profile.token !== undefined) {
    await Client.at(profile.url, profile.token, `The URL of the profile ${profile.name}`)
      .delete(routes.session)
      .catch((error: unknown) => {
        if (!(error instanceof CommandFailure)) throw error;
        // A token that is not known any more lets nobody in either.
        if (error.code === 'unauthorized') return;
        say(
          `berth: Berth was not told, so the token stays valid until it expires: ${printable(error.message)}.`,
        );
      });
  }
  const { current, profiles } = readProfiles();
  writeProfiles({
    current,
    profiles: [
      ...profiles.filter(({ name }) => name !== profile.name),
      { ...profile, account: null, token: undefined },
    ],
  });
  Session.answerOf(options, shown(profile, current), () => `Signed out of ${profile.url}.`);
}

/** A profile without its token. */
function shown({ name, url, account }: Profile, current: string | undefined) {
  return { name, url, account, in_use: name === current };
}

function list(options: CommonOptions): void {
  const { current, profiles } = readProfiles();
  Session.answerOf(
    options,
    { items: profiles.map((each) => shown(each, current)), next_cursor: null },
    () =>
      profiles.length === 0
        ? 'There are no profiles. Make one with: berth login URL'
        : table(
            ['', 'NAME', 'ADDRESS', 'ACCOUNT'],
            profiles.map(({ name, url, account }) => [
              name === current ? '*' : '',
              name,
              url,
              account ?? 'signed out',
            ]),
          ),
    ({ items }) => items.map(({ name }) => name),
  );
}

function use(name: string, options: CommonOptions): void {
  const { profiles } = readProfiles();
  if (name === 'local') {
    writeProfiles({ current: undefined, profiles });
    Session.answerOf(options, { name }, () => 'The Berth of this machine is asked from now on.');
    return;
  }
  const profile = findProfile(name);
  writeProfiles({ current: name, profiles });
  Session.answerOf(options, shown(profile, name), () => `${profile.url} is asked from now on.`);
}

function remove(name: string, options: CommonOptions): void {
  const profile = findProfile(name);
  const { current, profiles } = readProfiles();
  writeProfiles({
    current: current === name ? undefined : current,
    profiles: profiles.filter((each) => each.name !== name),
  });
  Session.answerOf(
    options,
    shown(profile, current),
    () =>
      `The profile ${name} is gone from ${profilesFile()}.` +
      (profile.token === undefined ? '' : '\nIts token was not ended at Berth; "berth logout" does that.'),
  );
}
