/**
 * Validation of requests against their schemas.
 *
 * Bodies are taken as they are: no value is converted, no unknown field dropped. Queries and path parameters are text
 * by nature, so there numbers and booleans are read from it.
 */
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import type { FastifySchemaCompiler, FastifySchema } from 'fastify';

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

export const compileValidator: FastifySchemaCompiler<FastifySchema> = ({ schema, httpPart }) =>
  (httpPart === 'body' ? exact : fromText).compile(schema);
