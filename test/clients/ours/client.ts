/** Our client, in the shape of a peer: a program of its own, so that its streams and its end are a program's. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { driverClient, taskWords } from '../peers/driver.ts';
import type { ClientPeer } from '../peers/peer.ts';
import { runProgram } from '../peers/program.ts';

const program = [process.execPath, fileURLToPath(new URL('client-process.ts', import.meta.url))] as const;

const driven = driverClient({
  name: 'our client',
  abilities: [
    ...(['password', 'keyboard-interactive', 'sequence', 'certificate', 'environment', 'pty'] as const),
    ...(['subsystem', 'sftp', 'parallel', 'connect', 'connect-socket', 'local-forward'] as const),
    ...(['local-socket-forward', 'remote-forward', 'remote-socket-forward', 'half-close'] as const),
    ...(['agent', 'x11', 'rekey-up', 'rekey-down'] as const),
    ...(['choose-key-exchange', 'choose-host-key', 'choose-cipher'] as const),
  ],
  prepare: async () => program,
});

export const ourClient: ClientPeer = {
  ...driven,
  // The files are OpenSSH's sftp's part; it speaks through our session.
  transfer: (connection, transfers) => {
    const words = [...program, ...taskWords('run', connection), 'subsystem=sftp'];
    const through = join(connection.folder, 'through');
    const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
    writeFileSync(through, `#!/bin/sh\nexec ${quoted}\n`, { mode: 0o700 });
    const commands = transfers.map(({ kind, local, remote }) =>
      kind === 'put' ? `put ${local} ${remote}` : `get ${remote} ${local}`,
    );
    return runProgram(
      { program: 'sftp', parameters: ['-b', '-', '-D', through] },
      { stdin: `${commands.join('\n')}\n` },
    );
  },
};
