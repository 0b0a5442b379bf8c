/**
 * The console as the browser gets it: one document for all of its pages, and files whose names change with their content.
 *
 * The document's policy lets in what Berth itself serves and nothing else. Styles have a nonce beside that, since Mantine
 * writes the theme's variables into a style element; it is another one in each answer, so the document is never stored.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FastifyReply } from 'fastify';

/** As the build wrote it into the document. */
const noncePlaceholder = 'berth-nonce-of-this-answer';
export const consoleFolder = dirname(fileURLToPath(import.meta.resolve('@berth/console/dist/index.html')));

/** @param folder what the console was built into */
export function sendConsole(reply: FastifyReply, status = 200, folder = consoleFolder): FastifyReply {
  const document = readDocument(folder);
  void reply.header('cache-control', 'no-store');
  if (document === undefined) return reply.code(503).type('text/plain; charset=utf-8').send(notBuilt);
  const nonce = randomBytes(16).toString('base64');
  return reply
    .code(status)
    .header('content-security-policy', policyWith(nonce))
    .type('text/html; charset=utf-8')
    .send(document.replaceAll(noncePlaceholder, nonce));
}

/** Not "form-action 'self'": no form is ever sent by the browser itself. */
function policyWith(nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data: blob:",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

const notBuilt = `The console is not built.

"npm start" and "npm test" build it; by itself it is built with: node packages/console/build.ts
The API answers all the same; it is described at /api/docs.
`;

/** Read each time: it may be built anew while the server runs, and then names other files. */
function readDocument(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, 'index.html'), 'utf8');
  } catch {
    return undefined;
  }
}
