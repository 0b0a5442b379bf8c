/**
 * Imports go one way: contract and ssh know nothing of the others, the command knows only what crosses the wire, and
 * in the server requests (routes) lead to rules, rules to queries. Each rule has its reason; a new package must be
 * added to the table before it can import anything.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Which of our packages each package may import, and why no others. */
const allowed: Record<string, { packages: string[]; reason: string }> = {
  'packages/contract': {
    packages: [],
    reason: 'it is what both sides of a wire share, and must not pull in either',
  },
  'packages/ssh': { packages: [], reason: 'it is the protocol, and could be published by itself' },
  'packages/gateway': {
    packages: ['@berth/contract', '@berth/contract/network', '@berth/ssh'],
    reason: 'it must know nothing of the database, nor of any secret that its server does not give it',
  },
  'packages/server': {
    packages: ['@berth/contract', '@berth/ssh', '@berth/image/capabilities'],
    reason: 'it must run without the command and without building images',
  },
  'packages/cli': {
    packages: [
      '@berth/contract',
      '@berth/contract/network',
      '@berth/contract/paths',
      '@berth/contract/vocabulary',
      '@berth/gateway/supervisor',
      '@berth/image',
    ],
    reason: "it speaks to a server over the wire and must work without the server's code",
  },
  image: { packages: [], reason: 'it is built on machines that have nothing else of Berth' },
};

/** Inside the server: a file whose path matches `from` must not import one whose path matches `to`. */
const forbidden: { from: RegExp; to: RegExp; reason: string }[] = [
  {
    from: /\/table\.ts$/,
    to: /\/(routes|environments|ssh-keys|accounts|ports|credentials)\.ts$/,
    reason: 'queries know nothing of the rules above them',
  },
  {
    from: /\/src\/runtime\//,
    to: /\/src\/(database|environments|reconciler|http|events|ports)\//,
    reason: 'a runtime knows nothing of rows and requests',
  },
  {
    from: /\/src\/(?!http\/|server\.ts|main\.ts)[^/]+\/(?!routes\.ts)[^/]+\.ts$/,
    to: /\/routes\.ts$/,
    reason: 'only the HTTP layer composes routes',
  },
  {
    from: /\/src\/runtime\/runtime\.ts$/,
    to: /docker/,
    reason: 'the interface must not become one of its fillings',
  },
  { from: /./, to: /\/src\/(main|server)\.ts$/, reason: 'nothing but the entry composes the server' },
];

interface Import {
  file: string;
  specifier: string;
  typeOnly: boolean;
}

function importsOf(file: string): Import[] {
  const source = readFileSync(join(root, file), 'utf8');
  const pattern =
    /^\s*(?:import|export)\s+(type\s)?[^;'"]*?from\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;
  return [...source.matchAll(pattern)].map((match) => ({
    file,
    specifier: match[2] ?? match[3] ?? '',
    typeOnly: match[1] !== undefined,
  }));
}

const sources = globSync(['packages/*/src/**/*.ts', 'image/*.ts'], { cwd: root }).filter(
  (file) => !/\.test\.ts$|\/testing\//.test(file),
);
const imports = sources.flatMap(importsOf);

test('packages import one way', () => {
  assert.ok(imports.length > 100, 'the sources were found and read');
  for (const { file, specifier } of imports) {
    const home = file.startsWith('image/') ? 'image' : file.split('/').slice(0, 2).join('/');
    const rule = allowed[home];
    assert.ok(rule, `${home} is not in the table of allowed imports`);
    if (specifier.startsWith('@berth/')) {
      assert.ok(
        rule.packages.includes(specifier),
        `${file} imports ${specifier}; ${home} may not, since ${rule.reason}`,
      );
    }
    if (specifier.startsWith('.')) {
      const target = relative(root, join(root, dirname(file), specifier));
      assert.ok(
        target.startsWith(`${home}/`),
        `${file} reaches into ${target}; packages meet at their exports only`,
      );
    }
  }
});

test('in the server, requests lead to rules and rules to queries', () => {
  for (const { file, specifier, typeOnly } of imports) {
    if (!file.startsWith('packages/server/') || !specifier.startsWith('.') || typeOnly) continue;
    if (/\/src\/(main|server)\.ts$/.test(file)) continue;
    const target = join(dirname(file), specifier);
    for (const { from, to, reason } of forbidden) {
      assert.ok(!(from.test(file) && to.test(target)), `${file} imports ${target}; ${reason}`);
    }
  }
});
