/** YAML, loaded when it is needed: most commands neither read nor write any, and start faster without. */
import { createRequire } from 'node:module';

type Yaml = typeof import('yaml');

const require = createRequire(import.meta.url);

export function parseYaml(text: string): unknown {
  return (require('yaml') as Yaml).parse(text);
}

/** What YAML 1.1 readers take for something else is quoted, and lines stay whole. */
export function yamlText(document: unknown): string {
  return (require('yaml') as Yaml)
    .stringify(document, { lineWidth: 0, version: '1.1', aliasDuplicateObjects: false })
    .trimEnd();
}
