// The probe against OpenSSH's sshd, and against servers that are silent, broken or hostile.

import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { ed25519Blob, generateHostKey } from './keys/private-key.ts';
import { parsePublicKey } from './keys/public-key.ts';
import { ProbeError, type ProbeErrorCode } from './probe-error.ts';
import { type ProbeOptions, probe } from './probe.ts';
import { formatPacket } from './testing/input-buffer.ts';
import { type PeerConnection, peerProposal, startPeer } from './testing/peer.ts';
import { makeKey } from './testing/ssh-keygen.ts';
import { missingSshd, startSshd } from './testing/sshd.ts';
import { defaultKeyExchangeNames } from './transport/key-exchange.ts';
import { formatKexInit } from './transport/kexinit.ts';
import { Writer } from './wire.ts';

const key = generateKeyPairSync('ed25519').privateKey;
const hostKey = ed25519Blob(key);
// Long enough for any machine; a test that reaches it fails by its code.
const timeoutMs = 20_000;

type Script = (connection: PeerConnection) => Promise<void> | void;

const behaveWell: Script = async (connection) => {
  await connection.identify();
  await connection.exchangeKexInit();
  await connection.reply({ key });
  connection.newKeys();
};

async function probePeer(script: Script, options: Partial<ProbeOptions> = {}): ReturnType<typeof probe> {
  const peer = await startPeer(script);
  try {
    return await probe({ host: peer.host, port: peer.port, timeoutMs, ...options });
  } finally {
    await peer.stop();
  }
}

async function failure(attempt: Promise<unknown>): Promise<ProbeError> {
  const error = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ProbeError, `no ProbeError: ${String(error)}`);
  assert.match(error.message, /^[A-Z].*\.$/);
  return error;
}

async function failsWith(
  code: ProbeErrorCode,
  script: Script,
  options: Partial<ProbeOptions> = {},
): Promise<string> {
  const error = await failure(probePeer(script, options));
  assert.equal(error.code, code, error.message);
  return error.message;
}

test('shakes hands with OpenSSH and learns its version and host key', { skip: missingSshd }, async () => {
  const made = generateHostKey();
  const sshd = await startSshd(made.privateKeyOpenSsh);
  try {
    const result = await probe({ ...sshd, timeoutMs, expectedHostKey: made.publicKey });
    assert.match(result.serverVersion, /^SSH-2\.0-OpenSSH_/);
    assert.deepEqual(result.hostKey, made.publicKey);
    assert.equal(result.fingerprint, made.fingerprint);
    assert.match(result.keyExchange, /^(?:mlkem768x25519-sha256|curve25519-sha256)$/);
    assert.ok(result.durationMs > 0 && result.durationMs < timeoutMs);

    const wrong = await failure(probe({ ...sshd, timeoutMs, expectedHostKey: generateHostKey().publicKey }));
    assert.equal(wrong.code, 'host_key_mismatch');
    assert.ok(wrong.message.includes(made.fingerprint));
    await sshd.logged(/:9: The server has another host key/g, 1);
  } finally {
    await sshd.stop();
  }
});

test('shakes hands with the host key of any type that is expected', { skip: missingSshd }, async () => {
  for (const parameters of [
    ['-t', 'rsa', '-b', '2048'],
    ['-t', 'ecdsa', '-b', '256'],
    ['-t', 'ecdsa', '-b', '521'],
  ]) {
    const made = makeKey(...parameters);
    const { blob } = parsePublicKey(made.publicLine);
    const sshd = await startSshd(made.privateKey);
    try {
      const result = await probe({ ...sshd, timeoutMs, expectedHostKey: blob });
      assert.deepEqual(result.hostKey, blob);
      const error = await failure(probe({ ...sshd, timeoutMs }));
      assert.equal(error.code, 'no_common_algorithm');
    } finally {
      await sshd.stop();
    }
  }
});

test('leaves OpenSSH politely, a hundred times over', { skip: missingSshd }, async () => {
  const made = generateHostKey();
  const sshd = await startSshd(made.privateKeyOpenSsh);
  try {
    const probes = Array.from({ length: 100 }, () => probe({ ...sshd, timeoutMs }));
    await Promise.all(probes);
    await sshd.logged(/Received disconnect from 127\.0\.0\.1 port \d+:11: The probe is done\./g, 100);
    assert.doesNotMatch(sshd.log(), /error|fatal|reset|bad packet/i);
  } finally {
    await sshd.stop();
  }
});

