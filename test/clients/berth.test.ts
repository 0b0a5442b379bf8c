/**
 * Every client on a whole Berth: gateway, server, and an environment in a container. Each way in (own port, shared
 * port, jump) by each credential (password, key, certificate), and behind the door a command, a shell with a terminal,
 * files by SFTP, forwards both ways, and new keys under way. With BERTH_TEST_FULL=1 each client does everything on each
 * way in; else each does everything on one of them, in turn.
 *
 * Clients that cannot jump by themselves come through a listener of the stock client's, which opens the jump for them:
 * the inner connection, which is what the gateway answers, is theirs.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, type Server, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { routes } from '@berth/contract';
import type { CreatedEnvironment, SshAccess } from '@berth/contract';
import { freePort } from '../../packages/ssh/src/testing/sshd.ts';
import { Background } from '../harness/background.ts';
import { TestBerth, skipWithoutDocker } from '../harness/berth.ts';
import { eventually, execute } from '../harness/ssh.ts';
import { type SshWay, hostKeysOf, sshWays } from '../harness/ways.ts';
import { certify, makeKeyFile } from './keys.ts';
import { clientPeers } from './peers/index.ts';
import type { ClientPeer, Connection, LoginStep, Result, Running } from './peers/peer.ts';
import { recorded } from './results.ts';
import { isWhole } from './trial.ts';

const mebibyte = 1024 * 1024;
const fileBytes = 64 * mebibyte + 7;

const folder = mkdtempSync(join(tmpdir(), 'berth-clients-'));
const key = makeKeyFile(folder, 'key', 'ssh-ed25519');
const authority = makeKeyFile(folder, 'authority', 'ssh-ed25519');
const certified = makeKeyFile(folder, 'certified', 'ssh-ed25519');
const strange = makeKeyFile(folder, 'strange', 'ssh-ed25519');

let berth: TestBerth;
let environment: CreatedEnvironment;
let access: SshAccess;
let sharedHostKeys: string[] = [];
let greeter: Server;
/** Listens where the environment's port 22 is, by a jump of the stock client's. */
let jump: { port: number; program: Background };

describe('clients on a whole Berth', { skip: skipWithoutDocker }, () => {
  before(async () => {
    berth = await TestBerth.start({ gateway: true });
    environment = await berth.createRunning({ name: 'matrix' });
    access = await berth.ssh(environment.env_id);
    await added(routes.sshKeys, { name: 'key', public_key: key.publicLine });
    await added(routes.sshAuthorities, { name: 'authority', public_key: authority.publicLine });
    certify(authority, certified, access.ssh_username);
    sharedHostKeys = hostKeysOf(access.shared_known_hosts);
    greeter = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (chunk: Buffer) => socket.end(`welcome, ${chunk.toString()}`));
    });
    await new Promise<void>((resolve) => greeter.listen(0, '127.0.0.1', resolve));
    await inside(`nohup python3 -c '${greeterInside}' >/dev/null 2>&1 &`);
    jump = await openJump();
  });

  after(async () => {
    await jump?.program.stop();
    greeter?.close();
    await berth?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const [index, client] of clientPeers.entries()) {
    for (const [turn, way] of sshWays.entries()) {
      if (!isWhole && turn !== index % sshWays.length) continue;
      describe(`${client.name} by ${way}`, () => {
        const see = (subject: string, run: () => Promise<void>) =>
          it(subject, async (context) => {
            const missing = await client.missing();
            if (missing !== false) return context.skip(missing);
            return recorded({ server: { name: `Berth by ${way}` }, client }, [subject], run);
          });
        const can = (...abilities: Parameters<ClientPeer['abilities']['has']>[0][]) =>
          abilities.every((ability) => client.abilities.has(ability));

        see('gets in by the password', async () => {
          const login: LoginStep[] = [{ method: 'password', password: access.ssh_password }];
          assert.equal(said(await client.run(to(way, login), { command: 'echo in' }), 0), 'in\n');
        });
        see('gets in by a key', async () => {
          const result = await client.run(to(way), { command: 'cat; exit 7' }, { stdin: 'first\nlast' });
          assert.equal(said(result, 7), 'first\nlast');
        });
        if (can('keyboard-interactive')) {
          see('gets in by the password, asked for by keyboard-interactive', async () => {
            const login: LoginStep[] = [{ method: 'keyboard-interactive', answer: access.ssh_password }];
            assert.equal(said(await client.run(to(way, login), { command: 'echo in' }), 0), 'in\n');
          });
        }
        if (can('certificate')) {
          see("gets in by a certificate of the customer's authority", async () => {
            const login: LoginStep[] = [
              { method: 'publickey', key: certified, certificate: `${certified.file}-cert.pub` },
            ];
            assert.equal(said(await client.run(to(way, login), { command: 'echo in' }), 0), 'in\n');
          });
        }
        see('does not get in by a wrong password, nor by a strange key', async () => {
          for (const step of [
            { method: 'password', password: 'wrong' },
            { method: 'publickey', key: strange },
          ] as const) {
            const { stdout } = await client.run(to(way, [step]), { command: 'echo in' });
            assert.equal(stdout, '');
          }
          // What was done here shall lock nobody out of the other tests.
          await berth.unlock('127.0.0.1');
        });
        if (can('pty')) {
          see('gets a terminal', async () => {
            const result = await client.run(to(way), {
              command: 'tty && echo "TERM is $TERM"',
              pty: 'vt100',
            });
            assert.match(said(result, 0), /\/dev\/pts\/\d+\r+\nTERM is vt100\r+$/m);
          });
        }
        if (can('sftp')) {
          see('puts and gets a file by SFTP, unchanged', async () => {
            const connection = to(way);
            const local = join(connection.folder, 'file');
            writeFileSync(local, randomBytes(fileBytes));
            const remote = `/gemini/code/${randomBytes(6).toString('hex')}`;
            const back = join(connection.folder, 'back');
            const result = await client.transfer(connection, [
              { kind: 'put', local, remote },
              { kind: 'get', local: back, remote },
            ]);
            said(result, 0);
            assert.equal(
              (await inside(`sha256sum ${remote}; rm ${remote}`)).split(' ')[0],
              await digest(local),
            );
            assert.equal(await digest(back), await digest(local));
          });
        }
        if (can('local-forward')) {
          see('forwards a port of its own to one inside', async () => {
            const listen = { host: '127.0.0.1', port: await freePort() };
            const place = { host: '127.0.0.1', port: insidePort };
            const forward = client.forward(to(way), [{ kind: 'local', listen, to: place }]);
            await whileIt(forward, () => untilWelcome(() => hello(listen.port)));
          });
        }
        if (can('remote-forward')) {
          see('forwards a port inside to one of its own', async () => {
            const listen = { host: '127.0.0.1', port: 20_000 + (randomBytes(2).readUInt16BE() % 10_000) };
            const place = { host: '127.0.0.1', port: (greeter.address() as AddressInfo).port };
            const forward = client.forward(to(way), [{ kind: 'remote', listen, to: place }]);
            await whileIt(forward, () => untilWelcome(() => inside(askInside(listen.port))));
          });
        }
        if (can('rekey-up')) {
          see('exchanges keys anew in the middle of an upload', async () => {
            const connection = { ...to(way), rekeyBytes: 4 * mebibyte };
            const file = join(connection.folder, 'up');
            writeFileSync(file, randomBytes(fileBytes));
            const result = await client.run(connection, { command: 'sha256sum' }, { stdin: { file } });
            assert.equal(said(result, 0).split(' ')[0], await digest(file));
          });
        }
      });
    }
  }
});

