/**
 * Two ends of a connection within the process, as two real sockets: what a jump carries is a connection like those that
 * come from outside. jump.ts makes one for each inner session. Node has no socketpair(2): each pair is a Unix socket in
 * a folder that nobody else may enter, listened on for one connection.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class SocketPairs {
  #folder: string | undefined;
  #made = 0;

  /** Both unread and open in both directions. Rejects with the system's error when no more files may be opened. */
  async make(): Promise<[Socket, Socket]> {
    // 0700, as mkdtemp(3) has it.
    this.#folder ??= mkdtempSync(join(tmpdir(), 'berth-gateway-'));
    this.#made += 1;
    const path = join(this.#folder, String(this.#made));
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    try {
      server.listen(path);
      await once(server, 'listening');
      const near = connect({ path, allowHalfOpen: true });
      // What ends one end ends the other; who uses it listens for more.
      near.on('error', () => {});
      const [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'connect')])) as [
        [Socket],
        unknown,
      ];
      return [near, far];
    } finally {
      server.close();
    }
  }

  close(): void {
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }
}
