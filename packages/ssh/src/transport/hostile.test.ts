// A stranger at either end: packets out of their order, lengths and paddings that none may have, changed tags, lines
// of any kind, bytes cut in any way. Each ends that connection with the RFC's reason, or does no harm.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test, type TestContext } from 'node:test';
import { HandPeer, testHostKey } from '../testing/hand-peer.ts';
import { socketPair } from '../testing/socket-pair.ts';
import { Writer } from '../wire.ts';
import { message } from './messages.ts';
import type { Role } from './packet-transport.ts';
import { Transport } from './transport.ts';
import { type TransportError, disconnectReason } from './transport-error.ts';

const { protocolError, macError, keyExchangeFailed, versionNotSupported } = disconnectReason;

interface Meeting {
  readonly peer: HandPeer;
  readonly transport: Transport;
  readonly end: Promise<TransportError | undefined>;
}

/** `role` is the stranger's. */
async function meet(
  context: TestContext,
  role: Role,
  { isStrict = true, handshakeMs = 20_000, rekeyMs = 120_000 } = {},
): Promise<Meeting> {
  const sockets = await socketPair();
  context.after(sockets.close);
  const { promise: end, resolve: closed } = Promise.withResolvers<TransportError | undefined>();
  const common = { closed, handshakeMs, rekeyMs };
  const transport =
    role === 'client'
      ? Transport.server(sockets.accepted, { hostKeys: [testHostKey], ...common })
      : Transport.client(sockets.accepted, { whyNotHostKey: () => undefined, ...common });
  return { peer: new HandPeer(sockets.connected, role, { isStrict }), transport, end };
}

/** Ends with that reason, which the stranger is told too; the log line can be printed. */
async function endsWith({ peer, end }: Meeting, reason: number): Promise<TransportError> {
  const [error, told] = await Promise.all([end, peer.disconnected()]);
  assert.ok(error !== undefined, 'no error');
  assert.equal(error.reason, reason, error.message);
  assert.ok(told !== undefined, 'the stranger is not told');
  assert.equal(told.reason, reason, told.description);
  assert.match(error.message, /^[^\p{Cc}\p{Zl}\p{Zp}]*$/u);
  await peer.closed;
  return error;
}

/** Still carries packets, both ways. */
async function isUsable({ peer, transport }: Meeting): Promise<void> {
  const received = new Promise<Buffer>((resolve) => {
    transport.handle({ packet: (payload) => resolve(Buffer.from(payload)), closed: () => {} });
  });
  const payload = Buffer.concat([Buffer.from([94]), randomBytes(100)]);
  peer.send(payload);
  assert.deepEqual(await received, payload);
  transport.send(payload);
  assert.deepEqual(await peer.receiveNumber(94), payload);
}

const ignore = new Writer().byte(message.ignore).string('nothing').toBuffer();
const debug = new Writer().byte(message.debug).boolean(true).string('x').string('').toBuffer();
const unimplemented = new Writer().byte(message.unimplemented).uint32(0).toBuffer();
const extInfo = new Writer().byte(message.extInfo).uint32(0).toBuffer();
const ping = new Writer().byte(message.ping).string('').toBuffer();
const data = new Writer().byte(message.channelData).uint32(0).string('x').toBuffer();
const unknown = Buffer.from([19]);
const strangers = { ignore, debug, unimplemented, extInfo, ping, data, unknown };

type Places = Record<string, (peer: HandPeer, payload: Buffer) => Promise<void>>;

/** Where a payload can be slipped into the first key exchange. */
const places: Places = {
  'before KEXINIT': async (peer, payload) => {
    peer.send(payload);
    peer.sendKexInit();
  },
  'after KEXINIT': async (peer, payload) => {
    peer.sendKexInit();
    peer.send(payload);
  },
  'before NEWKEYS': async (peer, payload) => {
    peer.sendKexInit();
    await peer.receiveKexInit();
    if (peer.role === 'client') {
      peer.sendShare();
      await peer.receiveReply();
    } else {
      await peer.answerShare();
    }
    peer.send(payload);
  },
};

