/**
 * Where gateways reach the server: a Unix socket on this machine, and mutual TLS for those on others.
 *
 * Not a part of the API's application: it takes four calls (contract's control.ts) and nothing else, knows its callers by
 * the socket's owner or by their certificate, and an attempt is to cost little. Plain node:http for that reason.
 */
import { lchownSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Services } from '../http/app.ts';
import { Certificate } from '../http/certificate.ts';
import type { Settings } from '../settings.ts';
import { controlCalls } from './calls.ts';
import type { Decide } from './calls.ts';
import { makeGatewayFolder } from './gateway-folder.ts';
import type { Owner } from './gateway-folder.ts';
import { gatewayHostKeys } from './host-keys.ts';
import { GatewayState } from './state.ts';

export interface ControlListener {
  socketPath: string;
  /** Of mutual TLS; null: there is none. */
  address: AddressInfo | null;
  state: GatewayState;
  close(): Promise<void>;
}

/** A gateway keeps its connections; a dead one is noticed by TCP. */
const keepAliveMs = 10 * 60 * 1000;

/** @throws Error with a sentence for people when the socket, the certificate or the address cannot be had */
export async function listenForGateways(services: Services, decide: Decide): Promise<ControlListener> {
  const { folder, settings, database, keyRing, logger, gatewayMetrics } = services;
  const undo: (() => void | Promise<void>)[] = [];
  const close = async () => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    const gatewayFolder = folder.file('gateway');
    const owner = makeGatewayFolder(gatewayFolder, settings.gatewayUser);
    const hostKeys = await gatewayHostKeys(database, keyRing);
    const state = new GatewayState({
      ...services,
      hostKeys,
      server: folder.serverId,
      onLines: (count) => gatewayMetrics.countStateLines(count),
    });
    undo.push(() => state.close());
    const listener = controlCalls(services, state, decide);

    const socketPath = join(gatewayFolder, 'control.sock');
    const local = await listenOnSocket(socketPath, owner, listener);
    undo.push(() => closeServer(local));

    const place = settings['control.listen'];
    let address: AddressInfo | null = null;
    const { controlCertificate: certificate } = services;
    if (place !== null && certificate !== null) {
      const server = createSecureServer(
        { ...certificate.pair, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
        listener,
      );
      server.keepAliveTimeout = keepAliveMs;
      await listening(server, () => server.listen(place.port, place.host));
      address = server.address() as AddressInfo;
      undo.push(() => closeServer(server));
      undo.push(certificate.watch(server, logger));
    }
    return { socketPath, address, state, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Only the folder's owner can open it. */
async function listenOnSocket(path: string, owner: Owner | null, listener: RequestListener): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer(listener);
  server.keepAliveTimeout = keepAliveMs;
  await listening(server, () => {
    // The socket is made in here, so that it never has another mode. Its owner could have put another thing in its
    // place by the time that a mode could be set.
    const mask = process.umask(0o177);
    try {
      server.listen(path);
    } finally {
      process.umask(mask);
    }
  });
  if (owner !== null) lchownSync(path, owner.uid, owner.gid);
  return server;
}

async function listening(server: Server, listen: () => void): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', resolve);
    listen();
  });
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}

/**
 * @returns null where no gateway comes from another machine
 * @throws Error with a sentence for people when the files cannot be used
 */
export function openControlCertificate(settings: Settings): Certificate | null {
  const {
    'control.listen': place,
    'control.certificate': certificate,
    'control.key': key,
    'control.authority': authority,
  } = settings;
  if (place === null || certificate === null || key === null || authority === null) return null;
  return Certificate.open({ certificate, key, authority }, 'control');
}
