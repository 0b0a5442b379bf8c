// OpenSSH's sshd: packets to and from it with every cipher and MAC that it has on by default and we know, after
// every key exchange that both know.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { loadAddon } from '../../native/addon.ts';
import { generateHostKey } from '../keys/private-key.ts';
import { Client } from '../testing/client.ts';
import { missingSshd, startSshd } from '../testing/sshd.ts';
import { Reader, Writer } from '../wire.ts';
import { keyExchangeNames } from './key-exchange.ts';
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

const ignore = 2;
const serviceRequest = 5;
const serviceAccept = 6;
const extensionInfo = 7;

/** Both directions are understood: sshd answers a request that follows other packets. */
async function assertUnderstood(client: Client, algorithms: string): Promise<void> {
  // Long ones, so that a key stream that is wrong later on is found too.
  for (const bytes of [0, 1, 30_000]) {
    client.send(new Writer().byte(ignore).string(Buffer.alloc(bytes)).toBuffer());
  }
  client.send(new Writer().byte(serviceRequest).string('ssh-userauth').toBuffer());
  let reader = new Reader(await client.receive());
  let number = reader.byte('message number');
  if (number === extensionInfo) {
    reader = new Reader(await client.receive());
    number = reader.byte('message number');
  }
  assert.equal(number, serviceAccept, algorithms);
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

test('comes to the same keys as OpenSSH with each key exchange', { skip: missingSshd }, async () => {
  const known = execFileSync('ssh', ['-Q', 'kex'], { encoding: 'utf8' }).trim().split('\n');
  const common = keyExchangeNames.filter((name) => known.includes(name));
  assert.ok(common.length >= 8, `OpenSSH knows ${known.join(' ')}`);
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
