/**
 * The outer session of a jump, `ssh -J ACCOUNT@HOST developer@ENVIRONMENT` (ssh(1)): somebody whose account opens the
 * way to its customer's environments, and to nothing else. The inner session is not carried further: it is another
 * connection of this gateway, with every control of its own. connection.ts hands the outer one over.
 */
import type { Socket } from 'node:net';
import { ChannelOpenError, Connection, join, openFailureReason } from '@berth/ssh';
import type { Channel, Forward, Session, SessionHandler, Transport } from '@berth/ssh';
import type { Door } from './route.ts';
import type { SocketPairs } from './socket-pairs.ts';
import type { GatewayState } from './state.ts';

/** Inner sessions and questions of one outer one. */
const mostChannels = 64;
const sshPort = 22;

export type JumpDoor = Extract<Door, { kind: 'jump' }>;

export interface JumpParts {
  state: GatewayState;
  socketPairs: SocketPairs;
  /**
   * Takes an inner session as a connection of the outer one's source; its socket is made once it is admitted.
   *
   * @returns a sentence when it is not taken, as with too many that have not logged in
   */
  arrive(makeSocket: () => Promise<Socket>, door: JumpDoor): Promise<string | undefined>;
}

export interface JumpOf {
  transport: Transport;
  account: string;
  customer: number;
  /** Of the account's key that opened it. */
  fingerprint: string | null;
}

/** Serves the outer session until it ends. */
export function serveJump(parts: JumpParts, jump: JumpOf): void {
  const connection = new Connection(
    jump.transport,
    {
      session: (session) => explain(session, jump.account),
      forward: (forward, channel) => open(parts, jump, forward, channel),
    },
    { maximumChannels: mostChannels },
  );
  jump.transport.handle(connection);
}

async function open(parts: JumpParts, jump: JumpOf, forward: Forward, channel: Channel): Promise<void> {
  const { state, socketPairs } = parts;
  const { account, customer, fingerprint } = jump;
  const known = state.account(account);
  if (known?.customer !== customer || fingerprint === null || !known.keys.includes(fingerprint)) {
    // Live connections are kept or cut as the setting has it; new ones are not made.
    throw refusal('This login does not hold any more.');
  }
  const id = environmentOf(forward);
  const environment = id === undefined ? undefined : state.environment(id);
  if (environment?.customer !== customer) {
    throw refusal(
      `Only port ${sshPort} of your own environments can be reached through this login, by their names.`,
    );
  }
  const makeSocket = async (): Promise<Socket> => {
    const [near, far] = await socketPairs.make();
    join(channel, near);
    return far;
  };
  const why = await parts.arrive(makeSocket, { kind: 'jump', environment: environment.id, jumper: account });
  if (why !== undefined) throw new ChannelOpenError(openFailureReason.resourceShortage, why);
}

function environmentOf(forward: Forward): string | undefined {
  if (forward.type !== 'direct-tcpip' || forward.port !== sshPort) return undefined;
  return forward.host.toLowerCase();
}

function refusal(sentence: string): ChannelOpenError {
  return new ChannelOpenError(openFailureReason.administrativelyProhibited, sentence);
}

/** Whoever asks for a shell here has left something out. */
function explain(session: Session, account: string): SessionHandler {
  let lineEnd = '\n';
  const say = (): boolean => {
    const lines = [
      `${account} opens the way to environments and is no environment itself. To get to one:`,
      `  ssh -J ${account}@HOST USER@ENVIRONMENT`,
      '',
    ];
    session.channel.resume();
    session.stderr.end(lines.join(lineEnd));
    session.exit(1);
    return true;
  };
  return {
    pty: () => {
      lineEnd = '\r\n';
      return true;
    },
    shell: say,
    exec: say,
    subsystem: say,
  };
}