test('says what OpenSSH has to offer when that is not enough', { skip: missingSshd }, async () => {
  const sshd = await startSshd(generateHostKey().privateKeyOpenSsh, ['KexAlgorithms ecdh-sha2-nistp256']);
  try {
    const error = await failure(probe({ ...sshd, timeoutMs }));
    assert.equal(error.code, 'no_common_algorithm');
    assert.match(error.message, /keyExchange.*ecdh-sha2-nistp256/);
  } finally {
    await sshd.stop();
  }
});

test('shakes hands with each key exchange', async () => {
  for (const keyExchange of defaultKeyExchangeNames) {
    const result = await probePeer(
      async (connection) => {
        await connection.identify();
        await connection.exchangeKexInit({ ...peerProposal, keyExchange: ['other', keyExchange] });
        await connection.reply({ key, keyExchange });
        connection.newKeys();
      },
      { expectedHostKey: hostKey },
    );
    assert.equal(result.keyExchange, keyExchange);
    assert.equal(result.serverVersion, 'SSH-2.0-Peer_1.0');
    assert.deepEqual(result.hostKey, hostKey);
  }
});

test('understands a server that talks before its identification and sends one byte at a time', async () => {
  const result = await probePeer(async (connection) => {
    const { socket } = connection;
    const write = socket.write.bind(socket);
    socket.setNoDelay(true);
    socket.write = (data: Uint8Array | string): boolean => {
      for (const byte of Buffer.from(data)) write(Uint8Array.of(byte));
      return true;
    };
    socket.write('Welcome\r\nto \u{1f6a2}\n\n');
    await connection.identify('SSH-2.0-Old\n');
    connection.send(Buffer.concat([Buffer.of(2), new Writer().string('ignore this').toBuffer()]));
    await connection.exchangeKexInit();
    await connection.reply({ key });
    connection.newKeys();
  });
  assert.equal(result.serverVersion, 'SSH-2.0-Old');
});

test('ignores the packet that follows a wrong guess, and only that', async () => {
  const guess = Buffer.from([30, 1, 2, 3]);
  await probePeer(async (connection) => {
    await connection.identify();
    const others = { ...peerProposal, keyExchange: ['other', 'curve25519-sha256'] };
    const exchanged = connection.exchangeKexInit(others, true);
    connection.send(guess);
    await exchanged;
    await connection.reply({ key });
    connection.newKeys();
  });
  await failsWith('protocol', async (connection) => {
    await connection.identify();
    const exchanged = connection.exchangeKexInit();
    connection.send(guess);
    await exchanged;
  });
});

test('lets nothing slip into a strict key exchange', async () => {
  const ignored = Buffer.concat([Buffer.of(2), new Writer().string('').toBuffer()]);
  const strict = {
    ...peerProposal,
    keyExchange: [...peerProposal.keyExchange, 'kex-strict-s-v00@openssh.com'],
  };
  await failsWith('protocol', async (connection) => {
    await connection.identify();
    connection.send(ignored);
    await connection.exchangeKexInit(strict);
  });
  await failsWith('protocol', async (connection) => {
    await connection.identify();
    await connection.exchangeKexInit(strict);
    connection.send(ignored);
  });
});

test('refuses a server that has the right host key but cannot sign with it', async () => {
  const message = await failsWith(
    'bad_signature',
    async (connection) => {
      await connection.identify();
      await connection.exchangeKexInit();
      await connection.reply({ key: generateKeyPairSync('ed25519').privateKey, hostKey });
      connection.newKeys();
    },
    { expectedHostKey: hostKey },
  );
  assert.match(message, /could not prove/);
});

test('refuses a signature with one bit changed, and one over another key exchange', async () => {
  const flip = (bytes: Buffer): Buffer => {
    const changed = Buffer.from(bytes);
    changed[9] = changed.readUInt8(9) ^ 4;
    return changed;
  };
  for (const change of [{ changeSignature: flip }, { changeShare: flip }]) {
    await failsWith('bad_signature', async (connection) => {
      await connection.identify();
      await connection.exchangeKexInit();
      await connection.reply({ key, ...change });
      connection.newKeys();
    });
  }
});

test('refuses another host key than the expected one, and says which it is', async () => {
  const message = await failsWith('host_key_mismatch', behaveWell, {
    expectedHostKey: generateHostKey().publicKey,
  });
  assert.equal(message.match(/SHA256:[A-Za-z0-9+/]{43}/g)?.length, 2);
});

test('refuses shares of a wrong length and of small order', async () => {
  for (const changeShare of [() => Buffer.alloc(31, 9), () => Buffer.alloc(33, 9), () => Buffer.alloc(32)]) {
    await failsWith('protocol', async (connection) => {
      await connection.identify();
      await connection.exchangeKexInit();
      await connection.reply({ key, changeShare });
    });
  }
});

