/**
 * What an SSH client printed, read as one conversation: which client, where it went and as whom, which keys it offered and
 * what the server would have taken. OpenSSH 7 to 10 (best with -v), PuTTY and plink, dropbear's dbclient, and the log of
 * VS Code's Remote-SSH, which holds OpenSSH's.
 */

export interface OfferedKey {
  /** SHA256:... */
  fingerprint: string | null;
  /** Where it came from, or its comment. */
  name: string;
  accepted: boolean;
}

export interface Conversation {
  client: string | null;
  /** As typed, or as the configuration made it. */
  host: string | null;
  address: string | null;
  port: number | null;
  user: string | null;
  /** SHA256:... of the key that the server showed. */
  hostKey: string | null;
  /** Whether the server was spoken with at all. */
  heard: boolean;
  offered: OfferedKey[];
  /** What the server would go on with, as it said last; none: it said nothing. */
  methods: string[];
  /** Whether a password went over, and was not right. */
  passwordTried: boolean;
  passwordRefused: boolean;
  /** Where a jump was to lead (ssh -J); what is said of hosts and ports is of the host in between, then. */
  jumpTo: string | null;
  authenticated: boolean;
}

/** Longer than anything that a client prints, so that no pattern meets a page of letters. */
const longestLine = 2000;
const mostLines = 20_000;

/** Without the marks of a terminal, and without what VS Code puts in front of each line. */
export function linesOf(text: string): string[] {
  return (
    text
      // eslint-disable-next-line no-control-regex
      .replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '')
      .split(/\r\n|\r|\n/)
      .slice(0, mostLines)
      .map((line) =>
        line
          .slice(0, longestLine)
          .replace(/^\[\d\d:\d\d:\d\d\.\d{3}\] (?:\[\w+\] )?(?:(?:stderr|stdout)[:>] ?|> )?/, '')
          .replace(/^debug\d: (?=OpenSSH_)/, '')
          .trimEnd(),
      )
  );
}

type Read = (conversation: Conversation, match: string[]) => void;

const key = String.raw`(.*?) (?:RSA|DSA|ECDSA|ED25519)\S* (SHA256:[A-Za-z0-9+/]{43})`;

