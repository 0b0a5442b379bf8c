/**
 * Explains what an SSH client printed when it did not get in: `berth diagnose --from FILE`, and the box in the console. Pure
 * code without anything of Node or of schemas, so that what somebody pastes stays on its machine. Nothing of it is trusted.
 */
import type { Facts } from '../sentences.ts';
import { clientFindings, clientSentencesOf } from './client-findings.ts';
import type { ClientFindingCode } from './client-findings.ts';
import { linesOf, readConversation } from './conversation.ts';
import type { Conversation } from './conversation.ts';
import { placeOf } from './place.ts';
import type { KnownPlaces } from './place.ts';
import { rules } from './rules.ts';

export { clientFindings } from './client-findings.ts';
export type { ClientFindingCode } from './client-findings.ts';
export type { KnownPlaces } from './place.ts';
export type { Conversation, OfferedKey } from './conversation.ts';

export interface ClientFinding {
  code: ClientFindingCode;
  cause: string;
  cure: string | null;
  facts: Facts;
  /** The line that says so; null: it follows from several. */
  line: string | null;
}

export interface Explanation {
  conversation: Conversation;
  /** The cause first; none: nothing is known of what was printed. */
  findings: ClientFinding[];
}

const longestText = 4 * 1024 * 1024;
const shownKeys = 6;

export function explain(text: string): Explanation {
  const lines = linesOf(text.slice(0, longestText));
  const conversation = readConversation(lines);
  const found = new Map<ClientFindingCode, ClientFinding>();
  const add = (code: ClientFindingCode, facts: Facts, line: string | null): void => {
    if (found.has(code)) return;
    const shown = Object.fromEntries(
      Object.entries(facts).map(([name, fact]) => [name, typeof fact === 'string' ? plain(fact) : fact]),
    );
    found.set(code, { code, ...clientSentencesOf(code, shown), facts: shown, line: line && plain(line) });
  };
  for (const line of lines) {
    for (const { code, pattern, facts } of rules) {
      const match = pattern.exec(line);
      if (match) add(code, facts?.(match, conversation) ?? {}, line);
    }
  }
  for (const { code, facts } of concluded(lines, conversation, found)) add(code, facts, null);
  return { conversation, findings: inOrder([...found.values()]) };
}

/**
 * The same with what can be told of the way there.
 *
 * @param places environments that may be meant
 * @returns the id of the one that was; null: none of them, or it cannot be told
 */
export function explainFor(
  text: string,
  places: KnownPlaces,
): { explanation: Explanation; environment: string | null } {
  const explanation = explain(text);
  const { environment, finding } = placeOf(explanation.conversation, places);
  if (finding === null) return { explanation, environment };
  const { code, facts } = finding;
  const added = { code, ...clientSentencesOf(code, facts), facts, line: null };
  const findings = inOrder([...explanation.findings, added]);
  return { explanation: { ...explanation, findings }, environment };
}

/** Of the key that the server refused last, or took: what to ask the server about. */
export function keyInQuestion({ conversation: { offered } }: Explanation): string | undefined {
  const known = offered.filter(({ fingerprint }) => fingerprint !== null);
  return (known.findLast(({ accepted }) => !accepted) ?? known.at(-1))?.fingerprint ?? undefined;
}

