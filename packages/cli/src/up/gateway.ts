/** The gateway beside or without a server: its settings, its supervisor, and how it ends. */
import { join } from 'node:path';
import type { LiveConnection, ServerPlace, Supervisor } from '@berth/gateway/supervisor';
import { CommandFailure, exitCodes, usageFailure } from '../failure.ts';
import { settingInForce } from '../place.ts';
import { say } from '../session.ts';
import { printable } from '../text.ts';

type Role = 'server' | 'gateway';

/** @throws CommandFailure for a role that there is not */
export function rolesInForce(): Role[] {
  const value = settingInForce('roles') ?? 'server,gateway';
  const roles = value.split(',').map((each) => each.trim());
  if (roles.every((each) => each === 'server' || each === 'gateway')) return roles as Role[];
  throw settingFailure('roles', value, 'server, gateway, or both with a comma between');
}

/**
 * Starts the gateway.
 *
 * @param folder the data folder; the gateway's own is in it
 * @param server `unix:PATH` or `https://HOST:PORT`; undefined: the socket in the gateway's folder
 * @throws CommandFailure: a setting is wrong, or what they name cannot be had
 */
export async function startGateway(folder: string, server?: string): Promise<Supervisor> {
  const { Supervisor, parseServerPlace } = await import('@berth/gateway/supervisor');
  const place: ServerPlace | undefined =
    server === undefined ? { kind: 'unix', path: 'control.sock' } : parseServerPlace(server);
  if (place === undefined)
    throw usageFailure(`--server is "${server}"`, 'Give unix:PATH or https://HOST:PORT.');
  try {
    return new Supervisor({
      workers: workersInForce(),
      folder: join(folder, 'gateway'),
      user: settingInForce('gatewayUser') ?? 'nobody',
      server: place,
      certificates: place.kind === 'tls' ? certificatesInForce() : null,
      log: (line) => say(`berth: ${line}`),
    });
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    throw new CommandFailure(
      exitCodes.failed,
      'gateway_did_not_start',
      `The gateway did not start: ${(error as Error).message}`,
      '',
      error,
    );
  }
}

function workersInForce(): number {
  const value = settingInForce('gatewayWorkers') ?? '1';
  const workers = Number(value);
  if (/^\d+$/.test(value) && workers >= 1 && workers <= 64) return workers;
  throw settingFailure('gatewayWorkers', value, 'a number, 1 to 64');
}

function certificatesInForce(): { certificate: string; key: string; authority: string } {
  const path = (name: 'control.certificate' | 'control.key' | 'control.authority') => {
    const value = settingInForce(name);
    if (value !== undefined) return value;
    throw settingFailure(name, null, 'a path of a PEM file, for a server on another machine');
  };
  return {
    certificate: path('control.certificate'),
    key: path('control.key'),
    authority: path('control.authority'),
  };
}

function settingFailure(name: string, value: string | null, allowed: string): CommandFailure {
  return usageFailure(`Setting ${name} is ${JSON.stringify(value)}; allowed: ${allowed}.`);
}

/** Takes no newcomers, says who is still connected, and ends when they are gone. */
export async function drainGateway(gateway: Supervisor): Promise<void> {
  const drained = gateway.drain('Berth is ending. This connection stays until you leave.');
  const connections = await gateway.connections();
  if (connections.length > 0) say(stillConnected(connections));
  await drained;
}

/** As many as one looks at. */
const mostShown = 20;

export function stillConnected(connections: LiveConnection[]): string {
  const count = connections.length;
  const lines = connections
    .slice(0, mostShown)
    .map(
      ({ environment, source, since }) =>
        `  ${printable(environment)} from ${printable(source)} since ${since.replace('T', ' ').replace(/\..*/, ' UTC')}`,
    );
  if (count > mostShown) lines.push(`  and ${count - mostShown} more`);
  return [
    count === 1 ? 'One SSH connection is still there:' : `${count} SSH connections are still there:`,
    ...lines,
    'Berth ends when they have gone. Press Ctrl-C again to cut them off.',
  ].join('\n');
}
