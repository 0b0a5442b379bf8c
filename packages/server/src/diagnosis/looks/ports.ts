/** The ways in: the gateway, the own port, the shared port, and the name that people type. */
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect, isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { canonicalAddress, covers, readNetwork } from '@berth/contract';
import { parsePublicKey } from '@berth/ssh';
import type { ProbeError } from '@berth/ssh';
import { networksFor } from '../../allowlists/table.ts';
import { sharedHostKeys } from '../../environments/table.ts';
import { found, minute, quoted } from '../found.ts';
import type { Found } from '../found.ts';
import type { Scene } from '../scene.ts';
import { unnoticedMove } from '../table.ts';

const bannerMs = 3000;

export async function gateway(scene: Scene): Promise<Found> {
  const { settings } = scene.services;
  const isNeeded = settings.sharedPort !== 0 || (scene.exposure === 'gateway' && scene.subject.port !== null);
  if (!isNeeded) return found('gateway_not_needed');
  const gateways = await scene.gateways();
  return gateways.length === 0
    ? found('gateway_away')
    : found('gateway_serves', { gateways: gateways.length });
}

export async function own_port(scene: Scene): Promise<Found> {
  const { services, subject } = scene;
  const { port } = subject;
  if (port === null) return found(services.settings.sharedPort === 0 ? 'no_way_in' : 'no_own_port');
  const isDirect = scene.exposure === 'direct';
  if (isDirect && !(await scene.runs())) {
    const isHeld = await services.runtime.portIsHeld(port);
    return isHeld ? takenBy(scene, port) : found('own_port_sleeps', { port });
  }
  const host = isDirect ? here(scene) : await placeOfGateways(scene);
  if (!isDirect && !(await isOpenTo(scene, host))) return onlyGreeted(scene, { host, port });
  const { blob } = await scene.hostKey();
  const handshake = await scene.shakeHands({ host, port }, blob);
  if ('error' in handshake) return withoutHandshake(scene, port, handshake.error);
  const moved = await unnoticedMove(services.database, subject.id);
  if (!moved) return found('own_port_answers', { port });
  return found('own_port_moved', { port, old_port: moved.old_port, since: minute(moved.since) });
}

function withoutHandshake(scene: Scene, port: number, error: ProbeError): Promise<Found> | Found {
  const reason = quoted(error.message);
  switch (error.code) {
    case 'refused':
      return found('own_port_closed', { port });
    case 'timeout':
    case 'unreachable':
      return found('own_port_silent', { port, reason });
    case 'closed':
    case 'reset':
      return scene.exposure === 'direct'
        ? found('own_port_silent', { port, reason })
        : found('own_port_refuses', { port, reason });
    default:
      return takenBy(scene, port);
  }
}

async function takenBy(
  { services: { runtime }, subject, question: { forAdministrator } }: Scene,
  port: number,
): Promise<Found> {
  const holder = await runtime.portHolder(port);
  // Its own container publishes it: what answers there is wrong, and that is told by the looks at its sshd.
  if (holder?.kind === 'environment' && holder.id === subject.id) return found('own_port_open', { port });
  if (holder?.kind === 'environment') {
    return forAdministrator
      ? found('port_taken_by_named_environment', { port, other: holder.id })
      : found('port_taken_by_environment', { port });
  }
  // What else runs on the machine is no customer's business.
  if (holder === null || !forAdministrator) return found('port_taken', { port });
  return holder.kind === 'container'
    ? found('port_taken_by_container', { port, container: quoted(holder.name) })
    : found('port_taken_by_program', { port, program: quoted(holder.name), process: holder.process });
}

export async function shared_port(scene: Scene): Promise<Found> {
  const { services, question } = scene;
  const { settings, runtime } = services;
  const port = settings.sharedPort;
  if (port === 0) return found('no_shared_port');
  const host = await placeOfGateways(scene);
  const handshake = await scene.shakeHands({ host, port }, await sharedHostKey(scene));
  if ('result' in handshake) return found('shared_port_answers', { port });
  const reason = quoted(handshake.error.message);
  switch (handshake.error.code) {
    case 'refused':
      return found('shared_port_closed', { port });
    case 'timeout':
    case 'unreachable':
      return found('shared_port_silent', { port, reason });
    case 'closed':
    case 'reset':
      return found('shared_port_refuses', { port, reason });
  }
  const holder = question.forAdministrator ? await runtime.portHolder(port) : null;
  if (holder === null || holder.kind === 'environment') return found('shared_port_taken', { port });
  return holder.kind === 'container'
    ? found('shared_port_taken_by_container', { port, container: quoted(holder.name) })
    : found('shared_port_taken_by_program', {
        ...{ port, process: holder.process },
        program: quoted(holder.name),
      });
}

