/** Lines of SSH clients, and what each says. explain.ts tries all of them on each line. */
import type { Facts } from '../sentences.ts';
import type { ClientFindingCode } from './client-findings.ts';
import type { Conversation } from './conversation.ts';

export interface Rule {
  code: ClientFindingCode;
  pattern: RegExp;
  /** Left out: none are needed. */
  facts?: (match: string[], conversation: Conversation) => Facts;
}

const time = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d UTC`;
const source = String.raw`[0-9A-Fa-f.:]+(?:\/64)?`;
const id = '[a-z0-9][a-z0-9-]{1,40}';
const notSaid = 'it does not say';

const place = ({ host, port }: Conversation): Facts => ({ host: host ?? '?', port: port ?? '?' });
const reason = ([, said = '']: string[]): Facts => ({ reason: said.trim() || notSaid });
const ofEnvironment = ([, environment = '']: string[]): Facts => ({ environment });

export const rules: Rule[] = [
  {
    code: 'berth_locked',
    pattern: new RegExp(`Locked until (${time}) after (?:too many|\\d+) failed logins from (${source})\\.`),
    facts: ([, until = '', from = '']) => ({ until, source: from }),
  },
  {
    code: 'berth_banned',
    pattern: new RegExp(`Banned until (${time}) after too many failed logins from (${source})\\.`),
    facts: ([, until = '', from = '']) => ({ until, source: from }),
  },
  {
    code: 'berth_banned',
    pattern: new RegExp(`Nothing is accepted from (${source}) until (${time}), after \\d+ failed logins\\.`),
    facts: ([, from = '', until = '']) => ({ until, source: from }),
  },
  {
    code: 'berth_not_allowed',
    pattern: new RegExp(`Connections from (${source}) are not allowed here\\.`),
    facts: ([, from = '']) => ({ source: from }),
  },
  {
    code: 'berth_stopped',
    pattern: new RegExp(`The environment (${id}) is (stopped|stopping)(?:, and logins do not start it)?\\.`),
    facts: ([, environment = '', status = '']) => ({ environment, status }),
  },
  {
    code: 'berth_stopped',
    pattern: new RegExp(`The environment (${id}) is being stopped\\.`),
    facts: ([, environment = '']) => ({ environment, status: 'stopping' }),
  },
  {
    code: 'berth_stopped_a_moment_ago',
    pattern: new RegExp(`The environment (${id}) was stopped a moment ago\\. Until (${time}) only a login`),
    facts: ([, environment = '', until = '']) => ({ environment, until }),
  },
  {
    code: 'berth_failed',
    pattern: new RegExp(`The environment (${id}) failed(?: to start\\.|:)`),
    facts: ofEnvironment,
  },
  {
    code: 'berth_deleted',
    pattern: new RegExp(`The environment (${id}) (?:was|is being) deleted\\.`),
    facts: ofEnvironment,
  },
  {
    code: 'berth_over_quota',
    pattern: /((?:environments|cpu|memory|gpu|storage): the limit of [\d.]+ \w+ is reached: [^.]*\.)/,
    facts: reason,
  },
  { code: 'berth_away', pattern: /Berth's server is away for a moment|Berth cannot lead there just now/ },
  {
    code: 'berth_not_answering',
    pattern: new RegExp(`(?:^|: )(${id}) does not answer at the moment; try again\\.`),
    facts: ofEnvironment,
  },
  {
    code: 'berth_not_answering',
    pattern: new RegExp(`The environment (${id}) did not answer within \\d+ s\\.`),
    facts: ofEnvironment,
  },
  {
    code: 'berth_forwarding_off',
    pattern: new RegExp(
      `((?:Local|Remote|Agent|X11) forwarding|SFTP)(?: \\([^)]*\\))? is switched off for (${id})\\.`,
    ),
    facts: ([, what = '', environment = '']) => ({ what, environment }),
  },
  { code: 'berth_touch', pattern: /This security key must be (?:touched|unlocked)/ },
  {
    code: 'berth_certificate_without',
    pattern: /(This certificate permits no [^.]*\.|The certificate of this login permits no [^.]*\.)/,
    facts: reason,
  },
  {
    code: 'berth_too_slow',
    pattern: /Nobody has logged in within (\d+) seconds\./,
    facts: ([, seconds = '']) => ({ seconds: Number(seconds) }),
  },
  { code: 'berth_too_many_at_once', pattern: /Too many connections have not logged in yet/ },
  { code: 'berth_restarts', pattern: /The gateway is restarted; connect again\./ },

  {
    code: 'config_unusable',
    pattern:
      /^(?:.*: )?((?:Bad owner or permissions on|Bad configuration option:|\S+: line \d+: |\S+ line \d+: (?:Bad|Unsupported|unsupported|keyword|missing|garbage)).*)$/,
    facts: reason,
  },
  {
    code: 'key_file_open_to_others',
    pattern: /^Permissions (0\d{3}) for '(.+)' are too open/,
    facts: ([, mode = '', file = '']) => ({ mode, file }),
  },
  {
    code: 'key_file_unusable',
    pattern: /^Load key "(.+)": (?!bad permissions|incorrect passphrase)(.+)$/,
    facts: ([, file = '', said = '']) => ({ file, reason: said }),
  },
  {
    code: 'key_file_unusable',
    pattern: /^Unable to (?:use|load) key file "(.+)" \((.+)\)$/,
    facts: ([, file = '', said = '']) => ({ file, reason: said }),
  },
  {
    code: 'key_file_missing',
    pattern:
      /^(?:Warning: Identity file (.+) not accessible: No such file|no such identity: (.+): No such file)/,
    facts: ([, one, other]) => ({ file: one ?? other ?? '' }),
  },
  {
    code: 'passphrase_wrong',
    pattern: /^Load key "(.+)": incorrect passphrase|^Wrong passphrase/,
    facts: ([, file]) => ({ file: file ?? 'FILE' }),
  },
  {
    code: 'agent_refused',
    pattern:
      /signing failed for \S+ "?(.+?)"? from agent: agent refused operation|^Agent refused|agent failed to provide a signature/i,
    facts: ([, name]) => ({ key: name ?? '?' }),
  },
  {
    code: 'agent_away',
    pattern: /^(?:Could not open a connection to your authentication agent|Error connecting to agent)/,
  },

  {
    code: 'name_not_found',
    pattern:
      /Name or service not known|nodename nor servname provided|No such host is known|Host does not exist|No address associated with hostname|Name has no usable address/,
    facts: (_, conversation) => place(conversation),
  },
  {
    code: 'no_name_server',
    pattern:
      /Temporary failure in name resolution|Name server .* failed|Non-recoverable (?:failure|error).*resol/i,
    facts: (_, conversation) => place(conversation),
  },
  {
    code: 'silent',
    pattern:
      /Connection timed out during banner exchange|^ssh_exchange_identification: .*timed out|^Connection to \S+ port \d+ timed out$/,
    facts: (_, conversation) => place(conversation),
  },
  {
    code: 'timed_out',
    pattern:
      /^ssh: connect to host \S+ port \d+: (?:Connection|Operation) timed out|^debug1: connect to address \S+ port \d+: (?:Connection|Operation) timed out|Network error: Connection timed out|^(?:FATAL ERROR: )?Connection timed out$|Connect failed: (?:Connection timed out|Timeout)|Timeout connecting/,
    facts: (_, conversation) => place(conversation),
  },
  {
    code: 'no_route',
    pattern: /(No route to host|Network is unreachable|Host is down|Network is down)/,
    facts: ([, said = ''], conversation) => ({ ...place(conversation), reason: said }),
  },
  {
    code: 'refused',
    pattern:
      /^ssh: connect to host \S+ port \d+: Connection refused|Network error: Connection refused|^(?:FATAL ERROR: )?Connection refused$|Connect failed: Connection refused/,
    facts: (_, conversation) => place(conversation),
  },
  {
    code: 'not_ssh',
    pattern:
      /kex_exchange_identification: (?:banner line 0: |banner line contains invalid characters|No banner|.*[Ii]nvalid)(.*)$|ssh_exchange_identification: ((?!Connection|read).+)$/,
    facts: ([, one, other], conversation) => ({
      ...place(conversation),
      said: (one ?? other ?? '').trim() || notSaid,
    }),
  },
  {
    code: 'closed_unheard',
    pattern:
      /^(?:kex_exchange_identification|ssh_exchange_identification): (?:Connection closed by remote host|read: Connection (?:reset|aborted).*|client sent invalid.*)/,
  },

  {
    code: 'host_key_differs',
    pattern:
      /REMOTE HOST IDENTIFICATION HAS CHANGED|POTENTIAL SECURITY BREACH|^Host key not in manually configured list|host key mismatch for /,
    facts: (_, conversation) => ({
      place: knownHostsName(conversation),
      fingerprint: conversation.hostKey ?? 'that the client showed',
      command: forgetCommand(conversation),
    }),
  },
  {
    code: 'host_key_not_known',
    pattern:
      /^No \S+ host key is known for (\S+) and you have requested strict checking|^Cannot confirm a host key in batch mode|^Host '.+' is not in the trusted hosts file|^Host key verification failed/,
    facts: ([, name], conversation) => ({ place: name ?? knownHostsName(conversation) }),
  },

  {
    code: 'no_common_host_key',
    pattern: /no matching host key type found\. Their offer: (.+)$/,
    facts: offer,
  },
  {
    code: 'no_common_key_exchange',
    pattern: /no matching key exchange method found\. Their offer: (.+)$/,
    facts: offer,
  },
  { code: 'no_common_cipher', pattern: /no matching cipher found\. Their offer: (.+)$/, facts: offer },
  { code: 'no_common_mac', pattern: /no matching MAC found\. Their offer: (.+)$/, facts: offer },
  {
    code: 'no_common_host_key',
    pattern: /Couldn't agree a host key (?:type|algorithm) \(available: (.+)\)/,
    facts: offer,
  },
  {
    code: 'no_common_key_exchange',
    pattern: /Couldn't agree a key exchange algorithm \(available: (.+)\)|No matching algo kex/,
    facts: offer,
  },
  {
    code: 'no_common_cipher',
    pattern: /Couldn't agree a \S+ cipher \(available: (.+)\)|No matching algo enc/,
    facts: offer,
  },
  {
    code: 'no_common_mac',
    pattern: /Couldn't agree a \S+ MAC \(available: (.+)\)|No matching algo mac/,
    facts: offer,
  },

  {
    code: 'too_many_failures',
    pattern: /Too many (?:failed attempts to log in|authentication failures)/,
  },
  {
    code: 'password_refused',
    pattern:
      /^Permission denied, please try again\.|^Access denied$|^(?:FATAL ERROR: )?Configured password was not accepted|^Keyboard-interactive authentication failed|^Password authentication failed/,
  },

  {
    code: 'forwarding_refused',
    pattern: /open failed: (administratively prohibited: .+|unknown channel type.*|.*resource shortage.*)$/,
    facts: reason,
  },
  { code: 'forwarding_unanswered', pattern: /open failed: (connect failed: .+)$/, facts: reason },
  {
    code: 'local_port_in_use',
    pattern:
      /^bind \S+: Address already in use|cannot listen to port: (\d+)|Local port (\d+) forwarding .*failed.*in use/i,
    facts: ([line = '', one, other]) => ({ port: one ?? other ?? /:(\d+): Address/.exec(line)?.[1] ?? '?' }),
  },
  {
    code: 'remote_forwarding_refused',
    pattern: /remote port forwarding failed for listen port (\d+)|Remote port forwarding from (\S+) refused/,
    facts: ([, one, other]) => ({ port: one ?? other ?? '?' }),
  },
  { code: 'no_terminal', pattern: /PTY allocation request failed|Server refused to allocate pty/ },
  {
    code: 'no_subsystem',
    pattern:
      /^subsystem request failed on channel|Server refused to start a shell\/command|exec request failed on channel/,
  },

  {
    code: 'connection_lost',
    pattern:
      /^(?:client_loop: |packet_write_wait: |.*)?(send disconnect: Broken pipe|Broken pipe|Timeout, server \S+ not responding\.?|Connection reset by peer|Software caused connection abort|Connection aborted)$/,
    facts: reason,
  },
  {
    code: 'ended_by_server',
    pattern:
      /^Connection to \S+ closed by remote host|unexpectedly closed network connection|exited: Remote closed the connection|^Connection closed by \S+ port \d+/,
  },
  {
    code: 'disconnected',
    pattern:
      /^(?:Received disconnect from \S+ port \d+:\d+: |Remote side sent disconnect message type \d+ \([^)]*\): )"?(.+?)"?$/,
    facts: reason,
  },
  {
    code: 'logged_in',
    pattern: /^Authenticated to \S+ .*using "(.+)"\.$|^Access granted/,
    facts: ([, method]) => ({ method: method ?? 'password or key' }),
  },
];

function offer([, said]: string[]): Facts {
  return { offer: said ?? notSaid };
}

/** As known_hosts has it (sshd(8)): `[host]:port`, or the host alone at port 22. */
function knownHostsName({ host, port }: Conversation): string {
  const name = host ?? '?';
  return port === null || port === 22 ? name : `[${name}]:${port}`;
}

function forgetCommand(conversation: Conversation): string {
  return `ssh-keygen -R '${knownHostsName(conversation)}'`;
}
