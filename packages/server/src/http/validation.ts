/**
 * Validation of requests against their schemas.
 *
 * Bodies are taken as they are: no value is converted, no unknown field dropped. Queries and path parameters are text
 * by nature, so there numbers and booleans are read from it.
 */
import { Readable } from 'node:stream';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import type { FastifySchema, FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify';

const common = {
  allErrors: false,
  removeAdditional: false,
  useDefaults: true,
  strict: false,
  verbose: true,
} as const;
const exact = new Ajv({ ...common, coerceTypes: false });
const fromText = new Ajv({ ...common, coerceTypes: true });
for (const ajv of [exact, fromText]) addFormats.default(ajv);

export const compileValidator: FastifySchemaCompiler<FastifySchema> = ({ schema, httpPart }) => {
  const validate = (httpPart === 'body' ? exact : fromText).compile(schema);
  return (data: unknown) => {
    const fits = validate(data);
    const zero = fits ? zeroCharacterIn(data) : undefined;
    if (zero !== undefined) return { error: [zero] };
    return fits ? { value: data } : { error: (validate.errors ?? []) as FastifySchemaValidationError[] };
  };
};

/** PostgreSQL's texts cannot hold U+0000, and no text here has a use for it. */
function zeroCharacterIn(data: unknown): FastifySchemaValidationError | undefined {
  const left: [path: string, value: unknown][] = [['', data]];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const [instancePath, value] = next;
    if (typeof value === 'string' && value.includes('\0'))
      return Object.assign({ instancePath, schemaPath: '', keyword: 'pattern', params: {} }, { data: value });
    // A body may be a stream, too.
    if (typeof value === 'object' && value !== null && !(value instanceof Readable))
      for (const [key, each] of Object.entries(value)) left.push([`${instancePath}/${key}`, each]);
  }
  return undefined;
}
