/** `--exposure`, `--forwarding`, `--no-forwarding`, `--password-login`, `--wake`: how an environment may be reached and used. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { sshCommand } from '@berth/contract/paths';
import { exposures } from '@berth/contract/vocabulary';
import type { Environment, Exposure, Forwarding, UpdateEnvironment } from '@berth/contract';

const forwardings = ['local', 'remote', 'agent', 'x11', 'sftp'] as const satisfies (keyof Forwarding)[];

export interface AccessOptions {
  exposure?: Exposure;
  forwarding?: Partial<Forwarding>;
  passwordLogin?: boolean;
  wake?: boolean;
}

/** What `set` changes at once, for new logins. */
export const heldAtOnce: ReadonlySet<string> = new Set<keyof UpdateEnvironment>([
  'name',
  'forwarding',
  'password_login',
  'wake',
]);

export function withAccess(command: Command): Command {
  const named = `${forwardings.join(', ')} with commas between`;
  const policy = new Option('--forwarding <kinds>', `allow these and no other: ${named}; or none`);
  const without = new Option('--no-forwarding <kinds>', `forbid these, the others stay: ${named}`);
  // Both write one policy; the one that comes later wins where they speak of the same.
  return command
    .addOption(
      new Option(
        '--exposure <what>',
        'what serves its own port: the gateway, or the container itself',
      ).choices(exposures),
    )
    .addOption(policy.argParser((value: string, before?: Partial<Forwarding>) => onlyThese(value, before)))
    .addOption(without.argParser((value: string, before?: Partial<Forwarding>) => notThese(value, before)))
    .addOption(switchOption('--password-login <on|off>', 'whether its password opens it'))
    .addOption(switchOption('--wake <on|off>', 'whether a login starts it when it is stopped'));
}

/** `on` or `off`. */
export function switchOption(flags: string, about: string): Option {
  return new Option(flags, about).argParser((value: string) => {
    if (value === 'on' || value === 'off') return value === 'on';
    throw new InvalidArgumentError('Allowed: on, off.');
  });
}

function onlyThese(value: string, before: Partial<Forwarding> | undefined): Partial<Forwarding> {
  const named = value === 'none' ? [] : kindsIn(value, ', or none');
  return { ...before, ...Object.fromEntries(forwardings.map((each) => [each, named.includes(each)])) };
}

function notThese(value: string, before: Partial<Forwarding> | undefined): Partial<Forwarding> {
  return { ...before, ...Object.fromEntries(kindsIn(value, '').map((each) => [each, false])) };
}

/** @throws InvalidArgumentError that names the first that is none */
function kindsIn(value: string, orElse: string): (keyof Forwarding)[] {
  return value.split(',').map((text) => {
    const found = forwardings.find((each) => each === text.trim());
    if (found !== undefined) return found;
    throw new InvalidArgumentError(
      `${JSON.stringify(text.trim())} is none. Allowed: ${forwardings.join(', ')} with commas between${orElse}.`,
    );
  });
}

/** What the options ask for, as the API takes it. */
export function accessOf({
  exposure,
  forwarding,
  passwordLogin,
  wake,
}: AccessOptions): Pick<UpdateEnvironment, 'exposure' | 'forwarding' | 'password_login' | 'wake'> {
  return {
    ...(exposure === undefined ? {} : { exposure }),
    ...(forwarding === undefined ? {} : { forwarding }),
    ...(passwordLogin === undefined ? {} : { password_login: passwordLogin }),
    ...(wake === undefined ? {} : { wake }),
  };
}

/** For `berth show`. */
export function accessRows(environment: Environment): [string, string][] {
  const { env_id, ssh_host, ssh_port, shared_port, exposure, running_exposure } = environment;
  const { forwarding, password_login, wake } = environment;
  const allowed = forwardings.filter((each) => forwarding[each]);
  return [
    ...(shared_port === null || ssh_port === null
      ? []
      : [['shared port', sshCommand(env_id, ssh_host, shared_port)] as [string, string]]),
    [
      'exposure',
      running_exposure === null ? exposure : `${running_exposure}; ${exposure} from its next start`,
    ],
    ['forwarding', allowed.length === forwardings.length ? 'all' : allowed.join(', ') || 'none'],
    ['passwords', password_login ? 'on' : 'off'],
    ['wake', wake ? 'on' : 'off'],
  ];
}