const reads: [pattern: RegExp, read: Read][] = [
  [/^(OpenSSH_\S+)/, (c, [, client = '']) => (c.client ??= client.replace(/,$/, '').replace('_', ' '))],
  [/^(plink|PuTTY)[: ]/i, (c, [, client = '']) => (c.client ??= client)],
  [/^Looking up host "(.+?)" for SSH/, (c, [, host = '']) => begin(c, 'PuTTY', host)],
  [/^dbclient: Connection to (?:(.*?)@)?(\S+?):(\d{1,5}) exited/, dropbear],
  [
    /^debug1: Connecting to (\S+) \[([0-9A-Fa-f.:]+)\] port (\d{1,5})/,
    (c, [, host = '', address = '', port]) => Object.assign(c, { host, address, port: Number(port) }),
  ],
  [
    /^debug1: Connecting to (\S+) port (\d{1,5})/,
    (c, [, host = '', port]) => Object.assign(c, { host, port: Number(port) }),
  ],
  [
    /^Connecting to (\S+) port (\d{1,5})$/,
    (c, [, address = '', port]) => Object.assign(c, { address, host: c.host ?? address, port: Number(port) }),
  ],
  [/^Connected to /, (c) => (c.client ??= 'PuTTY')],
  [
    /^ssh: connect to host (\S+) port (\d{1,5}):/,
    (c, [, host = '', port]) => Object.assign(c, { host, port: Number(port) }),
  ],
  [/^ssh: Could not resolve hostname (\S+?):/, (c, [, host = '']) => (c.host = host)],
  [
    /^(?:Connection (?:to|closed by|reset by)|Received disconnect from|Unable to negotiate with) (?:\S+ user \S+ )?([0-9A-Fa-f.:]+) port (\d{1,5})/,
    (c, [, address = '', port]) => {
      c.address ??= address;
      c.host ??= address;
      c.port ??= Number(port);
    },
  ],
  [
    /^debug1: Authenticating to (\S+):(\d{1,5}) as '(.*)'$/,
    (c, [, host = '', port, user = '']) => Object.assign(c, { host, port: Number(port), user }),
  ],
  [/^Using username "(.*)"\.$/, (c, [, user = '']) => (c.user = user)],
  [
    /^Login for (.*?)@(\S+)$/,
    (c, [, user = '', host = '']) => Object.assign(c, { user, host: c.host ?? host }),
  ],
  [
    /^debug1: Server host key: \S+ (SHA256:[A-Za-z0-9+/]{43})/,
    (c, [, print = '']) => Object.assign(c, { hostKey: print, heard: true }),
  ],
  [
    /^(?:\s*|\()ssh-\S+ (?:\d+ |fingerprint )?(SHA256:[A-Za-z0-9+/]{43})\)?$/,
    (c, [, print = '']) => Object.assign(c, { hostKey: print, heard: true }),
  ],
  [/^Fingerprint is (SHA256:[A-Za-z0-9+/]{43})/, (c, [, print = '']) => (c.hostKey = print)],
  [
    new RegExp(`^debug1: Offering public key: ${key}`),
    (c, [, name = '', print = '']) => c.offered.push({ name, fingerprint: print, accepted: false }),
  ],
  [new RegExp(`^debug1: Server accepts key: ${key}`), accepted],
  [/^Offered public key$/, (c) => c.offered.push({ name: '', fingerprint: null, accepted: false })],
  [/^Offer of public key accepted$/, (c) => Object.assign(c.offered.at(-1) ?? {}, { accepted: true })],
  [
    /^debug1: Authentications that can continue: (.*)$/,
    (c, [, methods = '']) => {
      c.passwordRefused ||= c.passwordTried;
      Object.assign(c, { methods: methodsOf(methods), heard: true });
    },
  ],
  [
    /^debug1: Executing proxy command: exec ssh .*-W '?\[?([^\]':]+)\]?:\d+/,
    (c, [, jumpTo = '']) => (c.jumpTo = jumpTo),
  ],
  [
    /Permission denied \(([a-z0-9@.,-]+)\)\.?$/,
    (c, [, methods = '']) => {
      c.passwordRefused ||= c.passwordTried;
      c.methods = methodsOf(methods);
    },
  ],
  [
    /^(?:(.+)@(\S+): )Permission denied \(/,
    (c, [, user = '', host = '']) => Object.assign(c, { user: c.user ?? user, host: c.host ?? host }),
  ],
  [/\(server sent: ([a-z0-9@.,-]+)\)/, (c, [, methods = '']) => (c.methods = methodsOf(methods))],
  [
    /^(.+)@(\S+)'s password:/,
    (c, [, user = '', host = '']) => Object.assign(c, { user, host: c.host ?? host }),
  ],
  [/^debug1: Next authentication method: (password|keyboard-interactive)/, (c) => (c.passwordTried = true)],
  [
    /^Password: |^(?:Sent password|Access denied|Configured password was not accepted)$/,
    (c) => (c.passwordTried = true),
  ],
  [/^Authenticated to \S+ /, (c) => (c.authenticated = true)],
  [/^(?:Access granted|Opening main session channel)/, (c) => (c.authenticated = true)],
];

export function readConversation(lines: readonly string[]): Conversation {
  const conversation: Conversation = {
    client: null,
    host: null,
    address: null,
    port: null,
    user: null,
    hostKey: null,
    heard: false,
    offered: [],
    methods: [],
    passwordTried: false,
    passwordRefused: false,
    jumpTo: null,
    authenticated: false,
  };
  for (const line of lines) {
    for (const [pattern, read] of reads) {
      const match = pattern.exec(line);
      if (match) read(conversation, match);
    }
  }
  return conversation;
}

function begin(conversation: Conversation, client: string, host: string): void {
  conversation.client ??= client;
  conversation.host = host;
}

function dropbear(conversation: Conversation, [, user, host = '', port]: string[]): void {
  conversation.client ??= 'dropbear';
  Object.assign(conversation, { host, port: Number(port), user: user ?? conversation.user });
}

function accepted(conversation: Conversation, [, name = '', print = '']: string[]): void {
  const offered = conversation.offered.findLast(({ fingerprint }) => fingerprint === print);
  if (offered) offered.accepted = true;
  else conversation.offered.push({ name, fingerprint: print, accepted: true });
}

function methodsOf(list: string): string[] {
  return list.split(',').filter((each) => each !== '');
}
