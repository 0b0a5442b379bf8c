/**
 * What the diagnosis of an environment looks at, in order, and everything that it can find, each with a stable code.
 *
 * The server fills the sentences with facts; the console has them in other languages by the same codes and holes. Without
 * schemas, so that the browser and the command can use it at their start.
 */
import { filled } from './sentences.ts';
import type { Fact, Facts, HolesOf } from './sentences.ts';

/** In the order in which they are told: from the machine inwards, then the ways in, then who wants in. */
export const diagnosisChecks = {
  runtime: 'the container engine',
  image: 'its image',
  quota: "its customer's quota",
  datasets: 'its data sets',
  room: 'room on the machine',
  state: 'what was asked of it, and what came of it',
  container: 'its container',
  memory: 'its memory',
  disk: 'its disks',
  sshd: 'the sshd inside',
  host_key: 'the host key that sshd shows',
  login: "Berth's own login inside",
  clock: 'the clocks',
  gateway: 'the gateway',
  own_port: 'its own port',
  shared_port: 'the shared port',
  name: 'the name in the ssh command',
  firewall: "the machine's firewall",
  allowlist: 'the allowlist',
  ban: 'bans',
  lockout: 'lockouts',
  password: 'its password',
  key: 'the keys that open it',
  attempts: 'what was tried lately',
} as const;
export type DiagnosisCheck = keyof typeof diagnosisChecks;

/** `unknown`: looked at, and not to be told; `skipped`: does not matter here, or cannot be looked at as things are. */
export const verdicts = ['ok', 'problem', 'unknown', 'skipped'] as const;
export type Verdict = (typeof verdicts)[number];

interface Entry {
  verdict: Verdict;
  /** What was found. */
  cause: string;
  /** What to do; null: nothing. */
  cure: string | null;
}

const ok = <const Cause extends string>(cause: Cause) => ({ verdict: 'ok', cause, cure: null }) as const;
const skipped = <const Cause extends string>(cause: Cause) =>
  ({ verdict: 'skipped', cause, cure: null }) as const;
const problem = <const Cause extends string, const Cure extends string>(cause: Cause, cure: Cure) =>
  ({ verdict: 'problem', cause, cure }) as const;
const unknown = <const Cause extends string, const Cure extends string>(cause: Cause, cure: Cure) =>
  ({ verdict: 'unknown', cause, cure }) as const;

