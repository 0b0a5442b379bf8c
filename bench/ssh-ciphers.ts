/**
 * What a relay does to each packet, once opening and once sealing it, by the addon and by node:crypto, in
 * turns; and the addon beside `openssl speed`, which does the cipher's work and nothing else, though with
 * the machine's OpenSSL and not with Node's.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { loadAddon } from '../packages/ssh/native/addon.ts';
import { packetAlgorithm } from '../packages/ssh/src/transport/packet-algorithms.ts';
import type { PacketProtection } from '../packages/ssh/src/transport/packet-protection.ts';
import { nativeProtection } from '../packages/ssh/src/transport/packet-protection-native.ts';
import { nodeProtection } from '../packages/ssh/src/transport/packet-protection-node.ts';
import { Packets } from '../packages/ssh/src/transport/packets.ts';
import type { Figure } from './main.ts';
import { progress, quantile } from './statistics.ts';

const suites = [
  { cipher: 'aes128-gcm@openssh.com', openssl: [['-evp', 'aes-128-gcm']] },
  { cipher: 'aes256-gcm@openssh.com', openssl: [['-evp', 'aes-256-gcm']] },
  { cipher: 'chacha20-poly1305@openssh.com', openssl: [['-evp', 'chacha20-poly1305']] },
  {
    cipher: 'aes128-ctr',
    mac: 'hmac-sha2-256-etm@openssh.com',
    openssl: [
      ['-evp', 'aes-128-ctr'],
      ['-hmac', 'sha256'],
    ],
  },
];
// A key press, many of them in one read, and a read of bulk data.
const shapes = [
  { name: '64 B, 1 a call', bytes: 64, packets: 1 },
  { name: '64 B, 64 a call', bytes: 64, packets: 64 },
  { name: '32 KiB, 4 a call', bytes: 32 * 1024, packets: 4 },
];
const roundMs = 100;
const rounds = 7;
const mebibyte = 1024 ** 2;

export async function sshCiphers(): Promise<Figure[]> {
  const addon = loadAddon();
  if (typeof addon === 'string') throw new Error(`There is nothing to compare: ${addon}.`);
  const native = nativeProtection(addon);
  const figures: Figure[] = [];
  for (const { cipher, mac, openssl } of suites) {
    const [short] = cipher.split('@');
    for (const { name, bytes, packets } of shapes) {
      progress(`${short}, ${name}`);
      const passes = [native, nodeProtection].map((protection) =>
        passOf(protection, cipher, mac, bytes, packets),
      );
      const samples: number[][] = passes.map(() => []);
      for (let round = 0; round < rounds; round += 1) {
        for (const [index, pass] of passes.entries()) samples[index]?.push(microsecondsOf(pass) / packets);
      }
      const [byAddon = 0, byNode = 0] = samples.map((each) => quantile(each, 0.5));
      const label = `${short}, ${name}`;
      figures.push(
        { name: `${label}: addon`, value: byAddon, unit: 'us a packet' },
        { name: `${label}: node:crypto`, value: byNode, unit: 'us a packet' },
        { name: `${label}: node:crypto / addon`, value: byNode / byAddon, unit: 'times' },
      );
      if (bytes < 32 * 1024) continue;
      const rate = bytes / byAddon / 1e-6 / mebibyte;
      figures.push(
        { name: `${label}: addon, each byte opened and sealed`, value: rate, unit: 'MiB/s' },
        {
          name: `${label}: addon / openssl speed`,
          value: (2 * rate) / opensslRate(openssl),
          unit: 'times',
        },
      );
    }
  }
  return figures;
}

/** Seals `packets` payloads of `bytes` each in one call, and opens what came of it in another. */
function passOf(
  protection: PacketProtection,
  cipher: string,
  mac: string | undefined,
  bytes: number,
  packets: number,
): () => void {
  const algorithm = packetAlgorithm(cipher, mac);
  const keys = {
    encryptionKey: randomBytes(algorithm.keyBytes),
    iv: randomBytes(algorithm.ivBytes),
    macKey: randomBytes(algorithm.mac?.bytes ?? 0),
  };
  const protector = protection.createProtector(algorithm, keys);
  const opener = protection.createOpener(algorithm, keys);
  const source = Buffer.alloc(bytes * packets, 94);
  const payloads = new Packets(packets);
  for (let index = 0; index < packets; index += 1) payloads.add(index * bytes, bytes);
  const wire = Buffer.alloc(protector.sealedBytes(bytes) * packets);
  const opened = new Packets();
  return () => {
    protector.seal(source, payloads, wire, 0);
    opener.open(wire, 0, wire.length, opened);
  };
}

/** Of CPU, as `openssl speed` counts too: what else runs on the machine disturbs it less than time. */
function microsecondsOf(pass: () => void): number {
  for (let count = 0; count < 20; count += 1) pass();
  const started = process.cpuUsage();
  let passes = 0;
  let microseconds = 0;
  while (microseconds < roundMs * 1000) {
    for (let count = 0; count < 50; count += 1) pass();
    passes += 50;
    const { user, system } = process.cpuUsage(started);
    microseconds = user + system;
  }
  return microseconds / passes;
}

/** MiB/s of 32 KiB blocks; of several steps one after the other where there are several. */
function opensslRate(steps: readonly (readonly string[])[]): number {
  let secondsPerMebibyte = 0;
  for (const step of steps) {
    const output = execFileSync('openssl', ['speed', '-mr', '-seconds', '1', '-bytes', '32768', ...step], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const rate = Number(/^\+F.*:([\d.]+)$/m.exec(output)?.[1]);
    secondsPerMebibyte += mebibyte / rate;
  }
  return 1 / secondsPerMebibyte;
}
