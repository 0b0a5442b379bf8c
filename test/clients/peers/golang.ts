/** golang.org/x/crypto/ssh, with github.com/pkg/sftp for files. */
import { join } from 'node:path';
import { buildStep, built, driverClient } from './driver.ts';
import { printed } from './program.ts';

export const golangClient = driverClient({
  name: 'golang.org/x/crypto/ssh',
  abilities: [
    ...(['password', 'keyboard-interactive', 'sequence', 'certificate', 'environment', 'pty'] as const),
    ...(['subsystem', 'sftp', 'parallel', 'connect', 'connect-socket', 'local-forward'] as const),
    ...([
      'local-socket-forward',
      'remote-forward',
      'remote-socket-forward',
      'half-close',
      'agent',
      'rekey-up',
      'rekey-down',
    ] as const),
    ...(['choose-key-exchange', 'choose-host-key', 'choose-cipher'] as const),
  ],
  prepare: async () => {
    const needs = 'needs Go 1.26 or later and its module proxy';
    const version = await printed('go', 'version');
    if (version === undefined) return needs;
    const result = await built('golang', [version], (folder, source) =>
      buildStep(needs, ['go', 'build', '-C', source, '-buildvcs=false', '-o', join(folder, 'driver'), '.']),
    );
    return typeof result === 'string' ? result : [join(result.folder, 'driver')];
  },
});
