// Runs a program of the project: node scripts/run.mjs FILE [ARGUMENT ...]
import { join } from 'node:path';
import { root, run } from './prepare.mjs';

const [file = '', ...rest] = process.argv.slice(2);
run(join(root, file), ...rest);
