/**
 * The folder `gateway` in the data folder, where the gateway on this machine keeps what is its own and finds the control
 * protocol's socket. Made by whoever comes first.
 *
 * Where Berth runs as root, the folder belongs to the account of `gatewayUser`, which the gateway has become by the time
 * it opens the socket. So nothing in it is followed: whoever is that account could have put a link there.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, lchownSync, lstatSync, mkdirSync } from 'node:fs';

export interface Owner {
  uid: number;
  gid: number;
}

/**
 * @returns whose it is; null: of whoever runs this process
 * @throws Error with a sentence for people when it cannot be made, or the account is not there
 */
export function makeGatewayFolder(path: string, account: string): Owner | null {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
      throw new Error(`the gateway's folder ${path} cannot be made: ${(error as Error).message}`, {
        cause: error,
      });
  }
  const found = lstatSync(path);
  if (!found.isDirectory()) throw new Error(`${path} is no folder. Remove it; Berth makes it anew.`);
  const me = process.getuid?.();
  const owner = me === 0 ? ownerOf(account) : null;
  if (owner !== null) lchownSync(path, owner.uid, owner.gid);
  else if (found.uid !== me)
    throw new Error(`${path} belongs to another account (${found.uid}). Remove it; Berth makes it anew.`);
  chmodSync(path, 0o700);
  return owner;
}

/** @throws Error when there is no such account */
function ownerOf(account: string): Owner {
  const number = (flag: string) => {
    const { status, stdout } = spawnSync('id', [flag, '--', account], { encoding: 'utf8' });
    if (status === 0 && /^\d+\n$/.test(stdout)) return Number(stdout);
    throw new Error(`gatewayUser: there is no account ${JSON.stringify(account)} on this machine.`);
  };
  return { uid: number('-u'), gid: number('-g') };
}
