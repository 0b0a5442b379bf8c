// node native/build.ts: builds the addon, where there is a C compiler. Run when the package is installed
// and by whatever prepares a start; it never fails, since everything works without the addon, only slower.

import { buildAddon } from './addon.ts';

try {
  buildAddon();
} catch (error) {
  process.stderr.write(`The SSH addon could not be built: ${String(error)}\n`);
}
