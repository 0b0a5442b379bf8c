// A client that runs one command on a server it knows, and ends as the command did.
//
//   node run-command.ts USER HOST PORT KEY_FILE KNOWN_HOSTS_FILE COMMAND

import { readFileSync } from 'node:fs';
import { KnownHosts, SigningKey, connect, parsePrivateKeyFile } from '@berth/ssh';

const [user = '', host = '', port = '22', keyFile = '', knownHostsFile = '', command = ''] =
  process.argv.slice(2);
const { key } = parsePrivateKeyFile(readFileSync(keyFile, 'utf8'));
if (!(key instanceof SigningKey)) throw new Error('This key is in a security key.');
const known = new KnownHosts(readFileSync(knownHostsFile, 'utf8'));

const connection = await connect({
  host,
  port: Number(port),
  user,
  credentials: [{ method: 'publickey', key }],
  hostKey: (blob) => {
    const { result } = known.lookUp(host, Number(port), blob);
    return result === 'match' ? undefined : `The host key of ${host} is ${result}.`;
  },
});

const session = await connection.session();
await session.exec(command);
process.stdin.pipe(session.channel).pipe(process.stdout);
session.stderr.pipe(process.stderr);
const exit = await session.exited;
connection.disconnect('Done.');
process.stdin.destroy();
process.exitCode = exit !== undefined && 'status' in exit ? exit.status : 255;
