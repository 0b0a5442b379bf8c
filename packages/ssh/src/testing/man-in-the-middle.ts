// Somebody between two peers who can add, drop and change bytes (the Terrapin attack, CVE-2023-48795): packets until
// NEWKEYS, which nothing protects, and after it pieces of what he cannot read. Listens on a port that the system
// chooses.

import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { message } from '../transport/messages.ts';
import { InputBuffer, clearText, formatPacket } from './input-buffer.ts';

export type Direction = 'toServer' | 'toClient';

export interface Plan {
  /** What is sent instead of this packet of the first key exchange: itself by default. */
  readonly packet?: (direction: Direction, payload: Buffer) => readonly Buffer[];
  /** How many bytes are left out after NEWKEYS. */
  readonly dropAfterNewKeys?: Partial<Record<Direction, number>>;
}

export interface ManInTheMiddle {
  readonly host: string;
  readonly port: number;
  readonly stop: () => Promise<void>;
}

export async function startManInTheMiddle(
  to: { readonly host: string; readonly port: number },
  plan: Plan,
): Promise<ManInTheMiddle> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(to.port, to.host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.setNoDelay(true);
    }
    pass('toServer', client, upstream, plan);
    pass('toClient', upstream, client, plan);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    host: '127.0.0.1',
    port,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function pass(direction: Direction, from: Socket, to: Socket, plan: Plan): void {
  const input = new InputBuffer();
  const { opener } = clearText();
  let hasLine = false;
  let isProtected = false;
  let dropBytes = plan.dropAfterNewKeys?.[direction] ?? 0;
  const packet = plan.packet ?? ((_direction, payload) => [payload]);
  from.on('data', (chunk: Buffer) => {
    if (isProtected) {
      to.write(chunk.subarray(dropBytes));
      dropBytes = Math.max(0, dropBytes - chunk.length);
      return;
    }
    input.push(chunk);
    const line = hasLine
      ? undefined
      : input.takeIdentification(direction === 'toServer' ? 'server' : 'client');
    if (line !== undefined) {
      hasLine = true;
      to.write(`${line}\r\n`);
    }
    while (hasLine && !isProtected) {
      const payload = input.takePayload(opener);
      if (payload === undefined) return;
      isProtected = payload[0] === message.newKeys;
      for (const each of packet(direction, payload)) to.write(formatPacket(each));
    }
    const rest = input.takeRest();
    to.write(rest.subarray(dropBytes));
    dropBytes = Math.max(0, dropBytes - rest.length);
  });
  from.on('close', () => to.destroySoon());
  from.on('end', () => to.end());
}
