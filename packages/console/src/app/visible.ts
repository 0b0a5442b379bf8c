/**
 * What strangers wrote (user names, client versions) as it can be shown: control characters, and those that change the
 * direction or the place of text, stand as their numbers.
 */
export function visible(text: string): string {
  return text.replace(
    /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