test('does not take NEWKEYS for proof', async () => {
  await failsWith('protocol', async (connection) => {
    await connection.identify();
    await connection.exchangeKexInit();
    connection.newKeys();
  });
  await failsWith('protocol', async (connection) => {
    await connection.identify();
    connection.newKeys();
  });
});

test('says which algorithm is missing, and takes no mark for one', async () => {
  const missing = { ...peerProposal, hostKey: ['ssh-rsa', 'rsa-sha2-256'] };
  const message = await failsWith('no_common_algorithm', async (connection) => {
    await connection.identify();
    await connection.exchangeKexInit(missing);
  });
  assert.match(message, /hostKey.*"ssh-rsa,rsa-sha2-256"/);
  await failsWith('no_common_algorithm', async (connection) => {
    await connection.identify();
    await connection.exchangeKexInit({ ...peerProposal, keyExchange: ['kex-strict-c-v00@openssh.com'] });
  });
});

test('needs no MAC in common for a cipher that authenticates by itself', async () => {
  const noMac = { ...peerProposal, macClientToServer: [], macServerToClient: [] };
  await failsWith('no_common_algorithm', async (connection) => {
    await connection.identify();
    await connection.exchangeKexInit(noMac);
  });
  const encryption = ['aes256-gcm@openssh.com'];
  await probePeer(async (connection) => {
    await connection.identify();
    await connection.exchangeKexInit({
      ...noMac,
      encryptionClientToServer: encryption,
      encryptionServerToClient: encryption,
    });
    await connection.reply({ key });
    connection.newKeys();
  });
});

test('gives up on a silent server in time, wherever it falls silent', async () => {
  const scripts: Script[] = [
    () => {},
    async (connection) => connection.identify(),
    async (connection) => {
      await connection.identify();
      await connection.exchangeKexInit();
    },
    async (connection) => {
      await connection.identify();
      await connection.exchangeKexInit();
      await connection.reply({ key });
    },
  ];
  for (const script of scripts) {
    const startedAt = performance.now();
    await failsWith('timeout', script, { timeoutMs: 100 });
    assert.ok(performance.now() - startedAt < 5000);
  }
});

test('gives up on a server that drips, within the same time', async () => {
  let timer: NodeJS.Timeout | undefined;
  await failsWith(
    'not_ssh',
    ({ socket }) => {
      timer = setInterval(() => socket.write('wait\r\n'), 5);
      socket.on('close', () => clearInterval(timer));
    },
    { timeoutMs: 200 },
  );
});

test('tells what is no SSH server', async () => {
  const web = await failsWith('not_ssh', ({ socket }) => {
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
  });
  assert.match(web, /"HTTP\/1\.1 400 Bad Request"/);
  await failsWith('not_ssh', ({ socket }) => void socket.write('220 mail\u001b[2J\r\n'), { timeoutMs: 200 });
  await failsWith('not_ssh', ({ socket }) => void socket.write(Buffer.from([22, 3, 1, 0, 2, 1])));
  await failsWith('not_ssh', ({ socket }) => void socket.end('no line end'));
});

test('reads no endless banner', async () => {
  for (const piece of ['A'.repeat(1000), `${'A'.repeat(70)}\r\n`]) {
    let sentBytes = 0;
    await failsWith('not_ssh', ({ socket }) => {
      const more = (): void => {
        while (!socket.destroyed && socket.write(piece)) sentBytes += piece.length;
      };
      socket.on('drain', more);
      more();
    });
    assert.ok(sentBytes > 0);
  }
});

test('refuses identifications that are too long, unprintable or of SSH 1', async () => {
  for (const line of [
    `SSH-2.0-${'x'.repeat(246)}\r\n`,
    'SSH-2.0-a\u001bb\r\n',
    'SSH-1.5-old\r\n',
    'SSH-2.0-\r\n',
  ]) {
    await failsWith('not_ssh', ({ socket }) => void socket.write(line));
  }
  await failsWith('not_ssh', ({ socket }) => void socket.write(`SSH-2.0-${'x'.repeat(300)}`));
});

test('refuses packets with impossible lengths without waiting for them', async () => {
  for (const hex of [
    'ffffffff',
    '00008ab4',
    '00000000',
    '0000000d',
    '0000000c0000000000000000000000000000',
  ]) {
    await failsWith('protocol', async (connection) => {
      await connection.identify();
      connection.socket.write(Buffer.from(hex, 'hex'));
    });
  }
});

