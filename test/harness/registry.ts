/**
 * A registry of images on this machine's loopback, which hands its one image out as slowly as a test wants: the distribution
 * specification's reading half, of which Docker asks for manifests and blobs. Docker takes plain HTTP from loopback.
 */
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

const manifestType = 'application/vnd.docker.distribution.manifest.v2+json';
const pieceBytes = 64 * 1024;

export interface TestRegistry {
  /** For `docker pull`. */
  reference: string;
  /** Bytes a second of each layer, from now on. */
  bytesPerSecond: number;
  close(): Promise<void>;
}

/** @param layerBytes how large each layer is; what is in them is random, so that Docker has none of it already */
export async function startRegistry(layerBytes: number[], bytesPerSecond: number): Promise<TestRegistry> {
  const { manifest, blobs } = makeImage(layerBytes);
  const manifestDigest = digestOf(manifest);
  const registry = { reference: '', bytesPerSecond, close: () => Promise.resolve() };
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    const blob = blobs.get(path.split('/').at(-1) ?? '');
    if (path === '/v2/') response.end('{}');
    else if (path.includes('/manifests/')) {
      response.writeHead(200, {
        'content-type': manifestType,
        'content-length': manifest.length,
        'docker-content-digest': manifestDigest,
      });
      response.end(request.method === 'HEAD' ? undefined : manifest);
    } else if (blob === undefined) response.writeHead(404).end();
    else void sendSlowly(response, blob, registry);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  registry.reference = `127.0.0.1:${(server.address() as AddressInfo).port}/berth-test:slow`;
  registry.close = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return registry;
}

async function sendSlowly(
  response: ServerResponse,
  blob: Buffer,
  speed: { bytesPerSecond: number },
): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': blob.length });
  for (let at = 0; at < blob.length && !response.destroyed; at += pieceBytes) {
    const piece = blob.subarray(at, at + pieceBytes);
    response.write(piece);
    await pause((piece.length / speed.bytesPerSecond) * 1000);
  }
  response.end();
}

function makeImage(layerBytes: number[]): { manifest: Buffer; blobs: Map<string, Buffer> } {
  const layers = layerBytes.map((bytes) => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-registry-'));
    try {
      writeFileSync(join(folder, `file-of-${bytes}`), randomBytes(bytes));
      const { stdout, status } = spawnSync('tar', ['-C', folder, '-cf', '-', '.'], {
        maxBuffer: 2 * bytes + 1024 ** 2,
      });
      if (status !== 0) throw new Error('tar failed');
      return stdout;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
  const config = Buffer.from(
    JSON.stringify({
      architecture: { x64: 'amd64' }[process.arch as string] ?? process.arch,
      os: 'linux',
      config: { Cmd: ['/nothing'] },
      rootfs: { type: 'layers', diff_ids: layers.map(digestOf) },
    }),
  );
  const packed = layers.map((layer) => gzipSync(layer, { level: 1 }));
  const blobs = new Map([config, ...packed].map((blob) => [digestOf(blob), blob]));
  const described = (blob: Buffer, mediaType: string) => ({
    mediaType,
    size: blob.length,
    digest: digestOf(blob),
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: described(config, 'application/vnd.docker.container.image.v1+json'),
      layers: packed.map((blob) => described(blob, 'application/vnd.docker.image.rootfs.diff.tar.gzip')),
    }),
  );
  return { manifest, blobs };
}

function digestOf(blob: Buffer): string {
  return `sha256:${createHash('sha256').update(blob).digest('hex')}`;
}
