// npm start: sets up what is missing, starts Berth, and makes the first environment.
import { join } from 'node:path';
import { root, run } from './prepare.mjs';

run(join(root, 'packages/cli/src/main.ts'), 'up', '--install', '--demo', ...process.argv.slice(2));
