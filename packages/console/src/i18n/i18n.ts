/**
 * The console's languages. The browser's own is taken until somebody chooses one; only the one that is shown is loaded, and of
 * that first what the first pages say.
 *
 * A string is added to a file in `en/` and to its sibling in `zh-CN/`; the compiler and a test hold that both have it.
 */
import { createInstance } from 'i18next';
import { initReactI18next } from 'react-i18next';
import type { first } from './en/first.ts';
import type { later } from './en/later.ts';
import type { Sentences } from './sentences.ts';

export const languages = { en: 'English', 'zh-CN': '简体中文' } as const;
export type Language = keyof typeof languages;

declare module 'i18next' {
  interface CustomTypeOptions {
    defaultNS: 'console';
    resources: { console: typeof first & typeof later };
    returnNull: false;
  }
}

const parts = {
  first: {
    en: async (): Promise<object> => (await import('./en/first.ts')).first,
    'zh-CN': async (): Promise<object> => (await import('./zh-CN/first.ts')).first,
  },
  later: {
    en: async (): Promise<object> => (await import('./en/later.ts')).later,
    'zh-CN': async (): Promise<object> => (await import('./zh-CN/later.ts')).later,
  },
};
type Part = keyof typeof parts;

const remembered = 'berth-language';
/** What each language that is shown must have by now. */
const wanted = new Set<Part>(['first']);
const loaded = new Map<string, Promise<void>>();
const sentences = new Map<string, Sentences>();

export const i18n = createInstance({
  ns: ['console'],
  defaultNS: 'console',
  interpolation: { escapeValue: false },
  resources: {},
});
await i18n.use(initReactI18next).init();

export function preferredLanguage(): Language {
  const chosen = localStorage.getItem(remembered);
  if (chosen !== null && chosen in languages) return chosen as Language;
  for (const wish of navigator.languages) {
    if (/^zh\b/i.test(wish)) return 'zh-CN';
    if (/^en\b/i.test(wish)) return 'en';
  }
  return 'en';
}

export async function showLanguage(language: Language): Promise<void> {
  await Promise.all([...wanted].map((part) => load(part, language)));
  await i18n.changeLanguage(language);
  document.documentElement.lang = language;
}

/** What all pages but the first say. */
export async function loadLaterStrings(): Promise<void> {
  wanted.add('later');
  await load('later', i18n.language as Language);
}

export async function chooseLanguage(language: Language): Promise<void> {
  localStorage.setItem(remembered, language);
  await showLanguage(language);
}

function load(part: Part, language: Language): Promise<void> {
  const name = `${part} ${language}`;
  const loading = loaded.get(name) ?? add(part, language);
  loaded.set(name, loading);
  loading.catch(() => loaded.delete(name));
  return loading;
}

async function add(part: Part, language: Language): Promise<void> {
  i18n.addResourceBundle(language, 'console', await parts[part][language](), true);
  // The server's own words are English; no first page shows any but a problem's.
  if (part === 'later' && language === 'zh-CN')
    sentences.set(language, (await import('./zh-CN/server-sentences.ts')).serverSentences);
}

export function serverSentencesOf(language: string): Sentences | undefined {
  return sentences.get(language);
}
