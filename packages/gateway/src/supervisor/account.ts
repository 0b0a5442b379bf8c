/** The account that workers become where Berth is started as root, and the folder that is theirs. */
import { spawnSync } from 'node:child_process';
import { chmodSync, lchownSync, lstatSync, mkdirSync } from 'node:fs';

export interface Account {
  user: string;
  uid: number;
  gid: number;
}

/** @throws Error with a sentence: there is no such account, or it is root's */
export function findAccount(user: string): Account {
  const number = (option: string) => {
    const { stdout, status } = spawnSync('id', [option, '--', user], { encoding: 'utf8' });
    return status === 0 ? Number(stdout) : undefined;
  };
  const [uid, gid] = [number('-u'), number('-g')];
  if (uid === undefined || gid === undefined)
    throw new Error(
      `setting gatewayUser is "${user}"; there is no such account on this machine. Make it: useradd --system ${user}`,
    );
  if (uid === 0) throw new Error(`setting gatewayUser is "${user}"; the gateway must not run as root`);
  return { user, uid, gid };
}

/**
 * The workers' folder, 0700 and theirs. Its parents need not be open to them: they are put into it before they give up
 * root. Nothing in it is touched here, since whoever is that account could have put a link there.
 *
 * @param account null: whoever this process is
 */
export function prepareFolder(folder: string, account: Account | null): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!lstatSync(folder).isDirectory()) throw new Error(`${folder} is no folder. Remove it; Berth makes it anew.`);
  if (account !== null) lchownSync(folder, account.uid, account.gid);
  chmodSync(folder, 0o700);
}
