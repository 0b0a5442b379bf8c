// npm test: sets up what is missing, then runs the checks and every test that this machine can run.
import { join } from 'node:path';
import { root, run } from './prepare.mjs';

run(join(root, 'test/run.ts'), ...process.argv.slice(2));
