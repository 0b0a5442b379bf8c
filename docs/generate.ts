/**
 * Writes the pages that are made from the program itself: settings.md from the table of settings, errors.md from the
 * catalogue of errors, api.md from the API's own description, command.md from what the command says of itself.
 * `npm run docs`; a test fails while they differ.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCatalogue } from '@berth/contract';
import { format, resolveConfig } from 'prettier';
import { commandReference } from '../packages/cli/src/describe.ts';
import { makeApp } from '../packages/server/src/http/app.ts';
import { settingsTable } from '../packages/server/src/settings.ts';
import { ControlPlane } from '../packages/server/src/testing/control-plane.ts';
import { databases } from '../test/harness/databases.ts';

interface Schema {
  properties?: Record<string, unknown>;
  required?: string[];
  $ref?: string;
}

interface Operation {
  summary?: string;
  tags?: string[];
  'x-access'?: string;
  parameters?: { name: string; in: string }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
}

const folder = import.meta.dirname;
const madeBy = '<!-- Made by "npm run docs"; do not edit. -->';

/** Pages by the name of their file, as they should be. */
export async function generatedPages(): Promise<Record<string, string>> {
  const pages: Record<string, string> = {
    'settings.md': settingsPage(),
    'errors.md': errorsPage(),
    'api.md': await apiPage(),
    'command.md': commandReference(),
  };
  for (const [name, text] of Object.entries(pages)) {
    const filepath = join(folder, name);
    pages[name] = await format(text, { ...(await resolveConfig(filepath)), filepath });
  }
  return pages;
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function settingsPage(): string {
  return `${madeBy}

# Settings

In \`berth.yaml\` (in the working folder, else in the data folder; \`BERTH_CONFIG\` names another) or as environment
variables, which win. A name with a dot is a group in the file:

\`\`\`yaml
sshHost: ssh.example.com
tls:
  certificate: /etc/berth/tls.crt
  key: /etc/berth/tls.key
\`\`\`

A key that is not in this table, or a value that does not fit, stops the start and says what is allowed.
\`npx berth settings\` shows what is in force and where each value came from.

${table(
  ['setting', 'variable', 'default', 'allowed', 'what it is for'],
  settingsTable.map((each) => [
    `\`${each.name}\``,
    `\`${each.variable}\``,
    each.default,
    each.allowed,
    each.about,
  ]),
)}
`;
}

function errorsPage(): string {
  return `${madeBy}

# Errors

Every answer of the API that is not a success is a problem document (RFC 9457, \`application/problem+json\`): \`code\`
is one of these and stays as it is, \`detail\` says what happened this time, \`field\` names what is wrong in the request,
and \`cure\` says what to do. The command prints detail and cure, and turns the status into its exit code.

${table(
  ['code', 'status', 'what it means', 'the usual cure'],
  Object.entries(errorCatalogue).map(([code, { status, title, cure }]) => [
    `\`${code}\``,
    String(status),
    title,
    cure,
  ]),
)}
`;
}

async function apiPage(): Promise<string> {
  const [on] = databases;
  if (!on) throw new Error('there is a database');
  const plane = await ControlPlane.open(on);
  const app = await makeApp(plane.services);
  const description = app.swagger() as unknown as {
    paths: Record<string, Record<string, Operation>>;
    components?: { schemas?: Record<string, Schema> };
  };
  await app.close();
  await plane.close();

  const byTag = new Map<string, string[][]>();
  for (const [path, operations] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const tag = operation.tags?.[0] ?? 'other';
      const rows = byTag.get(tag) ?? [];
      byTag.set(tag, rows);
      rows.push([
        method.toUpperCase(),
        `\`${path.replace(/\{(\w+)\}/g, ':$1')}\``,
        operation['x-access'] ?? '',
        operation.summary ?? '',
        takes(operation, description.components?.schemas ?? {}),
      ]);
    }
  }
  const sections = [...byTag]
    .toSorted(([one], [other]) => one.localeCompare(other))
    .map(
      ([tag, rows]) => `## ${tag}\n\n${table(['method', 'path', 'who may', 'what it does', 'takes'], rows)}`,
    );
  return `${madeBy}

# The API

Each running Berth describes its own in full at \`/api/docs\` and \`/api/openapi.json\`; this page is the overview.
Everybody but the machine's own command sends \`Authorization: Bearer <token>\`. A token with the scope \`read\` may GET,
\`write\` the rest, \`admin\` what administrators may. Members see only their customer's things; what is not theirs
answers 404. Lists come in pages: ask again with \`cursor=<next_cursor>\` until that is null. [Errors](errors.md) are
problem documents.

In the last column, fields of the JSON body come first and query parameters after a question mark; what must be there
is bold.

${sections.join('\n\n')}
`;
}

function takes({ requestBody, parameters = [] }: Operation, schemas: Record<string, Schema>): string {
  const [[type = '', body] = []] = Object.entries(requestBody?.content ?? {});
  const schema = body?.schema.$ref ? schemas[body.schema.$ref.split('/').at(-1) ?? ''] : body?.schema;
  const fields = Object.keys(schema?.properties ?? {}).map((name) =>
    schema?.required?.includes(name) ? `**${name}**` : name,
  );
  if (body && fields.length === 0) fields.push(type === 'application/json' ? 'JSON' : type);
  const query = parameters.filter((each) => each.in === 'query').map(({ name }) => name);
  return [fields.join(', '), query.length > 0 ? `? ${query.join(', ')}` : '']
    .filter((each) => each !== '')
    .join(' ');
}

if (import.meta.main) {
  for (const [name, text] of Object.entries(await generatedPages())) writeFileSync(join(folder, name), text);
}
