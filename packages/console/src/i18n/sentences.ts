/** The server's sentences in another language, by the same holes: `Port {port} was released.` */

export type Sentences = readonly (readonly [english: string, other: string])[];

interface Known {
  pattern: RegExp;
  other: string;
}

const known = new WeakMap<Sentences, Known[]>();

/** Whole sentences only, from the first on; what is not known stays as it is. */
export function inOtherWords(text: string, sentences: Sentences): string {
  const said: string[] = [];
  let rest = text;
  while (rest !== '') {
    const next = longestMatch(rest, patternsOf(sentences));
    if (next === undefined) return [...said, rest].join(said.length > 0 ? ' ' : '');
    said.push(next.said);
    rest = rest.slice(next.length).trimStart();
  }
  return said.join('');
}

function patternsOf(sentences: Sentences): Known[] {
  const made =
    known.get(sentences) ??
    sentences.map(([english, other]) => ({
      pattern: new RegExp(
        `^${english.replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&').replaceAll(/\{(\w+)\}/g, '(?<$1>.+?)')}(?=$| [A-Z])`,
      ),
      other,
    }));
  known.set(sentences, made);
  return made;
}

/** Of those that fit, the one with the fewest holes: what is written out says more. */
function longestMatch(text: string, patterns: Known[]): { said: string; length: number } | undefined {
  let best: { said: string; length: number; holes: number } | undefined;
  for (const { pattern, other } of patterns) {
    const match = pattern.exec(text);
    if (match === null) continue;
    const holes = Object.entries(match.groups ?? {});
    if (best !== undefined && best.holes <= holes.length) continue;
    const said = holes.reduce((sentence, [name, value]) => sentence.replaceAll(`{${name}}`, value), other);
    best = { said, length: match[0].length, holes: holes.length };
  }
  return best;
}