/** `environment` is in the facts of each. */
export const findings = {
  // Of any check.
  look_timed_out: unknown(
    'There was no answer within {seconds} s.',
    'Try again; where it stays so, what was looked at hangs.',
  ),
  look_failed: unknown('It could not be looked at: {reason}', 'Try again, and look into the log of Berth.'),
  engine_silent: skipped('The container engine does not answer, so it cannot be looked at.'),
  nothing_runs: skipped('Its container does not run, so there is nothing to look at.'),
  cannot_look_inside: unknown(
    'Its container does not say what is inside: {reason}',
    'Restart it: berth restart {environment}',
  ),
  source_unknown: skipped('It is not known from which address the person comes; name it with --source.'),

  runtime_answers: ok('{runtime} answers.'),
  runtime_away: problem('{reason}', '{what_to_do}'),

  image_there: ok('{image} ({reference}) is on the machine.'),
  image_missing: problem(
    '{image} ({reference}) is not on the machine, so its next start has to pull it.',
    'Look whether it can be pulled: docker pull {reference}. Else correct the image in the catalogue: berth images set {image}',
  ),
  image_not_in_catalogue: problem(
    '{image} is no longer in the catalogue, so it cannot start again.',
    'Add the image again: berth images add {image} REFERENCE',
  ),

  quota_fits: ok('It fits.'),
  quota_reached: problem(
    'The limit of {limit} {unit} ({resource}) is reached: {used} in use by others, {asked} for this one. So it cannot start.',
    'Stop or delete another environment, give this one less, or ask an administrator for a higher limit.',
  ),

  no_datasets: ok('It mounts none.'),
  datasets_there: ok('{datasets} are where they should be.'),
  dataset_missing: problem('{reason}', '{what_to_do}'),

  room_there: ok(
    'The machine has {disk_free_gib} GiB of disk and {memory_free_gib} GiB of memory left, and a load of {load} on {cores} cores.',
  ),
  room_enough: ok('There is enough.'),
  disk_full_on_machine: problem(
    'The disk of the machine ({place}) is full: {disk_free_mib} MiB are left.',
    'Free space ("docker system df" shows what the engine holds), then start it again: berth start {environment}',
  ),
  inodes_used_up_on_machine: problem(
    'The disk of the machine ({place}) takes no more files: {inodes_free} inodes are left.',
    'Remove files that nobody needs ("docker system prune"), then start it again: berth start {environment}',
  ),
  memory_used_up_on_machine: problem(
    'The machine has {memory_free_mib} MiB of memory left.',
    'Stop environments or programs on the machine, or give it more memory.',
  ),
  processors_overloaded: problem(
    'The machine has a load of {load} on {cores} cores, so everything on it takes long.',
    'Stop environments or programs on the machine, or lower what they may use.',
  ),

  it_runs: ok('It shall run, and it does.'),
  stopped_until_login: ok('It is stopped, and a login starts it.'),
  stopped_a_moment_ago: problem(
    'It was stopped a moment ago: until {until} a login without a terminal, such as of an editor that connects again by itself, does not start it.',
    'Start it: berth start {environment}',
  ),
  stopped_and_stays: problem(
    'It is stopped, and logins do not start it.',
    'Start it: berth start {environment}. Logins start it after: berth set {environment} --wake on',
  ),
  stopped_and_direct: problem(
    'It is stopped, and nothing listens at its own port meanwhile, since that port leads straight to its container.',
    'Start it: berth start {environment}',
  ),
  under_way: unknown(
    'It is {status} since {seconds} s: {step}.',
    'Wait a moment; follow it with: berth events {environment} --follow',
  ),
  start_failed: problem('Its last start failed ({failure}): {reason}', '{what_to_do}'),
  start_fails: problem('Its start fails ({failure}): {reason}', '{what_to_do}'),

  container_runs: ok('It runs.'),
  container_missing: problem(
    'There is no container of it any more.',
    'Start it again: berth restart {environment}, or berth start {environment} where that is refused.',
  ),
  container_ended: problem(
    'It ended with exit code {exit_code}. Its log ends with: {log}',
    'See what its log says (berth logs {environment}), then start it again: berth start {environment}',
  ),
  container_out_of_memory: problem(
    'It ran out of its {memory_gib} GiB of memory and was ended. Its log ends with: {log}',
    'Give it more memory: berth set {environment} --memory MORE, then berth start {environment}',
  ),
  container_restarts: problem(
    'It ends again and again (restarts so far: {restarts}), last with exit code {exit_code}. Its log ends with: {log}',
    'See what its log says (berth logs {environment}), and whether its image can be an environment: berth images check {image}',
  ),

  memory_left: ok('{used_mib} of {limit_mib} MiB are in use.'),
  memory_unlimited: ok('{used_mib} MiB are in use, and the container knows no limit.'),
  memory_ran_out: problem(
    'Its {limit_mib} MiB were used up, and programs in it were ended for that since its start ({kills} so far); one may have been an SSH session or an editor.',
    'Give it more memory: berth set {environment} --memory MORE, then berth restart {environment}',
  ),
  memory_nearly_used_up: problem(
    '{used_mib} of {limit_mib} MiB are in use, so new sessions may fail.',
    'End programs in it, or give it more memory: berth set {environment} --memory MORE, then berth restart {environment}',
  ),

  disk_left: ok('Each of its folders has room; the least has {place}, {free_mib} MiB.'),
  disk_full: problem(
    '{place} is full: {free_mib} MiB are left. Logins and editors fail that want to write there.',
    'Remove what nobody needs there, or ask for more storage.',
  ),
  inodes_used_up: problem(
    '{place} takes no more files: {inodes_free} inodes are left, though {free_mib} MiB are.',
    'Remove files there, such as old caches and packages with many small ones.',
  ),

  sshd_answers: ok('It answers as {software}.'),
  sshd_not_listening: problem(
    'Nothing listens where its sshd should.',
    'See what its log says (berth logs {environment}), then restart it: berth restart {environment}',
  ),
  sshd_silent: problem(
    'It takes connections and says nothing: it hangs, or is short of processor or memory.',
    'Restart it: berth restart {environment}',
  ),
  sshd_closes: problem(
    'It ends connections before it has shown its key: {reason}',
    'See what its log says (berth logs {environment}), then restart it: berth restart {environment}',
  ),
  sshd_is_no_ssh: problem(
    'What answers where its sshd should does not speak SSH: {reason}',
    'End the program in it that took the port, then restart it: berth restart {environment}',
  ),
  sshd_unreachable: problem(
    'There is no way from Berth to its container: {reason}',
    "Look at the engine's network of the environments, then restart it: berth restart {environment}",
  ),

  host_key_right: ok('It is the one that Berth made ({fingerprint}).'),
  host_key_changed: problem(
    'The sshd inside shows {shown}, and Berth made {fingerprint}: somebody changed the key inside, or something else answers there.',
    'Restart it, which brings its own key back: berth restart {environment}',
  ),
  host_key_not_shown: skipped('The sshd inside does not get as far as to show one.'),

  login_works: ok('It works: the gateway gets in.'),
  login_refused: problem(
    'The sshd inside does not let Berth itself in, so the gateway lets nobody in: {reason}',
    'Somebody may have changed sshd or the files that it trusts. Restart it: berth restart {environment}',
  ),
  login_not_reached: skipped('It does not get that far.'),
  login_not_tried: skipped('Behind its own sshd people log in by themselves; Berth does not.'),

  clocks_agree: ok('They are {skew_seconds} s apart.'),
  clocks_differ: problem(
    'The clock of its machine is {skew_seconds} s away from that of Berth, which signs certificates of minutes.',
    'Set both clocks by NTP: sudo timedatectl set-ntp true',
  ),

  gateway_serves: ok('Processes of it that serve: {gateways}.'),
  gateway_away: problem(
    'No gateway runs, so nobody gets in by SSH.',
    'Start it: "berth up" starts both, "berth gateway" the gateway alone. Then look at its log.',
  ),
  gateway_not_needed: skipped('Its only way in leads past the gateway.'),

  own_port_answers: ok('Port {port} answers with its host key.'),
  own_port_open: ok('Port {port} is open.'),
  own_port_sleeps: skipped('Port {port} leads straight to its container, which does not run.'),
  no_own_port: ok('It has none; the shared port leads to it.'),
  no_way_in: problem(
    'It has no own port, and there is no shared one: no way leads to it.',
    'Give it a port: berth stop {environment}, berth start {environment}; or set sharedPort.',
  ),
  own_port_moved: problem(
    'Its own port is {port} since {since}; before, it was {old_port}, which another program took. Nobody has come by the new one yet.',
    'Use the new port: berth ssh-info {environment}. Where "berth config-ssh" was used, run it again.',
  ),
  own_port_closed: problem(
    'Nothing listens at port {port}.',
    'Where the gateway was just started, wait a moment. Else look into its log, and whether its own port is served at all: berth show {environment}',
  ),
  own_port_silent: problem(
    'Port {port} takes connections, or loses them, and says nothing: {reason}',
    'Look whether the gateway hangs, and whether a firewall on the machine drops what comes to that port.',
  ),
  own_port_refuses: unknown(
    "The gateway ends connections of the machine itself at port {port}, so whether it serves others can't be told: {reason}",
    'Look whether the machine itself is banned: berth bans list',
  ),
  port_taken: problem(
    'Port {port} is taken by another program on the machine.',
    'Ask whoever runs the machine to free it. Restarting the environment may bring another port: berth restart {environment}',
  ),
  port_taken_by_program: problem(
    'Port {port} is taken by another program on the machine: {program} (process {process}).',
    'End that program or move it to another port; keep other programs out of portRange.',
  ),
  port_taken_by_container: problem(
    'Port {port} is taken by the container {container}.',
    'Stop that container or publish it at another port; keep others out of portRange.',
  ),
  port_taken_by_environment: problem(
    'Port {port} is taken by another environment.',
    'Restart this one, which brings another port: berth restart {environment}',
  ),
  port_taken_by_named_environment: problem(
    'Port {port} is taken by the environment {other}.',
    'Restart one of them: berth restart {environment}',
  ),

  no_shared_port: skipped('There is none.'),
  shared_port_answers: ok('Port {port} answers with the host key of the gateway.'),
  shared_port_open: ok('Port {port} is open.'),
  shared_port_closed: problem(
    'Nothing listens at the shared port {port}.',
    'Look whether the gateway runs and what its log says; use its own port meanwhile.',
  ),
  shared_port_silent: problem(
    'The shared port {port} takes connections, or loses them, and says nothing: {reason}',
    'Look whether the gateway hangs; use its own port meanwhile.',
  ),
  shared_port_refuses: unknown(
    "The gateway ends connections of the machine itself at the shared port {port}, so whether it serves others can't be told: {reason}",
    'Look whether the machine itself is banned: berth bans list',
  ),
  shared_port_taken: problem(
    'The shared port {port} is taken by another program on the machine.',
    'Ask whoever runs the machine to free it; use its own port meanwhile.',
  ),
  shared_port_taken_by_program: problem(
    'The shared port {port} is taken by another program on the machine: {program} (process {process}).',
    'End that program or move it to another port, or choose another sharedPort.',
  ),
  shared_port_taken_by_container: problem(
    'The shared port {port} is taken by the container {container}.',
    'Stop that container or publish it at another port, or choose another sharedPort.',
  ),

  name_points_here: ok('{host} leads here ({addresses}).'),
  name_has_no_address: problem('{host} has no address.', 'Add the name to the DNS, or correct sshHost.'),
  name_points_elsewhere: problem(
    '{host} is {addresses}, which is no address of this machine, and what answers there is not this Berth.',
    'Correct the name in the DNS, or sshHost. Where a load balancer stands at that address, let it lead the ports here and set publicUrl.',
  ),
  name_server_silent: unknown(
    'The name server of the machine does not answer, so where {host} leads is not known.',
    'Look at the name server in /etc/resolv.conf.',
  ),

  firewall_lets_through: ok('It lets {source} through to port {port}.'),
  firewall_drops: problem(
    'It stops {source} on the way to port {port}: table {table}, chain {chain}.',
    'Let the address in: where "berth firewall apply" made the table, name its network as --source there; else change the rule.',
  ),
  firewall_unclear: unknown(
    'Whether it lets {source} through to port {port} cannot be told from its rules (table {table}, chain {chain}).',
    'Try from that address: nc -vz HOST {port}',
  ),
  firewall_without_port: skipped('There is no port that it could stop somebody at.'),
  firewall_not_looked_at: skipped('It cannot be read here: {reason}'),

  allowlist_empty: ok('There is no entry, so every address gets in.'),
  allowlist_covers: ok('{network} covers {source}.'),
  allowlist_leaves_out: problem(
    'The allowlist does not hold {source} (entries: {entries}), so it is refused.',
    'Add it: berth allowlist add {source} --environment {environment}',
  ),

  not_banned: ok('{source} is not banned.'),
  banned: problem(
    'Nothing is accepted from {source} until {until}, after too many failed logins.',
    'Wait until then, or ask an administrator: berth bans clear --source {source}',
  ),

  not_locked_out: ok('{source} is not locked out; {failures} of {most} failures are counted.'),
  locked_out: problem(
    '{source} is locked out until {until}, after {failures} failed logins.',
    'Wait until then, or end it: berth lockouts clear {lockout}. Then log in with the right password (berth ssh-info {environment}) or a key.',
  ),

  password_right: ok('The gateway compares it with the one that Berth shows, of {changed_at}.'),
  password_in_step: ok('What the container knows fits the one that Berth shows, of {changed_at}.'),
  password_off: ok('Passwords are switched off for it: only keys get in.'),
  password_off_for_customer: ok('Passwords are switched off for its customer: only keys get in.'),
  password_out_of_step: problem(
    'The container knows another password than Berth shows: somebody changed it inside.',
    'Set a new one, which Berth brings inside: berth reset-password {environment}',
  ),
  password_expired_inside: problem(
    'The account inside has expired ({which}), so its password opens nothing.',
    'Inside, as root: chage -E -1 -M -1 -I -1 {user}. Or make it anew: berth restart {environment}',
  ),
  password_not_known: unknown(
    'What the container knows of its password cannot be read.',
    'Set a new one, which Berth brings inside: berth reset-password {environment}',
  ),

  keys_known: ok('Keys that open it ({count}): {keys}'),
  only_passwords: ok('No key opens it, only its password.'),
  authorities_known: ok('User certificates of {authorities} open it.'),
  no_way_to_prove: problem(
    'Nothing opens it: passwords are switched off, and its customer has no key and no authority.',
    'Add a key: berth keys add NAME ~/.ssh/id_ed25519.pub. Or: berth set {environment} --password-login on',
  ),
  key_opens: ok('{fingerprint} opens it: the key {key} of {account}.'),
  key_unknown: problem(
    '{fingerprint} is no key of its customer, so it opens nothing here. Those that would: {keys}',
    'Add it: berth keys add NAME FILE.pub. Or use one of those: ssh -i FILE -o IdentitiesOnly=yes',
  ),
  key_of_other_customer: problem(
    '{fingerprint} is a key of another customer, {customer}, so it opens nothing here. Those that would: {keys}',
    'Use a key of an account of its customer, or add this one there too: berth keys add NAME FILE.pub',
  ),
  key_revoked: problem(
    '{fingerprint} is in the list of revoked keys of its customer.',
    'Use another key, or take it out of the list: berth revocations set FILE',
  ),
  key_not_inside: problem(
    '{fingerprint} opens it by what Berth knows, and the container does not have it.',
    'Restart it, which brings the keys inside: berth restart {environment}',
  ),
  key_files_open_to_others: problem(
    '{file} inside has the mode {mode} and belongs to user {owner}: sshd reads no keys from what others can write to.',
    'Restart it, which writes the file anew: berth restart {environment}. Where a folder is too open: chmod go-w FOLDER',
  ),
  certificate_opens: ok('The certificate opens it: {key_id}, signed by {authority}.'),
  certificate_expired: problem(
    'The certificate is over: {reason}',
    'Have it signed anew, and look at the clock of whoever signs.',
  ),
  certificate_not_yet_valid: problem(
    'The certificate does not hold yet: {reason}',
    'Look at the clocks: that of whoever signed it is ahead.',
  ),
  certificate_for_others: problem(
    'The certificate is for {principals}; here it has to be for one of {names}.',
    'Have it signed for one of these names (ssh-keygen -n).',
  ),
  certificate_of_unknown_authority: problem(
    'The certificate was signed by {authority}, which its customer does not trust.',
    'Add the authority: berth authorities add NAME FILE.pub',
  ),
  certificate_revoked: problem(
    'The certificate {key_id} is revoked.',
    'Have a new one signed, or take it out of the list: berth revocations set FILE',
  ),
  certificate_not_from_here: problem(
    'The certificate holds only for other addresses than {source}.',
    'Come from one of them, or have it signed without source-address.',
  ),
  certificate_direct: problem(
    'User certificates open environments behind the gateway only; its own port leads straight to its sshd.',
    'Use a key or its password, the shared port, or the gateway: berth set {environment} --exposure gateway',
  ),
  certificate_unreadable: problem('This is no user certificate: {reason}', 'Send the file ...-cert.pub.'),

  no_refusals: ok('Nothing from {source} was refused lately.'),
  wrong_password_lately: problem(
    'Logins from {source} gave a wrong password ({count} in the last hour), the last one {at}. The password is of {changed_at}.',
    'Take the one that Berth shows: berth ssh-info {environment}',
  ),
  password_off_lately: problem(
    'Logins from {source} gave a password ({count} in the last hour), the last one {at}, and passwords are switched off.',
    'Log in with a key, or: berth set {environment} --password-login on',
  ),
  wrong_key_lately: problem(
    'Logins from {source} showed keys that open nothing here ({count} in the last hour), the last one {at}. Those that would: {keys}',
    'Add the key: berth keys add NAME FILE.pub. Or offer the right one: ssh -i FILE -o IdentitiesOnly=yes',
  ),
  wrong_certificate_lately: problem(
    'Logins from {source} showed a certificate that opens nothing here ({count} in the last hour), the last one {at}.',
    'See why: berth diagnose {environment} --key FILE-cert.pub',
  ),
  wrong_user_lately: problem(
    'Logins from {source} came as {user} ({count} in the last hour), the last one {at}; at its own port the user is {right_user}.',
    'Use the right name: berth ssh-info {environment}',
  ),
  flood_lately: problem(
    'Connections from {source} were closed unread ({count} in the last hour), the last one {at}: too many came at once that had not logged in.',
    'Let whatever connects again and again wait longer, or reuse one connection (ControlMaster).',
  ),
  refused_lately: problem(
    'Logins from {source} were refused as {refusal} ({count} in the last hour), the last one {at}.',
    'See what else is found here; the audit log has each: berth audit list --target {environment}',
  ),
} as const satisfies Record<string, Entry>;

export type FindingCode = keyof typeof findings;

type Sentences<Code extends FindingCode> =
  (typeof findings)[Code]['cause'] | Exclude<(typeof findings)[Code]['cure'], null>;

/** The facts that the sentences of a finding need, beside the environment's id; there may be more. */
export type FactsOf<Code extends FindingCode> = Record<
  Exclude<HolesOf<Sentences<Code>>, 'environment'>,
  Fact
>;

/** Cause and cure in English. @throws TypeError when a fact is missing */
export function sentencesOf(code: FindingCode, facts: Facts): { cause: string; cure: string | null } {
  const { cause, cure } = findings[code];
  return { cause: filled(cause, facts), cure: cure && filled(cure, facts) };
}
