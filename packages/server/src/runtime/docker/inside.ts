/**
 * Looks into a container that runs: its disks, its memory, its clock, and what its sshd lets people in by. A script prints
 * a line for each thing; it runs as what the container runs as, and whoever is root in there may have it print whatever
 * it likes, which concerns that environment alone.
 */
import type Docker from 'dockerode';
import { lastingFolders } from '../runtime.ts';
import type { Inside } from '../runtime.ts';
import { outputOf } from './exec.ts';

const mostBytes = 512 * 1024;
const copies = '/run/berth';
/** What sshd reads no key from when others can write to it, and the folders on the way there. */
const keyFiles = ['authorized_keys', 'trusted_user_ca.pub', 'principals'];

const script = `
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
date +'clock %s'
for folder in "$@"; do stat -f -c "disk %S %a %c %d $folder" -- "$folder"; done
for file in / /run ${copies} ${keyFiles.map((name) => `${copies}/${name}`).join(' ')}; do
  [ -e "$file" ] && stat -L -c 'file %a %u %n' -- "$file"
done
first() { for file; do [ -r "$file" ] && { cat "$file"; return; }; done; }
one() { printf '%s ' "$1"; shift; first "$@"; }
memory=/sys/fs/cgroup/memory
one memory.used /sys/fs/cgroup/memory.current $memory/memory.usage_in_bytes
one memory.limit /sys/fs/cgroup/memory.max $memory/memory.limit_in_bytes
first /sys/fs/cgroup/memory.stat $memory/memory.stat | while read -r name value; do
  case $name in inactive_file | total_inactive_file) echo "memory.cache $name $value" ;; esac
done
first /sys/fs/cgroup/memory.events $memory/memory.oom_control | while read -r name value; do
  [ "$name" = oom_kill ] && echo "memory.kills $value"
done
[ -r /etc/shadow ] && while IFS=: read -r name hash changed least most warning inactive expires _; do
  [ "$name" = "$BERTH_USER" ] && echo "account $hash:$changed:$most:$inactive:$expires"
done < /etc/shadow
[ -r ${copies}/authorized_keys ] && while IFS= read -r line; do
  printf 'key %s\\n' "$line"
done < ${copies}/authorized_keys
`;

/** @throws the signal's reason, or the engine's error, such as for a container that does not run */
export async function lookInside(
  docker: Docker,
  id: string,
  { username, signal }: { username: string; signal: AbortSignal },
): Promise<Inside> {
  const folders = [...Object.values(lastingFolders).map((folder) => folder(username)), '/', '/tmp'];
  const printed = await outputOf(docker, id, ['/bin/sh', '-c', script, 'look', ...folders], {
    signal,
    mostBytes,
    env: [`BERTH_USER=${username}`],
  });
  return readInside(printed);
}

/** Lines that say nothing are left out, as they are where a container lacks a program. */
export function readInside(printed: string): Inside {
  const lines = printed.split('\n');
  const after = (name: string): string[] =>
    lines.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));
  const numberAfter = (name: string): number | null => wholeNumber(after(name)[0]);
  const used = numberAfter('memory.used');
  const limit = numberAfter('memory.limit');
  const clock = numberAfter('clock');
  return {
    clockSeconds: clock,
    disks: after('disk').flatMap((line) => {
      const [, ...fields] = /^(\d{1,15}) (\d{1,15}) (\d{1,15}) (\d{1,15}) (\/\S{0,100})$/.exec(line) ?? [];
      const [blockBytes = 0, blocks = 0, inodes = 0, inodesFree = 0] = fields.slice(0, 4).map(Number);
      const place = fields[4];
      return place === undefined ? [] : [{ place, freeBytes: blockBytes * blocks, inodes, inodesFree }];
    }),
    memory:
      used === null
        ? null
        : {
            usedBytes: Math.max(0, used - cacheOf(after('memory.cache'))),
            // Without a limit the kernel says "max", or the greatest number of pages.
            limitBytes: limit === null || limit > 2 ** 60 ? null : limit,
            kills: numberAfter('memory.kills') ?? 0,
          },
    account: accountOf(after('account')[0]),
    files: after('file').flatMap((line) => {
      const [, mode, owner, path] = /^([0-7]{1,5}) (\d{1,10}) (\/\S{0,100})$/.exec(line) ?? [];
      return path === undefined ? [] : [{ path, mode: Number.parseInt(mode ?? '', 8), owner: Number(owner) }];
    }),
    authorizedKeys: lines.some((line) => line.endsWith(`${copies}/authorized_keys`)) ? after('key') : null,
  };
}

/** What the kernel would give back at once. Both names are there where a group has groups below it: the sum counts. */
function cacheOf(lines: string[]): number {
  const by = new Map(lines.map((line) => line.split(' ') as [string, string]));
  return wholeNumber(by.get('total_inactive_file') ?? by.get('inactive_file')) ?? 0;
}

/** shadow(5): of the fields, hash, day of the last change, most days, days of grace, day of the end. */
function accountOf(line: string | undefined): Inside['account'] {
  if (line === undefined) return null;
  const [hash = '', changed, most, inactive, expires] = line.split(':');
  const [changedDay, mostDays, graceDays, lastDay] = [changed, most, inactive, expires].map(wholeNumber);
  const isOver = (day: number) => Date.now() > day * 86_400_000;
  let expired: 'account' | 'password' | null = null;
  if (typeof lastDay === 'number' && isOver(lastDay)) expired = 'account';
  else if (changedDay === 0) expired = 'password';
  else if (typeof changedDay === 'number' && typeof mostDays === 'number') {
    // An account in grace is asked for a new password, which no program without a terminal can give.
    if (mostDays < 99_999 && isOver(changedDay + mostDays + 1)) expired = 'password';
    if (typeof graceDays === 'number' && isOver(changedDay + mostDays + graceDays + 1)) expired = 'password';
  }
  return { hash, expired };
}

function wholeNumber(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,20}$/.test(text.trim()) ? Number(text) : null;
}
