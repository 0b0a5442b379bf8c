/**
 * GET /device: the page on which a person signs in and approves the code that a terminal shows.
 *
 * One document without anything from elsewhere. Its policy allows exactly its own script and style, by their hashes;
 * the script reads the page's words from a block of data, so it is the same in each language.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { routes } from '@berth/contract';
import { words } from './words.ts';
import type { Language, Words } from './words.ts';

const script = readFileSync(new URL('page/device.js', import.meta.url), 'utf8');
const style = readFileSync(new URL('page/device.css', import.meta.url), 'utf8');

/** Not "form-action 'self'": no form is ever sent by the browser itself. */
export const devicePagePolicy = [
  "default-src 'none'",
  `script-src ${hashSource(script)}`,
  `style-src ${hashSource(style)}`,
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

const pages: Record<Language, string> = { en: render('en', words.en), zh: render('zh', words.zh) };

export function devicePage(language: Language): string {
  return pages[language];
}

/** The language that the browser likes best of those there are (RFC 9110, section 12.5.4). */
export function languageOf(acceptLanguage = ''): Language {
  const wishes = acceptLanguage.split(',').map((wish) => {
    const [tag = '', ...parameters] = wish
      .trim()
      .toLowerCase()
      .split(/\s*;\s*/);
    const quality = Number(parameters.find((each) => each.startsWith('q='))?.slice(2) ?? 1);
    return { language: tag.split('-')[0] ?? '', quality: Number.isNaN(quality) ? 0 : quality };
  });
  const best = wishes
    .filter(({ language, quality }) => quality > 0 && Object.hasOwn(words, language))
    .sort((a, b) => b.quality - a.quality)[0];
  return (best?.language as Language | undefined) ?? 'en';
}

function hashSource(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

function render(language: Language, text: Words): string {
  const data = {
    paths: { session: routes.session, whoami: routes.whoami, approval: routes.deviceApproval },
    words: text,
  };
  return `<!doctype html>
<html lang="${language === 'zh' ? 'zh-CN' : 'en'}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${text.title}</title>
<style>${style}</style>
</head>
<body>
<main>
<p class="mark">Berth</p>
<h1>${text.title}</h1>
<p id="said" role="alert"></p>
<noscript><p>${text.needsScript}</p></noscript>

<form id="sign-in" hidden>
<p>${text.signInFirst}</p>
<label for="account">${text.account}</label>
<input id="account" name="account" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="64">
<label for="password">${text.password}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="1024">
<button type="submit">${text.signIn}</button>
</form>

<form id="ask" hidden>
<label for="code">${text.codeLabel}</label>
<input id="code" name="code" class="code" autocomplete="one-time-code" autocapitalize="characters" spellcheck="false" required maxlength="16" placeholder="XXXX-XXXX">
<button type="submit">${text.next}</button>
</form>

<section id="decide" aria-labelledby="compare" hidden>
<p id="compare">${text.compare}</p>
<p id="shown" class="code" tabindex="-1"></p>
<dl>
<dt>${text.asks}</dt><dd id="name"></dd>
<dt>${text.from}</dt><dd id="source"></dd>
<dt>${text.gets}</dt><dd id="as"></dd>
</dl>
<p class="warning">${text.warning}</p>
<div class="choices">
<button id="refuse" type="button" class="second">${text.refuse}</button>
<button id="approve" type="button">${text.approve}</button>
</div>
</section>

<p id="end" role="status" tabindex="-1" hidden></p>
<p id="who" hidden><span id="who-is"></span> <button id="sign-out" type="button" class="link">${text.another}</button></p>
</main>
<script id="data" type="application/json">${JSON.stringify(data).replaceAll('<', '\\u003c')}</script>
<script>${script}</script>
</body>
</html>
`;
}