async function added(path: string, body: object): Promise<void> {
  const answer = await berth.call('POST', path, body);
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
}

/** Where a client goes, and as whom. */
function to(way: SshWay, login: LoginStep[] = [{ method: 'publickey', key }]): Connection {
  const hostKeys = hostKeysOf(access.known_hosts);
  const own = { port: access.ssh_port ?? 0, user: access.ssh_username, hostKeys };
  const place = {
    'own port': own,
    'shared port': { port: berth.sharedPort, user: environment.env_id, hostKeys: sharedHostKeys },
    jump: { ...own, port: jump.port },
  }[way];
  return { host: '127.0.0.1', login, folder: mkdtempSync(join(folder, 'c-')), ...place };
}

/** The account "admin" opens it: the key is its own. */
async function openJump(): Promise<{ port: number; program: Background }> {
  const port = await freePort();
  const known = join(folder, 'known_hosts');
  writeFileSync(known, `${access.shared_known_hosts ?? ''}\n`);
  const program = new Background('ssh', [
    ...['-F', 'none', '-N', '-i', key.file, '-p', String(berth.sharedPort)],
    ...['-o', `UserKnownHostsFile=${known}`, '-o', 'StrictHostKeyChecking=yes', '-o', 'IdentitiesOnly=yes'],
    ...['-o', 'ExitOnForwardFailure=yes', '-L', `127.0.0.1:${port}:${environment.env_id}:22`],
    'admin@127.0.0.1',
  ]);
  await eventually(() => answers(port), Boolean);
  return { port, program };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => (socket.destroy(), resolve(true)));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}

const insidePort = 7777;
const greeterInside = [
  'import socketserver',
  'class G(socketserver.StreamRequestHandler):',
  '  def handle(self): self.wfile.write(b"welcome, " + self.rfile.readline())',
  'socketserver.ThreadingTCPServer.allow_reuse_address = True',
  `socketserver.ThreadingTCPServer(("127.0.0.1", ${insidePort}), G).serve_forever()`,
].join('\n');

function askInside(port: number): string {
  return `exec 3<>/dev/tcp/127.0.0.1/${port} && echo hello >&3 && cat <&3`;
}

/** What a command prints inside, run beside SSH. */
async function inside(command: string): Promise<string> {
  const { stdout } = await execute('docker', ['exec', environment.env_id, 'bash', '-c', command]);
  return stdout;
}

function hello(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write('hello\n');
  return text(socket);
}

async function untilWelcome(ask: () => Promise<string>): Promise<void> {
  await eventually(
    () => ask().catch(() => ''),
    (answer) => answer === 'welcome, hello\n',
    20_000,
  );
}

async function whileIt(forward: Running, run: () => Promise<void>): Promise<void> {
  const ended = forward.ended.then((result) => assert.fail(`the client ended: ${inWords(result)}`));
  try {
    await Promise.race([ended, run()]);
  } finally {
    ended.catch(() => undefined);
    await forward.stop();
  }
}

/** @returns what was printed; fails with all of it when the exit status is another */
function said(result: Result, code: number): string {
  assert.equal(result.code, code, inWords(result));
  return result.stdout;
}

function inWords({ code, stdout, stderr }: Result): string {
  return `exit status ${code}\n${stdout.slice(-1000)}\n${stderr.slice(-3000)}\n${berth.log.slice(-3000)}`;
}

async function digest(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}
