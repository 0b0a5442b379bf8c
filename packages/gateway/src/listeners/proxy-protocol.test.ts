/** PROXY headers as balancers send them, cut anywhere, and what strangers make of them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { missingSshd } from '../../../ssh/src/testing/sshd.ts';
import { Stage, demo } from '../testing/stage.ts';
import { until } from '../testing/until.ts';
import { ProxyHeaderError, parseProxyHeader } from './proxy-protocol.ts';

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

function binary(versionAndCommand: number, family: number, added: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(added.length);
  return Buffer.concat([signature, Buffer.from([versionAndCommand, family]), length, added]);
}

const ipv4 = Buffer.from('c0000201c00002021f901f91', 'hex');
const ipv6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from('20010db8000000000000000000000002', 'hex'),
  Buffer.from('1f901f91', 'hex'),
]);
const mapped = Buffer.concat([
  Buffer.from('00000000000000000000ffffc0000201', 'hex'),
  Buffer.from('00000000000000000000ffffc0000202', 'hex'),
  Buffer.from('1f901f91', 'hex'),
]);
const addition = Buffer.from('0400021234', 'hex');

const good: [string, Buffer, { source: string; port: number } | null][] = [
  ['TCP4', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 8080 22\r\n'), { source: '192.0.2.1', port: 8080 }],
  ['TCP6', Buffer.from('PROXY TCP6 2001:db8::1 ::1 65535 0\r\n'), { source: '2001:db8::1', port: 65535 }],
  ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), null],
  ['UNKNOWN with more', Buffer.from('PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n'), null],
  ['v2 IPv4', binary(0x21, 0x11, ipv4), { source: '192.0.2.1', port: 8080 }],
  ['v2 IPv6', binary(0x21, 0x21, Buffer.concat([ipv6, addition])), { source: '2001:db8::1', port: 8080 }],
  ['v2 IPv4-mapped', binary(0x21, 0x21, mapped), { source: '192.0.2.1', port: 8080 }],
  ['v2 LOCAL', binary(0x20, 0x00, addition), null],
  ['v2 unspecified', binary(0x21, 0x00, Buffer.alloc(0)), null],
  ['v2 Unix socket', binary(0x21, 0x31, Buffer.alloc(216)), null],
];

const bad: [string, Buffer][] = [
  ['an SSH banner', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')],
  ['other words', Buffer.from('PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n')],
  ['an address of another family', Buffer.from('PROXY TCP4 ::1 ::1 1 2\r\n')],
  ['a name', Buffer.from('PROXY TCP4 example.com 192.0.2.2 1 2\r\n')],
  ['a port beyond', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n')],
  ['a port with a zero in front', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n')],
  ['too few words', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n')],
  ['too many', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n')],
  ['two spaces', Buffer.from('PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n')],
  ['no end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(200)}`)],
  ['another version', binary(0x11, 0x11, ipv4)],
  ['another command', binary(0x22, 0x11, ipv4)],
  ['datagrams', binary(0x21, 0x12, ipv4)],
  ['too little for its family', binary(0x21, 0x21, ipv4)],
  ['too much', binary(0x21, 0x11, Buffer.alloc(5000))],
];

describe('a header', () => {
  for (const [name, header, origin] of good) {
    test(`${name} is read, also byte by byte, and what follows is left`, () => {
      for (let length = 0; length < header.length; length += 1) {
        assert.equal(parseProxyHeader(header.subarray(0, length)), undefined, `${length} bytes`);
      }
      const followed = Buffer.concat([header, Buffer.from('SSH-2.0-x\r\n')]);
      assert.deepEqual(parseProxyHeader(followed), { bytes: header.length, origin });
    });
  }

  for (const [name, bytes] of bad) {
    test(`${name} is none`, () => {
      assert.throws(() => parseProxyHeader(bytes), ProxyHeaderError);
    });
  }

  test('no input does anything but be read, need more or be refused, in 4112 bytes', () => {
    const start = fc.constantFrom(
      Buffer.alloc(0),
      signature,
      Buffer.from('PROXY '),
      Buffer.from('PROXY TCP4 '),
    );
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 6000 }), (begin, rest) => {
        const bytes = Buffer.concat([begin, rest]);
        try {
          const header = parseProxyHeader(bytes);
          if (header === undefined) assert.ok(bytes.length < 4112);
          else assert.ok(header.bytes <= bytes.length);
        } catch (error) {
          assert.ok(error instanceof ProxyHeaderError);
        }
      }),
    );
  });
});

describe('balancers', { skip: missingSshd }, () => {
  const open = (port: number): { socket: Socket; said: () => string; closed: Promise<unknown> } => {
    const socket = connect(port, '127.0.0.1');
    let said = '';
    socket.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')));
    socket.on('error', () => {});
    return { socket, said: () => said, closed: once(socket, 'close') };
  };

  test('bring people by their own addresses, which all controls see', async () => {
    await using stage = await Stage.start({ proxyProtocol: ['127.0.0.0/8'] });
    stage.tell({ type: 'ban', source: '192.0.2.9', until: new Date(Date.now() + 60_000).toISOString() });
    const banned = open(stage.ownPort);
    banned.socket.write('PROXY TCP4 192.0.2.9 192.0.2.2 8080 22\r\nSSH-2.0-x\r\n');
    await banned.closed;
    assert.equal(banned.said(), '');
    const shutOut = {
      type: 'attempt',
      reason: 'banned',
      source: '192.0.2.9',
      source_port: 8080,
      target: demo,
    } as const;
    await until('the record', () => stage.attempts().length > 0);
    assert.partialDeepStrictEqual(stage.attempts(), [shutOut]);
    const other = open(stage.ownPort);
    for (const byte of Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 8080 22\r\n')) {
      other.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until('the greeting', () => other.said().startsWith('SSH-2.0-Berth'));
    other.socket.destroy();
    const local = open(stage.sharedPort);
    local.socket.write(binary(0x20, 0, Buffer.alloc(0)));
    await until('the greeting', () => local.said().startsWith('SSH-2.0-Berth'));
    local.socket.destroy();
    const without = open(stage.sharedPort);
    without.socket.write('SSH-2.0-OpenSSH_9.2\r\n');
    await without.closed;
    assert.equal(without.said(), '', 'who should send a header and does not is not served');
    const silent = open(stage.sharedPort);
    await silent.closed;
    assert.equal(silent.said(), '', 'nor who says nothing');
    assert.equal(stage.worker.metrics()['berth_gateway_dropped_total{reason="proxy_header"}'], 2);
  });

  test('a stranger with a header is just no SSH client', async () => {
    await using stage = await Stage.start({ proxyProtocol: ['192.0.2.0/24'] });
    const { socket, closed } = open(stage.ownPort);
    socket.write('PROXY TCP4 192.0.2.1 192.0.2.2 8080 22\r\nSSH-2.0-x\r\n');
    await closed;
    const { stdout } = await stage.ssh({
      way: 'own-port',
      identities: [stage.personKey.file],
      command: 'echo "$BERTH_CLIENT"',
    });
    assert.match(stdout, /^127\.0\.0\.1 /);
  });
});