export async function name(scene: Scene): Promise<Found> {
  const { settings } = scene.services;
  const host = settings.sshHost;
  let addresses: string[];
  try {
    addresses = await addressesOf(host);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return found(code === 'EAI_AGAIN' ? 'name_server_silent' : 'name_has_no_address', { host });
  }
  const facts = { host, addresses: addresses.join(', ') };
  const here = ownAddresses();
  if (addresses.some((each) => here.has(each))) return found('name_points_here', facts);
  // A load balancer leads to both, or what answers there is known by its key.
  const publicHost = settings.publicUrl === null ? null : new URL(settings.publicUrl).hostname;
  const ofConsole = publicHost === null ? [] : await addressesOf(publicHost).catch(() => []);
  if (addresses.some((each) => ofConsole.includes(each)) || (await knownByItsKey(scene, host)))
    return found('name_points_here', facts);
  return found('name_points_elsewhere', facts);
}

async function knownByItsKey(scene: Scene, host: string): Promise<boolean> {
  const { services, subject } = scene;
  const { port } = subject;
  if (port !== null)
    return 'result' in (await scene.shakeHands({ host, port }, (await scene.hostKey()).blob));
  const { sharedPort } = services.settings;
  const expected = await sharedHostKey(scene);
  if (sharedPort === 0 || expected === undefined) return false;
  return 'result' in (await scene.shakeHands({ host, port: sharedPort }, expected));
}

/** undefined: no gateway has asked for keys yet. */
async function sharedHostKey({ services: { database } }: Scene): Promise<Buffer | undefined> {
  const line = (await sharedHostKeys(database)).find((each) => each.startsWith('ssh-ed25519 '));
  return line === undefined ? undefined : parsePublicKey(line).blob;
}

async function addressesOf(host: string): Promise<string[]> {
  const plain = host.replace(/^\[|\]$/g, '');
  if (isIP(plain) !== 0) return [canonicalAddress(plain) ?? plain];
  return (await lookup(plain, { all: true })).map(({ address }) => address);
}

function ownAddresses(): Set<string> {
  return new Set(
    Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address)),
  );
}

/** Where ports of this machine are opened, as seen from itself. */
function here({ services: { settings } }: Scene): string {
  const { portAddress } = settings;
  return portAddress === '0.0.0.0' || portAddress === '::' ? '127.0.0.1' : portAddress;
}

/** This machine where a gateway is on it, or is to be; else what the name leads to. */
async function placeOfGateways(scene: Scene): Promise<string> {
  const { settings } = scene.services;
  const gateways = await scene.gateways();
  const isHere = gateways.some((host) => host === null || host === hostname());
  return isHere || (gateways.length === 0 && settings.roles.includes('gateway'))
    ? here(scene)
    : settings.sshHost;
}

/** Whether the gateway lets this machine itself as far as to the key: it writes down whom it does not. */
async function isOpenTo({ services: { database }, subject }: Scene, host: string): Promise<boolean> {
  const networks = await networksFor(database, subject.customer_id, subject.id);
  return networks.length === 0 || networks.some((each) => covers(readNetwork(each), host));
}

async function onlyGreeted(scene: Scene, place: { host: string; port: number }): Promise<Found> {
  const { port } = place;
  const socket = connect({ ...place, timeout: bannerMs, signal: scene.signal });
  for (const silence of ['timeout', 'end'])
    socket.once(silence, () =>
      socket.destroy(Object.assign(new Error('it says nothing.'), { code: silence })),
    );
  try {
    const [greeting] = (await once(socket, 'data')) as [Buffer];
    return greeting.toString('latin1').startsWith('SSH-2.0-')
      ? found('own_port_open', { port })
      : takenBy(scene, port);
  } catch (error) {
    scene.signal.throwIfAborted();
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ECONNREFUSED') return found('own_port_closed', { port });
    if (code === 'end' || code === 'ECONNRESET') return found('own_port_refuses', { port, reason: message });
    return found('own_port_silent', { port, reason: message });
  } finally {
    socket.destroy();
  }
}
