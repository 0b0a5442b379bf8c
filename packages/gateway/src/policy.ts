/**
 * What a connection may carry, as its environment's forwarding switches have it (RFC 4254; OpenSSH's PROTOCOL), and the
 * person's own address for the programs inside. connection.ts gives it to the relay.
 */
import type { Forwarding } from '@berth/contract';
import { Reader, Writer } from '@berth/ssh';
import type { ChannelOpen, ChannelRequest, GlobalRequest, RelayPolicy, Side } from '@berth/ssh';

/** Where programs inside find who connected: sshd there sees the gateway. */
const clientVariable = 'BERTH_CLIENT';

type Switch = keyof Forwarding;

/** Channels that are carried, who may open them, and the switch that they need. What is not here is no SSH client's. */
const channels: Record<string, { from: Side; needs: Switch | null }> = {
  session: { from: 'client', needs: null },
  'direct-tcpip': { from: 'client', needs: 'local' },
  'direct-streamlocal@openssh.com': { from: 'client', needs: 'local' },
  'forwarded-tcpip': { from: 'upstream', needs: 'remote' },
  'forwarded-streamlocal@openssh.com': { from: 'upstream', needs: 'remote' },
  'auth-agent@openssh.com': { from: 'upstream', needs: 'agent' },
  x11: { from: 'upstream', needs: 'x11' },
};

const globalRequests: Record<string, Switch> = {
  'tcpip-forward': 'remote',
  'streamlocal-forward@openssh.com': 'remote',
};

const names: Record<Switch, string> = {
  local: 'Local forwarding (-L, -D, -W)',
  remote: 'Remote forwarding (-R)',
  agent: 'Agent forwarding (-A)',
  x11: 'X11 forwarding (-X)',
  sftp: 'SFTP',
};

export interface PolicyOf {
  environment: string;
  forwarding: Forwarding;
  source: string;
  sourcePort: number;
  /** Tells the client why, where the protocol has no room for it in the refusal itself. */
  explain(sentence: string): void;
}

export function relayPolicy({ environment, forwarding, source, sourcePort, explain }: PolicyOf): RelayPolicy {
  const address = new Writer().string(clientVariable).string(`${source} ${sourcePort}`).toBuffer();
  const whyNot = (needed: Switch | null | undefined): string | undefined =>
    needed === null || needed === undefined || forwarding[needed]
      ? undefined
      : `${names[needed]} is switched off for ${environment}.`;
  return {
    refuseChannel: ({ from, type }: ChannelOpen) => {
      const known = Object.hasOwn(channels, type) ? channels[type] : undefined;
      if (known === undefined || known.from !== from)
        return `Channels of this type are not carried to ${environment}.`;
      return whyNot(known.needs);
    },
    refuseRequest: ({ from, type, details }: ChannelRequest) => {
      if (from !== 'client') return false;
      if (type === 'env') return new Reader(details).string('variable').toString() === clientVariable;
      const sentence = whyNot(switchOf(type, details));
      if (sentence !== undefined) explain(sentence);
      return sentence !== undefined;
    },
    answerGlobalRequest: ({ name }: GlobalRequest) => {
      const sentence = whyNot(Object.hasOwn(globalRequests, name) ? globalRequests[name] : undefined);
      if (sentence === undefined) return 'pass';
      explain(sentence);
      return 'refuse';
    },
    opened: (channel) => {
      if (channel.type === 'session') channel.request('env', address);
    },
  };
}

/** What a session asks for beside its program (RFC 4254, sections 6.3 and 6.5). */
function switchOf(type: string, details: Buffer): Switch | undefined {
  if (type === 'auth-agent-req@openssh.com') return 'agent';
  if (type === 'x11-req') return 'x11';
  const isSftp = type === 'subsystem' && new Reader(details).string('subsystem').toString() === 'sftp';
  return isSftp ? 'sftp' : undefined;
}

/** SSH_MSG_DEBUG (RFC 4253, section 11.3), which clients show when they are asked to tell more (`ssh -v`). */
export function debugMessage(sentence: string): Buffer {
  return new Writer().byte(4).boolean(true).string(sentence).string('').toBuffer();
}
