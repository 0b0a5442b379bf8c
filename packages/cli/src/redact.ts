/**
 * Takes secrets out of text and documents that leave the machine. It would rather hide too much: the value after a
 * word such as "password", Berth's and others' tokens, private keys, passwords in URLs, and long random words.
 */

const hidden = '(hidden)';

const secretName =
  /pass(word|wd|phrase)?$|secret|token|credential|api[-_]?key|private[-_]?key|authorization|cookie/i;

const patterns: [RegExp, string][] = [
  [/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^]*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g, hidden],
  // Names of metrics begin so too, but have no capital letters.
  [/\bberth_(?=[^A-Z\s]*[A-Z])[A-Za-z0-9_-]{8,}/g, hidden],
  // JSON Web Tokens, and the tokens of code hosts and clouds, which people put into variables.
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*/g, hidden],
  [/\b(gh[pousr]_|github_pat_|glpat-|hf_|sk-|xox[abprs]-|AKIA|ASIA)[A-Za-z0-9_-]{8,}/g, hidden],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9+/=._~-]+/gi, `$1 ${hidden}`],
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi, `$1${hidden}@`],
  // crypt(3) hashes and argon2's.
  [/\$(1|2[abxy]?|5|6|7|y|gy|argon2\w*)\$[^\s"':]+/g, hidden],
  [
    /(["']?[\w-]*(?:password|passwd|passphrase|secret|token|credential|api[-_]?key|private[-_]?key|authorization|cookie)s?(?:["']?\s*[:=]\s*|\s+(?:is|was)\s+|\s+(?=\S*\d)))(["']?)(?!\(hidden\))([^\s"',;}]+)/gi,
    `$1$2${hidden}`,
  ],
];

/** Letters of both cases and digits, as random words have them and other words of this length do not. */
const longWord = /(?<![\w+/=.-])[\w+/=.,:-]{16,}/g;

function looksRandom(word: string): boolean {
  const isPlain =
    /^(sha256|SHA256):/.test(word) ||
    /^\d{4}-\d\d-\d\dT[\d:.]+Z?$/.test(word) ||
    word.split('/').length > 3 ||
    /^[a-z]+:\/\//.test(word);
  return !isPlain && /[a-z]/.test(word) && /[A-Z]/.test(word) && /\d/.test(word);
}

/** @param known secrets that are known to this command, hidden wherever they stand */
export function redactText(text: string, known: string[] = []): string {
  let redacted = text;
  for (const secret of known) if (secret.length >= 4) redacted = redacted.replaceAll(secret, hidden);
  for (const [pattern, replacement] of patterns) redacted = redacted.replace(pattern, replacement);
  return redacted.replace(longWord, (word) => (looksRandom(word) ? hidden : word));
}

/** The same for each text in a document; a field whose name says that it holds a secret is hidden as a whole. */
export function redact(document: unknown, known: string[] = []): unknown {
  if (typeof document === 'string') return redactText(document, known);
  if (Array.isArray(document)) return document.map((each) => redact(each, known));
  if (typeof document !== 'object' || document === null) return document;
  return Object.fromEntries(
    Object.entries(document).map(([name, value]: [string, unknown]) => [
      redactText(name, known),
      secretName.test(name) && typeof value === 'string' ? hidden : redact(value, known),
    ]),
  );
}
