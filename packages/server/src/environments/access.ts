/** How an environment's access settings are said in its timeline. */
import type { Forwarding } from '@berth/contract';

const forwardingWords: Record<keyof Forwarding, string> = {
  local: 'local forwarding',
  remote: 'remote forwarding',
  agent: 'agent forwarding',
  x11: 'X11 forwarding',
  sftp: 'sftp',
};

/** For people: `local forwarding off`, `passwords off`. */
export function accessInWords(change: {
  forwarding: Partial<Forwarding> | undefined;
  password_login: boolean | undefined;
  wake: boolean | undefined;
}): string[] {
  const { forwarding = {}, password_login, wake } = change;
  const switched = (what: string, on: boolean | undefined) =>
    on === undefined ? [] : [`${what} ${on ? 'on' : 'off'}`];
  return [
    ...(Object.keys(forwardingWords) as (keyof Forwarding)[]).flatMap((name) =>
      switched(forwardingWords[name], forwarding[name]),
    ),
    ...switched('passwords', password_login),
    ...switched('waking at a login', wake),
  ];
}
