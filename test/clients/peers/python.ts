/** The libraries of Python: paramiko, and AsyncSSH. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildStep, built, driverClient } from './driver.ts';
import type { Ability, ClientPeer } from './peer.ts';

const packages = ['paramiko==5.1.0', 'asyncssh==2.24.1'];
const needs = 'needs Python 3 with venv (package python3-venv), and paramiko and asyncssh by pip';

/**
 * When paramiko begins an exchange of keys while data comes in, it now and then waits for itself for 30 seconds and
 * loses the connection (seen once in ten times, with stock servers): so it has no `rekey-down`. AsyncSSH counts only
 * what it sends.
 */
export const paramikoClient = client('paramiko', 'paramiko_driver.py', [
  ...(['password', 'keyboard-interactive', 'sequence', 'certificate', 'environment', 'pty'] as const),
  ...([
    'subsystem',
    'sftp',
    'parallel',
    'connect',
    'remote-forward',
    'half-close',
    'agent',
    'x11',
    'rekey-up',
  ] as const),
  ...(['choose-key-exchange', 'choose-host-key', 'choose-cipher'] as const),
]);

export const asyncSshClient = client('AsyncSSH', 'asyncssh_driver.py', [
  ...(['password', 'keyboard-interactive', 'sequence', 'certificate', 'environment', 'pty'] as const),
  ...(['subsystem', 'sftp', 'parallel', 'connect', 'connect-socket', 'local-forward'] as const),
  ...(['local-socket-forward', 'dynamic-forward', 'remote-forward', 'remote-socket-forward'] as const),
  ...([
    'half-close',
    'agent',
    'x11',
    'rekey-up',
    'choose-key-exchange',
    'choose-host-key',
    'choose-cipher',
  ] as const),
]);

function client(name: string, file: string, abilities: readonly Ability[]): ClientPeer {
  return driverClient({
    name,
    abilities,
    prepare: async () => {
      const result = await built('python', packages, async (folder) => {
        const pip = join(folder, 'bin/pip');
        return (
          (await buildStep(needs, ['python3', '-m', 'venv', folder])) ??
          (await buildStep(needs, [pip, 'install', '--quiet', ...packages]))
        );
      });
      if (typeof result === 'string') return result;
      const driver = fileURLToPath(new URL(`../drivers/python/${file}`, import.meta.url));
      return [join(result.folder, 'bin/python'), '-B', driver];
    },
  });
}