for (const role of ['client', 'server'] as const) {
  describe(`a hostile ${role}`, () => {
    describe('in the first key exchange', () => {
      for (const [place, act] of Object.entries(places)) {
        for (const [name, payload] of Object.entries(strangers)) {
          test(`ends the connection by ${name} ${place}, when it is strict`, async (context) => {
            const meeting = await meet(context, role);
            const { peer } = meeting;
            peer.identify();
            await act(peer, payload);
            await endsWith(meeting, protocolError);
            await assert.rejects(meeting.transport.established);
          });
        }
      }

      test('may send what RFC 4253 allows, when it is not strict', async (context) => {
        const meeting = await meet(context, role, { isStrict: false });
        const { peer } = meeting;
        const harmless = [ignore, debug, unimplemented, unknown];
        peer.identify();
        peer.send(...harmless);
        peer.sendKexInit();
        await peer.receiveKexInit();
        peer.send(...harmless);
        await peer.finishExchange();
        await isUsable(meeting);
        await peer.exchangeKeys();
        await isUsable(meeting);
      });

      test('ends the connection by a second KEXINIT', async (context) => {
        const meeting = await meet(context, role, { isStrict: false });
        meeting.peer.identify();
        meeting.peer.sendKexInit();
        meeting.peer.sendKexInit();
        await endsWith(meeting, protocolError);
      });

      test('ends the connection by NEWKEYS before there are keys', async (context) => {
        for (const count of [0, 1]) {
          const meeting = await meet(context, role);
          meeting.peer.identify();
          for (let sent = 0; sent < count; sent += 1) meeting.peer.sendKexInit();
          meeting.peer.send([message.newKeys]);
          await endsWith(meeting, protocolError);
        }
      });

      test("ends the connection by the other side's message", async (context) => {
        const meeting = await meet(context, role);
        meeting.peer.identify();
        meeting.peer.sendKexInit();
        const share = new Writer().string(randomBytes(32)).string('').string('').toBuffer();
        const number = role === 'client' ? message.kexEcdhReply : message.kexEcdhInit;
        meeting.peer.send(Buffer.concat([Buffer.from([number]), share]));
        await endsWith(meeting, protocolError);
      });

      test('ends the connection by a key exchange message before KEXINIT', async (context) => {
        const meeting = await meet(context, role);
        meeting.peer.identify();
        const number = role === 'client' ? message.kexEcdhInit : message.kexEcdhReply;
        meeting.peer.send(new Writer().byte(number).string(randomBytes(32)).toBuffer());
        await endsWith(meeting, protocolError);
      });

      test('ends the connection by a share that is none', async (context) => {
        for (const share of [Buffer.alloc(0), Buffer.alloc(32), randomBytes(31), randomBytes(20_000)]) {
          const meeting = await meet(context, role);
          const { peer } = meeting;
          peer.identify();
          peer.sendKexInit({ change: { keyExchange: ['curve25519-sha256'] } });
          const writer =
            role === 'client'
              ? new Writer().byte(message.kexEcdhInit).string(share)
              : new Writer()
                  .byte(message.kexEcdhReply)
                  .string(testHostKey.blob)
                  .string(share)
                  .string(randomBytes(83));
          peer.send(writer.toBuffer());
          const error = await meeting.end;
          assert.ok(error !== undefined, 'no error');
          assert.ok([protocolError, keyExchangeFailed].includes(error.reason as 2), error.message);
        }
      });

      test('ends the connection by a KEXINIT that is cut, padded or of nonsense', async (context) => {
        for (const payload of [
          Buffer.from([message.kexInit]),
          Buffer.concat([Buffer.from([message.kexInit]), randomBytes(200)]),
          Buffer.concat([Buffer.from([message.kexInit]), Buffer.alloc(16 + 40 + 5 + 1)]),
        ]) {
          const meeting = await meet(context, role);
          meeting.peer.identify();
          meeting.peer.send(payload);
          await endsWith(meeting, protocolError);
        }
      });

      test('learns which algorithms have nothing in common, even thousands of them', async (context) => {
        const meeting = await meet(context, role);
        const cipher = Array.from({ length: 5000 }, (_, index) => `c${index}`);
        meeting.peer.identify();
        meeting.peer.sendKexInit({ change: { encryptionClientToServer: cipher } });
        const error = await endsWith(meeting, keyExchangeFailed);
        assert.equal(error.code, 'no_common_algorithm');
        assert.ok(error.message.length < 250);
      });

      test('cannot have compression', async (context) => {
        const meeting = await meet(context, role);
        const zlib = ['zlib@openssh.com', 'zlib'];
        meeting.peer.identify();
        meeting.peer.sendKexInit({ change: { compressionClientToServer: zlib } });
        assert.equal((await endsWith(meeting, keyExchangeFailed)).code, 'no_common_algorithm');
      });

      test('has only so long for it', async (context) => {
        const meeting = await meet(context, role, { handshakeMs: 50 });
        meeting.peer.identify();
        const error = await meeting.end;
        assert.equal(error?.code, 'limit');
        await meeting.peer.closed;
      });
    });

    describe('in a later key exchange', () => {
      for (const [name, payload] of Object.entries({ data, extInfo, ping })) {
        test(`ends the connection by ${name} between KEXINIT and NEWKEYS`, async (context) => {
          const meeting = await meet(context, role);
          await meeting.peer.exchangeKeys();
          meeting.peer.sendKexInit();
          meeting.peer.send(payload);
          await endsWith(meeting, protocolError);
        });
      }

      test('may send data until its own KEXINIT', async (context) => {
        const meeting = await meet(context, role);
        const { peer, transport } = meeting;
        await Promise.all([peer.exchangeKeys(), transport.established]);
        transport.rekey();
        await peer.receiveKexInit();
        await isUsableOneWay(meeting);
        peer.sendKexInit();
        await peer.finishExchange();
        await isUsable(meeting);
      });

      for (const [name, begin] of [
        ['that it begins', ({ peer }: Meeting) => peer.sendKexInit()],
        ['that it answers not at all', ({ transport }: Meeting) => transport.rekey()],
      ] as const) {
        test(`has two minutes for one ${name}, whatever it sends meanwhile, and any time after it`, async (context) => {
          const meeting = await meet(context, role);
          const { peer, transport, end } = meeting;
          await Promise.all([peer.exchangeKeys(), transport.established]);
          let isOver = false;
          void end.then(() => (isOver = true));
          context.mock.timers.enable({ apis: ['setTimeout'] });
          // One that it finishes has no limit any more.
          peer.sendKexInit();
          await peer.receiveKexInit();
          await peer.finishExchange();
          await isUsable(meeting);
          context.mock.timers.tick(1_000_000);
          await isUsable(meeting);
          begin(meeting);
          await peer.receiveKexInit();
          context.mock.timers.tick(119_000);
          if (name === 'that it answers not at all') await isUsableOneWay(meeting);
          else await new Promise((resolve) => setImmediate(resolve));
          assert.equal(isOver, false);
          context.mock.timers.tick(1000);
          const error = await end;
          assert.equal(error?.code, 'limit');
          assert.equal(error?.message, 'The peer did not finish a key exchange within 120 s.');
        });
      }

      test('has as long for one as the owner says', async (context) => {
        const { peer, end } = await meet(context, role, { rekeyMs: 20 });
        await peer.exchangeKeys();
        peer.sendKexInit();
        assert.equal((await end)?.code, 'limit');
      });

      test('ends the connection by a second KEXINIT, and by NEWKEYS out of turn', async (context) => {
        for (const second of ['kexInit', 'newKeys'] as const) {
          const meeting = await meet(context, role);
          const { peer } = meeting;
          await peer.exchangeKeys();
          if (second === 'kexInit') {
            peer.sendKexInit();
            peer.sendKexInit();
          } else {
            peer.send([message.newKeys]);
          }
          await endsWith(meeting, protocolError);
        }
      });

      test('ends the connection by wanting new keys without end', async (context) => {
        const meeting = await meet(context, role);
        const { peer, end } = meeting;
        let isOver = false;
        void end.then(() => (isOver = true));
        await peer.exchangeKeys();
        for (let count = 0; count < 500 && !isOver; count += 1) {
          // It may end in any step.
          await peer.exchangeKeys().catch(() => {});
        }
        assert.equal((await end)?.code, 'limit');
      });
    });

    describe('with a guess', () => {
      const wrong = { keyExchange: ['diffie-hellman-group16-sha512', 'mlkem768x25519-sha256'] };

      if (role === 'client') {
        test('that is right has it taken', async (context) => {
          const meeting = await meet(context, role);
          const { peer } = meeting;
          peer.identify();
          await peer.receiveKexInit();
          peer.sendKexInit({ follows: true });
          await peer.finishExchange();
          await isUsable(meeting);
        });
      }

      for (const [name, guess] of [
        ['of a known exchange', [role === 'client' ? message.kexEcdhInit : message.kexEcdhReply, 0, 0, 0, 0]],
        ['of an exchange that is not known here', [34, 0, 0, 8, 0, 0, 0, 16, 0, 0, 0, 32, 0]],
      ] as const) {
        test(`${name} that is wrong has it dropped, once`, async (context) => {
          const meeting = await meet(context, role);
          const { peer } = meeting;
          peer.identify();
          peer.sendKexInit({
            follows: true,
            change: { keyExchange: [...wrong.keyExchange, strictMark(role)] },
          });
          peer.send(guess);
          await peer.receiveKexInit();
          await peer.finishExchange();
          await isUsable(meeting);

          const twice = await meet(context, role);
          twice.peer.identify();
          twice.peer.sendKexInit({
            follows: true,
            change: { keyExchange: [...wrong.keyExchange, strictMark(role)] },
          });
          twice.peer.send(guess, guess);
          await endsWith(twice, protocolError);
        });
      }
    });

    describe('with packets that are none', () => {
      /** As it lies on the wire in clear text, with a length and a padding of any value. */
      const raw = (length: number, paddingBytes: number, bytes = Math.max(0, length - 1)): Buffer =>
        new Writer().uint32(length).byte(paddingBytes).bytes(Buffer.alloc(bytes, 2)).toBuffer();

      for (const length of [0, 1, 4, 5, 7, 11, 13, 34_997, 35_004, 2 ** 20, 2 ** 31, 2 ** 32 - 1]) {
        test(`ends the connection by a length of ${length} bytes, before they have come`, async (context) => {
          const meeting = await meet(context, role, { isStrict: false });
          meeting.peer.identify();
          meeting.peer.write(raw(length, 4, 100));
          await endsWith(meeting, protocolError);
        });
      }

      for (const paddingBytes of [0, 3, 11, 12, 255]) {
        test(`ends the connection by a padding of ${paddingBytes} bytes out of 12`, async (context) => {
          const meeting = await meet(context, role, { isStrict: false });
          meeting.peer.identify();
          meeting.peer.write(raw(12, paddingBytes));
          await endsWith(meeting, protocolError);
        });
      }

      test('may send one of 35,000 bytes', async (context) => {
        const meeting = await meet(context, role, { isStrict: false });
        const { peer } = meeting;
        peer.identify();
        const payload = Buffer.alloc(35_000 - 5 - 4 - 3);
        payload[0] = message.ignore;
        peer.send(payload);
        await peer.exchangeKeysAfterIdentification();
        await isUsable(meeting);
      });

      for (const later of [0, 1, 20]) {
        test(`ends the connection by a changed packet after ${later} good ones`, async (context) => {
          const meeting = await meet(context, role);
          const { peer } = meeting;
          await peer.exchangeKeys();
          for (let count = 0; count < later; count += 1) peer.send(ignore);
          const sealed = peer.seal(data);
          sealed[sealed.length - 1] = (sealed.at(-1) ?? 0) ^ 1;
          peer.write(sealed);
          await endsWith(meeting, macError);
        });
      }

      test('ends the connection by a packet that comes twice, or is left out', async (context) => {
        for (const sent of [
          [0, 0],
          [0, 2],
          [1, 0],
        ]) {
          const meeting = await meet(context, role);
          const { peer } = meeting;
          await peer.exchangeKeys();
          const sealed = [ignore, ignore, ignore].map((payload) => peer.seal(payload));
          for (const index of sent) peer.write(sealed[index] ?? Buffer.alloc(0));
          await endsWith(meeting, macError);
        }
      });
    });

    describe('with lines', () => {
      const bad: Record<string, string> = {
        'of another version': 'SSH-1.5-Old\r\n',
        'with nothing behind the version': 'SSH-2.0-\r\n',
        'that cannot be printed': 'SSH-2.0-\u001b[2J\u0007\r\n',
        'with a zero': 'SSH-2.0-a\0b\r\n',
        'longer than 255 bytes': `SSH-2.0-${'x'.repeat(300)}\r\n`,
        'without end': `SSH-2.0-${'x'.repeat(300)}`,
        ...(role === 'client'
          ? { 'before the identification': 'Hello\r\nSSH-2.0-x\r\n', 'of HTTP': 'GET / HTTP/1.1\r\n\r\n' }
          : { 'of 20 KB before the identification': `${'x'.repeat(20_000)}\r\n` }),
      };
      for (const [name, line = ''] of Object.entries(bad)) {
        test(`${name} ends the connection`, async (context) => {
          const meeting = await meet(context, role);
          meeting.peer.write(Buffer.from(line, 'latin1'));
          const error = await meeting.end;
          assert.equal(error?.code, 'not_ssh');
          assert.equal(error?.reason, versionNotSupported);
          assert.match(error?.message ?? '', /^[^\p{Cc}]*$/u);
          await meeting.peer.closed;
        });
      }

      if (role === 'server') {
        test('before the identification is passed over', async (context) => {
          const meeting = await meet(context, role);
          meeting.peer.write('Welcome\r\n\nSSH is spoken here\u0000\r\nSSX-2.0\r\n');
          await meeting.peer.exchangeKeys();
          await isUsable(meeting);
        });
      }
    });

    describe('whose bytes are cut', () => {
      for (const bytes of [1, 7, Infinity]) {
        test(`in pieces of ${bytes} exchanges keys, twice`, async (context) => {
          const meeting = await meet(context, role);
          const { peer } = meeting;
          const step = async (act: () => void): Promise<void> => {
            peer.isGathering = true;
            act();
            peer.isGathering = false;
            await peer.flush(bytes);
          };
          for (let round = 0; round < 2; round += 1) {
            if (round === 0) {
              // The line and KEXINIT in one piece, when pieces are that long.
              await step(() => {
                peer.identify();
                peer.sendKexInit();
              });
            } else {
              await step(() => peer.sendKexInit());
            }
            await peer.receiveKexInit();
            if (role === 'client') {
              await step(() => peer.sendShare());
              await peer.receiveReply();
              await step(() => peer.sendNewKeys());
            } else {
              peer.isGathering = true;
              await peer.answerShare();
              peer.sendNewKeys();
              peer.isGathering = false;
              await peer.flush(bytes);
            }
            await peer.receiveNewKeys();
            await isUsable(meeting);
          }
        });
      }
    });

    test('is not answered without end when it does not read', async (context) => {
      const meeting = await meet(context, role);
      const { peer, end } = meeting;
      await peer.exchangeKeys();
      peer.socket.pause();
      const large = new Writer().byte(message.ping).string(Buffer.alloc(30_000)).toBuffer();
      let isOver = false;
      void end.then(() => (isOver = true));
      for (let count = 0; count < 10_000 && !isOver; count += 1) {
        peer.send(large);
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal((await end)?.code, 'limit');
    });

    test('may read its pings late', async (context) => {
      const meeting = await meet(context, role);
      const { peer } = meeting;
      await peer.exchangeKeys();
      for (let count = 0; count < 200; count += 1) {
        peer.send(new Writer().byte(message.ping).string(Buffer.alloc(3000)).toBuffer());
        await peer.receiveNumber(message.pong);
      }
      await isUsable(meeting);
    });

    test('cannot make it keep extensions without end', async (context) => {
      const meeting = await meet(context, role);
      await meeting.peer.exchangeKeys();
      const extension = new Writer()
        .byte(message.extInfo)
        .uint32(1)
        .string('name')
        .string(Buffer.alloc(9000));
      meeting.peer.send(extension.toBuffer(), extension.toBuffer());
      await endsWith(meeting, protocolError);
    });

    test('says why it leaves, in words that a terminal can bear', async (context) => {
      const meeting = await meet(context, role);
      const { peer, end } = meeting;
      await peer.exchangeKeys();
      const words = 'gone\r\n\u001b]0;owned\u0007\u202e';
      peer.send(new Writer().byte(message.disconnect).uint32(2).string(words).string('').toBuffer());
      const error = await end;
      assert.equal(error?.code, 'disconnected');
      assert.match(error?.message ?? '', /"gone\?\?\?\]0;owned\?\?"/);
    });
  });
}

async function isUsableOneWay({ peer, transport }: Meeting): Promise<void> {
  const received = new Promise<Buffer>((resolve) => {
    transport.handle({ packet: (payload) => resolve(Buffer.from(payload)), closed: () => {} });
  });
  peer.send(data);
  assert.deepEqual(await received, data);
}

function strictMark(role: Role): string {
  return role === 'client' ? 'kex-strict-c-v00@openssh.com' : 'kex-strict-s-v00@openssh.com';
}
