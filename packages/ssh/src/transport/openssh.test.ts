// OpenSSH itself: packets to and from its sshd with every cipher and MAC that it has on by default and we know, after
// every key exchange that both know; and its ssh, which must come to the same keys when ours is the server's half.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { loadAddon } from '../../native/addon.ts';
import { generateHostKey } from '../keys/private-key.ts';
import { Client } from '../testing/client.ts';
import { peerProposal, startPeer } from '../testing/peer.ts';
import { missingSshd, startSshd } from '../testing/sshd.ts';
import { Reader, Writer } from '../wire.ts';
import { keyExchangeNames } from './key-exchange.ts';
import { message } from './messages.ts';
import type { PacketProtection } from './packet-protection.ts';
import { nativeProtection } from './packet-protection-native.ts';
import { nodeProtection } from './packet-protection-node.ts';

const addon = loadAddon();
const implementations = new Map<string, PacketProtection>([['node:crypto', nodeProtection]]);
if (typeof addon !== 'string') implementations.set('addon', nativeProtection(addon));

const aead = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'chacha20-poly1305@openssh.com'];
const counter = ['aes128-ctr', 'aes192-ctr', 'aes256-ctr'];
const macs = [
  'hmac-sha2-256-etm@openssh.com',
  'hmac-sha2-512-etm@openssh.com',
  'hmac-sha2-256',
  'hmac-sha2-512',
];
const suites = [
  ...aead.map((cipher) => ({ cipher, mac: 'hmac-sha2-256' })),
  ...counter.flatMap((cipher) => macs.map((mac) => ({ cipher, mac }))),
];

/** Both directions are understood: sshd answers a request that follows other packets. */
async function assertUnderstood(client: Client, algorithms: string): Promise<void> {
  // Long ones, so that a key stream that is wrong later on is found too.
  for (const bytes of [0, 1, 30_000]) {
    client.send(new Writer().byte(message.ignore).string(Buffer.alloc(bytes)).toBuffer());
  }
  client.send(new Writer().byte(message.serviceRequest).string('ssh-userauth').toBuffer());
  let reader = new Reader(await client.receive());
  let number = reader.byte('message number');
  if (number === message.extInfo) {
    reader = new Reader(await client.receive());
    number = reader.byte('message number');
  }
  assert.equal(number, message.serviceAccept, algorithms);
  assert.equal(reader.text('service'), 'ssh-userauth');
  reader.end('SERVICE_ACCEPT');
}

for (const [name, protection] of implementations) {
  for (const isStrict of [true, false]) {
    const kind = isStrict ? 'strict' : 'plain';
    test(
      `${name}: OpenSSH understands and is understood after a ${kind} key exchange`,
      { skip: missingSshd },
      async () => {
        const sshd = await startSshd(generateHostKey().privateKeyOpenSsh);
        try {
          for (const { cipher, mac } of suites) {
            const client = await Client.connect({ ...sshd, cipher, mac, isStrict, protection });
            try {
              await assertUnderstood(client, `${cipher} ${mac}`);
            } finally {
              await client.close();
            }
          }
          assert.doesNotMatch(sshd.log(), /corrupted|message authentication|padding|bad packet/i);
        } finally {
          await sshd.stop();
        }
      },
    );
  }
}

/** The key exchanges that this OpenSSH knows too; an old one has no mlkem768x25519. */
function commonKeyExchanges(): string[] {
  const known = execFileSync('ssh', ['-Q', 'kex'], { encoding: 'utf8' }).trim().split('\n');
  const common = keyExchangeNames.filter((name) => known.includes(name));
  assert.ok(common.length >= 8, `OpenSSH knows ${known.join(' ')}`);
  return common;
}

test("comes to the same keys as OpenSSH's sshd with each key exchange", { skip: missingSshd }, async () => {
  const common = commonKeyExchanges();
  // Some are off by default.
  const settings = [`KexAlgorithms +${common.join(',')}`];
  const sshd = await startSshd(generateHostKey().privateKeyOpenSsh, settings);
  try {
    for (const keyExchange of common) {
      // A number in an exchange's fields is a byte longer or shorter than usual once in a while.
      for (let time = 0; time < 10; time += 1) {
        const client = await Client.connect({
          ...sshd,
          keyExchange,
          cipher: 'aes256-ctr',
          mac: 'hmac-sha2-512',
          isStrict: true,
          protection: nodeProtection,
        });
        try {
          await assertUnderstood(client, keyExchange);
        } finally {
          await client.close();
        }
      }
    }
  } finally {
    await sshd.stop();
  }
});

test("OpenSSH's ssh takes the server's half of each key exchange", { skip: missingSshd }, async () => {
  const { privateKey: key } = generateKeyPairSync('ed25519');
  for (const keyExchange of commonKeyExchanges()) {
    let isTaken = false;
    const peer = await startPeer(async (connection) => {
      await connection.identify();
      await connection.exchangeKexInit({ ...peerProposal, keyExchange: [keyExchange] });
      await connection.reply({ key, keyExchange });
      connection.newKeys();
      // ssh sends it only after it has verified the signature over the exchange hash.
      const [number] = await connection.receive();
      isTaken = number === message.newKeys;
      connection.socket.destroy();
    });
    try {
      const said = await runSsh(peer.port, [`KexAlgorithms=${keyExchange}`]);
      assert.ok(isTaken, `${keyExchange}: ${said}`);
    } finally {
      await peer.stop();
    }
  }
});

/** Resolves with what ssh said when it ended. It takes every host key. */
async function runSsh(port: number, options: readonly string[]): Promise<string> {
  const all = ['BatchMode=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', ...options];
  const parameters = all.flatMap((option) => ['-o', option]);
  const ssh = spawn('ssh', ['-F', 'none', '-p', String(port), ...parameters, 'user@127.0.0.1'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  ssh.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await once(ssh, 'close');
  return said;
}