test('refuses a handshake that never ends', async () => {
  await failsWith('protocol', async (connection) => {
    await connection.identify();
    const packet = formatPacket(
      Buffer.concat([Buffer.of(2), new Writer().string(Buffer.alloc(30_000)).toBuffer()]),
    );
    for (let count = 0; count < 20; count += 1) connection.socket.write(packet);
  });
});

test('tells a server that leaves, wherever it does', async () => {
  await failsWith('closed', ({ socket }) => void socket.end());
  await failsWith('closed', async (connection) => {
    await connection.identify();
    connection.socket.end();
  });
  await failsWith('closed', async (connection) => {
    await connection.identify();
    connection.socket.end(formatPacket(formatKexInit(peerProposal)).subarray(0, 50));
  });
  await failsWith('closed', async (connection) => {
    await connection.identify();
    await connection.exchangeKexInit();
    await connection.reply({ key });
    connection.socket.end();
  });
  const busy = await failsWith('closed', ({ socket }) => void socket.end('Exceeded MaxStartups\r\n'));
  assert.match(busy, /"Exceeded MaxStartups"/);
  const reason = await failsWith('closed', async (connection) => {
    await connection.identify();
    const payload = new Writer().byte(1).uint32(12).string('too many\u0007 users').string('');
    connection.send(payload.toBuffer());
  });
  assert.match(reason, /"too many\? users"/);
});

test('tells a reset and a refused connection', async () => {
  await failsWith('reset', async (connection) => {
    await connection.identify();
    connection.socket.resetAndDestroy();
  });
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.on('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  assert.equal((await failure(probe({ host: '127.0.0.1', port, timeoutMs }))).code, 'refused');
  assert.equal((await failure(probe({ host: 'host.invalid', port, timeoutMs }))).code, 'unreachable');
});

test('stops when it is called off, before and during', async () => {
  assert.equal(
    (await failure(probe({ host: '127.0.0.1', port: 1, timeoutMs, signal: AbortSignal.abort() }))).code,
    'aborted',
  );
  const controller = new AbortController();
  await failsWith(
    'aborted',
    async (connection) => {
      await connection.identify();
      controller.abort();
    },
    { signal: controller.signal },
  );
  assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
});

test('leaves no socket, timer or listener behind, whether it succeeds or fails', async () => {
  const { signal } = new AbortController();
  const scripts: Script[] = [
    behaveWell,
    // Never closes its side.
    async (connection) => {
      connection.socket.allowHalfOpen = true;
      await behaveWell(connection);
    },
    ({ socket }) => void socket.write('\0'),
    () => {},
  ];
  // Handles close at the end of a turn of the event loop, after its immediates.
  const turn = async (): Promise<void> => {
    await setImmediate();
    await setImmediate();
  };
  for (const script of scripts) {
    const peer = await startPeer(script);
    await turn();
    const before = process.getActiveResourcesInfo().toSorted();
    await probe({ host: peer.host, port: peer.port, timeoutMs: 500, signal }).catch(() => {});
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    await peer.stop();
    await turn();
    const after = process.getActiveResourcesInfo().toSorted();
    const listener = before.indexOf('TCPServerWrap');
    assert.deepEqual(after, before.toSpliced(listener, 1));
  }
});

test('throws only ProbeError for a conversation changed anywhere, and never believes one', async () => {
  const reply = new Writer()
    .byte(31)
    .string(hostKey)
    .string(createPublicKey(generateKeyPairSync('x25519').privateKey).export({ format: 'raw-public' }))
    .string(new Writer().string('ssh-ed25519').string(Buffer.alloc(64, 3)).toBuffer())
    .toBuffer();
  const conversation = Buffer.concat([
    Buffer.from('Hello\r\nSSH-2.0-Peer\r\n'),
    formatPacket(formatKexInit(peerProposal)),
    formatPacket(reply),
    formatPacket(Buffer.of(21)),
  ]);
  const edits = fc.array(fc.tuple(fc.nat(conversation.length - 1), fc.nat(255)), { maxLength: 3 });
  let bytes = conversation;
  let chunkBytes = 1;
  const peer = await startPeer(({ socket }) => {
    socket.setNoDelay(true);
    for (let at = 0; at < bytes.length; at += chunkBytes) socket.write(bytes.subarray(at, at + chunkBytes));
    socket.end();
  });
  try {
    await fc.assert(
      fc.asyncProperty(edits, fc.integer({ min: 1, max: 500 }), async (changes, size) => {
        bytes = Buffer.from(conversation);
        chunkBytes = size;
        for (const [at, byte] of changes) bytes[at] = byte;
        await failure(probe({ host: peer.host, port: peer.port, timeoutMs }));
      }),
      { numRuns: 300 },
    );
  } finally {
    await peer.stop();
  }
});
