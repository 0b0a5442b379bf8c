/**
 * Sentences with holes: `Port {port} is closed.` A catalogue holds them by a stable code, in English here and in other
 * languages in the console; the facts that fill them come from whoever found something out.
 */

export type Fact = string | number | boolean;
export type Facts = Record<string, Fact>;

/** The names of a sentence's holes, so that the compiler sees which facts are missing. */
export type HolesOf<Sentence extends string> = Sentence extends `${string}{${infer Name}}${infer Rest}`
  ? Name | HolesOf<Rest>
  : never;

/** @throws TypeError when a fact is missing */
export function filled(sentence: string, facts: Facts): string {
  return sentence.replace(/\{([a-z_]+)\}/g, (_, name: string) => {
    const fact = facts[name];
    if (fact === undefined) throw new TypeError(`the sentence ${JSON.stringify(sentence)} needs ${name}`);
    return String(fact);
  });
}
