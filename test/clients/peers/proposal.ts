/** What a program proposes to the other side (RFC 4253, section 7.1), heard from the program itself. */
import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { Reader } from '@berth/ssh';

export type Proposal = Readonly<Record<'kex' | 'hostKeys' | 'ciphers' | 'macs', readonly string[]>>;

/** Of a server at a port of the loopback address. */
export async function serverProposal(port: number): Promise<Proposal> {
  return hear(connect(port, '127.0.0.1'));
}

/** Of a client; `start` has it connect to the port. */
export async function clientProposal(start: (port: number) => Promise<unknown>): Promise<Proposal> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connected = once(server, 'connection');
  const ended = start((server.address() as AddressInfo).port);
  const [socket] = (await connected) as [Socket];
  try {
    return await hear(socket);
  } finally {
    server.close();
    await ended;
  }
}

async function hear(socket: Socket): Promise<Proposal> {
  socket.write('SSH-2.0-Proposal\r\n');
  let heard = Buffer.alloc(0);
  try {
    for await (const chunk of socket) {
      heard = Buffer.concat([heard, chunk as Buffer]);
      const line = heard.indexOf('\n') + 1;
      if (line > 0 && heard.length >= line + 4 && heard.length >= line + 4 + heard.readUInt32BE(line)) {
        return parse(heard.subarray(line + 4));
      }
    }
  } finally {
    socket.destroy();
  }
  throw new Error(`no proposal came: ${heard.toString('latin1')}`);
}

/** From the padding's length on; the message's number and the cookie are 17 bytes. */
function parse(packet: Buffer): Proposal {
  const reader = new Reader(packet);
  reader.bytes(1 + 17, 'padding length, number and cookie');
  const list = (name: string): string[] => reader.string(name).toString('latin1').split(',');
  const [kex, hostKeys, ciphers] = [list('kex'), list('host keys'), list('ciphers')];
  reader.string('ciphers to the client');
  return { kex, hostKeys, ciphers, macs: list('macs') };
}
