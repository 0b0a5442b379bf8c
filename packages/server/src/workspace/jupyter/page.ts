/**
 * Berth's own pages around JupyterLab. Each is one document without anything from elsewhere, whose policy allows exactly
 * its own style and script, by their hashes.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { BerthError, jupyterRoutes, links, pathOf, routes } from '@berth/contract';
import type { FastifyReply } from 'fastify';
import { languageOf } from '../../devices/page.ts';
import type { Language } from '../../devices/words.ts';
import type { LabState } from './labs.ts';
import { words } from './words.ts';

const script = readFileSync(new URL('page/jupyter.js', import.meta.url), 'utf8');
const style = readFileSync(new URL('page/jupyter.css', import.meta.url), 'utf8');

/** @param formAction where a form leads, also by a redirect of its answer */
function policy(formAction: string): string {
  return [
    "default-src 'none'",
    `script-src ${hashSource(script)}`,
    `style-src ${hashSource(style)}`,
    "connect-src 'self'",
    `form-action ${formAction}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

function hashSource(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

/** While it is being started; the page goes on by itself. */
export function sendStarting(reply: FastifyReply, environment: string, state: LabState): FastifyReply {
  const language = languageOf(reply.request.headers['accept-language']);
  const text = words[language];
  const { message, seconds } = state.state === 'starting' ? state : { message: '', seconds: 0 };
  const data = {
    state: pathOf(jupyterRoutes.state, { id: environment }),
    words: { seconds: text.seconds, tooLong: text.tooLong },
  };
  return send(reply, language, filled(text.starting, environment), {
    status: 503,
    formAction: "'none'",
    content: `<div class="bar"></div>
<p class="progress"><span id="message" role="status" lang="en">${escaped(message)}</span> <span id="seconds">${text.seconds.replace('{seconds}', String(seconds))}</span></p>
<p class="quiet">${text.startingHint}</p>
<script id="data" type="application/json">${JSON.stringify(data).replaceAll('<', '\\u003c')}</script>
<script>${script}</script>`,
  });
}

/**
 * What is in the way, and the cure.
 *
 * @param again where it is opened anew; null: nowhere
 */
export function sendRefusal(
  reply: FastifyReply,
  error: unknown,
  again: { publicUrl: string; environment: string } | null,
): FastifyReply {
  const language = languageOf(reply.request.headers['accept-language']);
  const text = words[language];
  const known =
    error instanceof BerthError ? error : new BerthError('internal', 'Something went wrong at Berth.');
  const link = again && links.jupyter(again.publicUrl, again.environment);
  return send(reply, language, text.titles[known.code] ?? text.titles.other, {
    status: known.status,
    formAction: "'none'",
    content: `<p lang="en">${escaped(known.message)}</p>
${known.cure === '' ? '' : `<p class="quiet" lang="en">${escaped(known.cure)}</p>`}
${link === null ? '' : `<a class="action" href="${escaped(link)}">${text.again}</a>`}`,
  });
}

/** Before somebody who came from another page is led on. It says nothing of the environment but what the address says. */
export function sendQuestion(reply: FastifyReply, environment: string, jupyterOrigin: string): FastifyReply {
  const language = languageOf(reply.request.headers['accept-language']);
  const text = words[language];
  return send(reply, language, filled(text.open, environment), {
    status: 200,
    formAction: `'self' ${jupyterOrigin}`,
    content: `<p>${text.openHint}</p>
<form method="post" action="${escaped(pathOf(routes.jupyter, { id: environment }))}">
<button class="action" type="submit">${text.openButton}</button>
</form>`,
  });
}

function send(
  reply: FastifyReply,
  language: Language,
  title: string,
  { status, formAction, content }: { status: number; formAction: string; content: string },
): FastifyReply {
  return (
    reply
      .code(status)
      .header('content-security-policy', policy(formAction))
      .header('cache-control', 'no-store')
      // With none at all a form of this page would not say where it comes from (Fetch standard, "append a request Origin").
      .header('referrer-policy', 'same-origin')
      .header('x-content-type-options', 'nosniff')
      .type('text/html; charset=utf-8').send(`<!doctype html>
<html lang="${language === 'zh' ? 'zh-CN' : 'en'}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<p class="mark">Berth</p>
<h1>${escaped(title)}</h1>
${content}
</main>
</body>
</html>
`)
  );
}

function filled(sentence: string, environment: string): string {
  return sentence.replace('{environment}', environment);
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
