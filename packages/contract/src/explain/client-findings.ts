/**
 * What can be read in what an SSH client printed, each with a stable code, in the order of how much it explains: of several
 * the first is the cause, and the others mostly follow from it. The console has the sentences in other languages.
 */
import { filled } from '../sentences.ts';
import type { Facts } from '../sentences.ts';

interface Entry {
  cause: string;
  /** null: nothing is to be done. */
  cure: string | null;
  /** What follows from whatever else was found, and is told only where nothing else was. */
  follows?: true;
}

export const clientFindings = {
  // What Berth itself said.
  berth_locked: {
    cause: 'Berth has locked {source} out until {until}, after too many failed logins.',
    cure: 'Wait until then, or end it: berth lockouts clear --source {source}. Then use the right password or key.',
  },
  berth_banned: {
    cause: 'Berth accepts nothing from {source} until {until}, after too many failed logins.',
    cure: 'Wait until then, or ask an administrator: berth bans clear --source {source}',
  },
  berth_not_allowed: {
    cause: "{source} is not in the environment's allowlist.",
    cure: 'Add it: berth allowlist add {source}. Or connect from a network that is in it.',
  },
  berth_stopped: {
    cause: 'The environment {environment} is {status}, and logins do not start it.',
    cure: 'Start it: berth start {environment}',
  },
  berth_stopped_a_moment_ago: {
    cause:
      'The environment {environment} was stopped a moment ago: until {until} only a login with a terminal starts it.',
    cure: 'Start it: berth start {environment}. Or log in with a terminal: ssh -t',
  },
  berth_failed: {
    cause: 'The environment {environment} failed to start.',
    cure: 'See why: berth diagnose {environment}',
  },
  berth_deleted: {
    cause: 'The environment {environment} was deleted, or is about to be.',
    cure: 'Make another: berth create NAME',
  },
  berth_over_quota: {
    cause: 'The environment was to be started, and its customer may not use more: {reason}',
    cure: 'Stop another environment, or ask an administrator for a higher limit.',
  },
  berth_away: {
    cause: "Berth's server is away, so the gateway lets nobody new in.",
    cure: 'Try again in a moment. Where it stays so, look whether the server runs: berth status',
  },
  berth_not_answering: {
    cause: 'The login was right, and the environment {environment} did not answer the gateway.',
    cure: 'See why: berth diagnose {environment}',
  },
  berth_forwarding_off: {
    cause: '{what} is switched off for {environment}.',
    cure: 'Switch it on, with whatever else it shall have: berth set {environment} --forwarding local,remote,agent,x11,sftp',
  },
  berth_touch: {
    cause: 'The security key was not touched, or not unlocked.',
    cure: 'Touch it, or type its PIN, when it blinks.',
  },
  berth_certificate_without: {
    cause: 'The certificate that was used does not permit what was asked for: {reason}',
    cure: 'Have one signed that permits it, or log in with a key.',
  },
  berth_too_slow: {
    cause: 'Nobody logged in within {seconds} seconds, so the connection was closed.',
    cure: 'Type the password, or unlock the key, sooner. A key in an agent needs no typing.',
  },
  berth_too_many_at_once: {
    cause: 'Too many connections that have not logged in came at once.',
    cure: 'Let what connects again and again wait longer, or reuse one connection (ControlMaster).',
  },
  berth_restarts: {
    cause: 'The gateway was restarted, and the connection ended with it.',
    cure: 'Connect again.',
  },

  // The way in, by what this Berth has; see place.ts.
  port_22: {
    cause: 'The client went to port 22 of {host}; no environment is there.',
    cure: 'Name the port: {command}',
  },
  wrong_user: {
    cause: 'The client came as {user}; the user there is {right_user}.',
    cure: 'Use this: {command}',
  },

  // The machine of the person.
  config_unusable: {
    cause: 'The configuration of the client cannot be used: {reason}',
    cure: 'Mend the file; where others can write to it: chmod 600 ~/.ssh/config',
  },
  key_file_open_to_others: {
    cause: 'The key file {file} can be read by others ({mode}), so the client does not use it.',
    cure: 'chmod 600 {file}',
  },
  key_file_unusable: {
    cause: 'The key file {file} cannot be used: {reason}',
    cure: 'Look whether it is a private key of this client (PuTTY wants .ppk, OpenSSH its own), and whole.',
  },
  key_file_missing: {
    cause: 'There is no key file {file}.',
    cure: 'Name the one that there is (ssh -i FILE), or make one: ssh-keygen -t ed25519',
  },
  passphrase_wrong: {
    cause: 'The passphrase of the key {file} was wrong.',
    cure: 'Type it again, or put the key into an agent: ssh-add {file}',
  },
  key_not_unlocked: {
    cause:
      'The server takes the key {file}, and the client could not sign with it: its passphrase was not given.',
    cure: 'Put it into an agent first: ssh-add {file}. Or connect from a terminal that can ask.',
  },
  agent_refused: {
    cause: 'The SSH agent did not sign with the key {key}: it is locked, was not confirmed, or lost the key.',
    cure: 'Unlock it (ssh-add -X), confirm the question, or add the key again: ssh-add FILE',
  },
  agent_away: {
    cause: 'There is no SSH agent to ask for keys.',
    cure: 'Start one: eval "$(ssh-agent)" && ssh-add. Or name a key file: ssh -i FILE',
  },

  // Getting there.
  name_not_found: {
    cause: 'The name {host} has no address.',
    cure: 'Look for a typing mistake: berth ssh-info shows the right name. Behind a VPN its DNS may be needed.',
  },
  no_name_server: {
    cause: 'The name server did not answer for {host}.',
    cure: 'Look whether this machine is on the network, or whether a VPN is missing; then try again.',
  },
  timed_out: {
    cause: 'Nothing answered at {host}, port {port}: packets are lost or dropped on the way.',
    cure: 'Look at address and port (berth ssh-info). A firewall here, on the way, or on the machine of Berth may drop them, an allowlist too where the own port leads straight to the container: berth diagnose NAME --source YOUR-ADDRESS',
  },
  no_route: {
    cause: 'No way leads to {host} from here ({reason}).',
    cure: 'Look whether this machine is on the network, or whether a VPN is missing.',
  },
  refused: {
    cause: 'The machine {host} is there, and nothing listens at port {port}.',
    cure: 'Look at the port (berth ssh-info shows it). Else the environment is stopped, or the gateway does not run: berth diagnose NAME',
  },
  silent: {
    cause:
      'The connection to {host}, port {port}, was made, and nobody said anything: what listens there hangs, or something on the way takes connections for it.',
    cure: 'Try again; then see whether sshd or the gateway hangs: berth diagnose NAME',
  },
  not_ssh: {
    cause: 'What answers at port {port} does not speak SSH; it said: {said}',
    cure: 'Use the right port: berth ssh-info shows it.',
  },
  closed_unheard: {
    cause: 'The connection was closed before anything was said.',
    cure: 'The address may be banned, or too many connections came at once; or a proxy on the way has no server behind it. See: berth diagnose NAME --source YOUR-ADDRESS',
  },

  unknown_port: {
    cause: 'No environment of yours has port {port}; it may have got another one.',
    cure: 'See its address: berth ssh-info NAME',
  },

  // Who is there.
  host_key_differs: {
    cause:
      "The host key of {place} is another than the one that this machine remembers. The address may be another environment's now, or somebody is in between.",
    cure: 'Compare the fingerprint {fingerprint} with what "berth ssh-info" shows. Where it is the same, forget the old one: {command}',
  },
  host_key_not_known: {
    cause: 'The host key of {place} is not known here, and the client was told to ask nobody.',
    cure: 'Add what "berth known-hosts NAME" prints to ~/.ssh/known_hosts, or connect once by hand and compare the fingerprint.',
  },

  // Speaking with each other.
  no_common_host_key: {
    cause: 'The client takes none of the kinds of host keys that the server has: {offer}',
    cure: 'Use a newer client, or take HostKeyAlgorithms out of its configuration.',
  },
  no_common_key_exchange: {
    cause: 'The client knows none of the key exchanges that the server takes: {offer}',
    cure: 'Use a newer client, or take KexAlgorithms out of its configuration.',
  },
  no_common_cipher: {
    cause: 'The client knows none of the ciphers that the server takes: {offer}',
    cure: 'Use a newer client, or take Ciphers out of its configuration.',
  },
  no_common_mac: {
    cause: 'The client knows none of the MACs that the server takes: {offer}',
    cure: 'Use a newer client, or take MACs out of its configuration.',
  },

  // Who wants in.
  too_many_keys: {
    cause:
      'The client offered {count} keys, one after the other, and the server ended it before the right one came.',
    cure: 'Offer the right one only: ssh -i FILE -o IdentitiesOnly=yes. Or take keys out of the agent: ssh-add -D',
  },
  too_many_failures: {
    cause: 'The server ended the connection after too many failed attempts.',
    cure: 'Look at password and key: berth ssh-info',
  },
  password_refused: {
    cause: 'The password was wrong.',
    cure: 'Take the one that "berth ssh-info" shows. Five wrong ones lock the address out for a while.',
  },
  keys_refused: {
    cause: 'None of the keys that the client offered opens it: {keys}',
    cure: 'Add one: berth keys add NAME FILE.pub. Or offer one that is known: ssh -i FILE -o IdentitiesOnly=yes',
  },
  no_key_offered: {
    cause: 'The server takes only keys ({methods}), and the client had none to offer.',
    cure: 'Make one (ssh-keygen -t ed25519) and add it: berth keys add NAME ~/.ssh/id_ed25519.pub. Or switch passwords on: berth set NAME --password-login on',
  },
  password_not_typed: {
    cause: 'The client had no key that opens it, and nobody typed a password.',
    cure: 'Connect from a terminal that can ask for it, or use a key.',
  },
  permission_denied: {
    cause: 'The server let none of what was tried in; it takes {methods}.',
    cure: 'See what opens it: berth diagnose NAME. To see what the client tries: ssh -v',
    follows: true,
  },

  // Inside.
  forwarding_refused: {
    cause: 'The server does not forward that: {reason}',
    cure: 'See what the environment may forward: berth show NAME',
  },
  forwarding_unanswered: {
    cause: 'Nothing listens inside where the forwarding leads: {reason}',
    cure: 'Start the program in the environment first, at 127.0.0.1 and that port.',
  },
  local_port_in_use: {
    cause: 'Port {port} of this machine is in use, so nothing can be forwarded from it.',
    cure: 'Choose another port, or end what uses it; an editor may have forwarded it already.',
  },
  remote_forwarding_refused: {
    cause: 'The server does not listen for this machine (-R {port}).',
    cure: 'Choose another port, or see what the environment may forward: berth show NAME',
  },
  no_terminal: {
    cause: 'The server gave no terminal.',
    cure: 'See whether the certificate of the login permits one, and whether the environment is short of memory: berth diagnose NAME',
  },
  no_subsystem: {
    cause: 'The server does not have the subsystem that was asked for, such as sftp.',
    cure: 'Switch sftp on: berth set NAME --forwarding sftp. Or copy by the old protocol: scp -O',
  },

  // Afterwards.
  connection_lost: {
    cause: 'The connection was there and broke: {reason}',
    cure: 'Where it was idle, a NAT or firewall on the way forgot it: set ServerAliveInterval 30 in ~/.ssh/config. Where the laptop slept, connect again; tmux keeps what runs.',
  },
  ended_by_server: {
    cause: 'The server ended the connection.',
    cure: 'The environment may have been stopped or run out of memory: berth events NAME',
    follows: true,
  },
  disconnected: {
    cause: 'The server ended the connection and said: {reason}',
    cure: 'Do as it says; else see: berth diagnose NAME',
    follows: true,
  },

  logged_in: {
    cause: 'The login worked ({method}).',
    cure: null,
    follows: true,
  },
} as const satisfies Record<string, Entry>;

export type ClientFindingCode = keyof typeof clientFindings;

/** Cause and cure in English. @throws TypeError when a fact is missing */
export function clientSentencesOf(
  code: ClientFindingCode,
  facts: Facts,
): { cause: string; cure: string | null } {
  const { cause, cure } = clientFindings[code];
  return { cause: filled(cause, facts), cure: cure && filled(cure, facts) };
}
