/** libssh2, which curl and many others are built on. */
import { join } from 'node:path';
import { buildStep, built, driverClient } from './driver.ts';
import { printed } from './program.ts';

export const libssh2Client = driverClient({
  name: 'libssh2',
  abilities: [
    ...(['password', 'keyboard-interactive', 'sequence', 'environment', 'pty', 'subsystem', 'sftp'] as const),
    ...(['connect', 'choose-key-exchange', 'choose-host-key', 'choose-cipher'] as const),
  ],
  knowsWhatItProposes: true,
  prepare: async () => {
    const needs = 'needs a C compiler (package gcc) and libssh2 (package libssh2-1-dev)';
    const version = await printed('cc', '--version');
    if (version === undefined) return needs;
    const result = await built('c', [version], (folder, source) =>
      buildStep(needs, [
        ...(['cc', '-Wall', '-Wextra', '-Werror', '-O2', '-o', join(folder, 'driver')] as const),
        ...[join(source, 'driver.c'), '-lssh2'],
      ]),
    );
    return typeof result === 'string' ? result : [join(result.folder, 'driver')];
  },
});