/** What no single line says. */
function concluded(
  lines: readonly string[],
  conversation: Conversation,
  found: ReadonlyMap<ClientFindingCode, unknown>,
): { code: ClientFindingCode; facts: Facts }[] {
  const { offered, methods, passwordTried, passwordRefused, authenticated } = conversation;
  const isOver = lines.some((line) =>
    /Permission denied \(|No more authentication methods|No supported authentication/.test(line),
  );
  const methodsInWords = methods.join(', ') || 'nothing that it named';
  if (found.has('too_many_failures') && offered.length > 2)
    return [{ code: 'too_many_keys', facts: { count: offered.length } }];
  const conclusions: { code: ClientFindingCode; facts: Facts }[] = [];
  if (passwordRefused && !authenticated) conclusions.push({ code: 'password_refused', facts: {} });
  if (authenticated || !(isOver || lines.includes('Server refused our key'))) return conclusions;
  const unlocked = offered.find(({ accepted }) => accepted);
  const isKeyExplained = (['key_file_open_to_others', 'passphrase_wrong', 'agent_refused'] as const).some(
    (code) => found.has(code),
  );
  const isExplained = [...found.keys()].some((code) => code.startsWith('berth_'));
  if (unlocked && !isKeyExplained && !isExplained) {
    conclusions.push({ code: 'key_not_unlocked', facts: { file: unlocked.name || 'FILE' } });
  } else if (offered.length > 0 && !unlocked) {
    conclusions.push({ code: 'keys_refused', facts: { keys: keysInWords(conversation) } });
  } else if (offered.length === 0 && methods.length > 0 && methods.every((each) => each === 'publickey')) {
    conclusions.push({ code: 'no_key_offered', facts: { methods: methodsInWords } });
  }
  const takesPasswords = methods.some((each) => each === 'password' || each === 'keyboard-interactive');
  if (offered.length === 0 && takesPasswords && !passwordTried && !isKeyExplained)
    conclusions.push({ code: 'password_not_typed', facts: {} });
  conclusions.push({ code: 'permission_denied', facts: { methods: methodsInWords } });
  return conclusions;
}

function keysInWords({ offered }: Conversation): string {
  const words = offered
    .slice(0, shownKeys)
    .map(
      ({ name, fingerprint }) => [name, fingerprint && `(${fingerprint})`].filter(Boolean).join(' ') || 'one',
    );
  return `${words.join(', ')}${offered.length > shownKeys ? ', ...' : ''}`;
}

const order = Object.keys(clientFindings) as ClientFindingCode[];

/** By how much it explains; what only follows is left out beside what it follows from. */
function inOrder(findings: ClientFinding[]): ClientFinding[] {
  const place = ({ code }: ClientFinding) => order.indexOf(code);
  const follows = ({ code }: ClientFinding) => 'follows' in clientFindings[code];
  const causes = findings.filter((each) => !follows(each) && !isCovered(each.code, findings));
  const shown = causes.length > 0 ? causes : findings;
  return shown.toSorted((one, other) => place(one) - place(other));
}

/** Said to whoever has shown the right password or key. */
const saidToTheRight: ClientFindingCode[] = [
  'berth_stopped',
  'berth_stopped_a_moment_ago',
  'berth_failed',
  'berth_deleted',
  'berth_over_quota',
  'berth_away',
  'berth_not_answering',
  'berth_touch',
  'berth_certificate_without',
];

/** What a line says that another says better. */
const covered: Partial<Record<ClientFindingCode, ClientFindingCode[]>> = {
  timed_out: ['silent'],
  host_key_not_known: ['host_key_differs'],
  closed_unheard: [
    'not_ssh',
    'host_key_differs',
    'host_key_not_known',
    'name_not_found',
    'refused',
    'timed_out',
    'berth_locked',
    'keys_refused',
  ],
  connection_lost: ['closed_unheard'],
  too_many_failures: ['too_many_keys', 'password_refused'],
  forwarding_refused: ['berth_forwarding_off'],
  remote_forwarding_refused: ['berth_forwarding_off'],
  no_subsystem: ['berth_forwarding_off'],
  no_terminal: ['berth_certificate_without'],
  password_not_typed: ['keys_refused', ...saidToTheRight],
  password_refused: saidToTheRight,
  keys_refused: [
    ...saidToTheRight,
    'berth_locked',
    'berth_banned',
    'berth_not_allowed',
    'too_many_keys',
    'key_file_unusable',
    'password_refused',
  ],
  key_file_missing: ['logged_in'],
  agent_away: ['logged_in', 'keys_refused'],
};

function isCovered(code: ClientFindingCode, findings: readonly ClientFinding[]): boolean {
  return findings.some((each) => covered[code]?.includes(each.code));
}

/** On one line, without what could move a cursor, hide or reorder, and short. */
function plain(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
    .slice(0, 300);
}
