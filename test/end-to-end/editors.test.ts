/**
 * What VS Code Remote-SSH and JetBrains Gateway do with the stock client, on each way in. The flow is theirs, as their
 * logs show it; what they start inside is a small program in the place of their server, since theirs come from the
 * internet: it listens on a loopback port and on a Unix socket, and resumes a conversation that was cut.
 */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { routes } from '@berth/contract';
import type { CreatedEnvironment } from '@berth/contract';
import { freePort } from '../../packages/ssh/src/testing/sshd.ts';
import { Background } from '../harness/background.ts';
import { TestBerth, skipWithoutDocker } from '../harness/berth.ts';
import { eventually, execute, makeKey } from '../harness/ssh.ts';
import { Door, sshWays } from '../harness/ways.ts';

/** Counts the lines of each conversation by its token, also over connections that are cut. */
const editorServer = String.raw`
import os, socketserver, sys, threading
counts = {}
class Conversation(socketserver.StreamRequestHandler):
    def handle(self):
        token = self.rfile.readline().strip()
        self.wfile.write(b"resumed %d\n" % counts.get(token, 0))
        for line in self.rfile:
            counts[token] = counts.get(token, 0) + 1
            self.wfile.write(b"%d %s" % (counts[token], line))
class Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
class Local(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
path = sys.argv[1]
if os.path.exists(path): os.unlink(path)
tcp, local = Tcp(("127.0.0.1", 0), Conversation), Local(path, Conversation)
threading.Thread(target=local.serve_forever, daemon=True).start()
print("listening on %d" % tcp.server_address[1], flush=True)
tcp.serve_forever()
`;

/** What the editor pipes to the shell: installs its server where it lacks, starts it where none runs, says where it is. */
function installScript(mark: string, name: string): string {
  return [
    `echo "${mark}: running"`,
    `folder=$HOME/.editor-server/${name}; mkdir -p "$folder"; cd "$folder"`,
    `if [ ! -f server.py ]; then cat > server.py <<'END'${editorServer}\nEND\nfi`,
    'if [ -f pid ] && kill -0 "$(cat pid)" 2>/dev/null; then echo "Found running server..."; else',
    '  nohup setsid python3 server.py "$folder/socket" > log 2>&1 < /dev/null & echo $! > pid',
    'fi',
    'until grep -q "listening on" log; do sleep 0.05; done',
    `echo "${mark}: start"`,
    `echo "listeningOn==127.0.0.1:$(sed -n 's/^listening on //p' log)=="`,
    `echo "${mark}: end"`,
    // The shell stays until the editor goes.
    'read -r _',
    '',
  ].join('\n');
}

describe('editors by each way in', { skip: skipWithoutDocker }, () => {
  let berth: TestBerth;
  let environment: CreatedEnvironment;
  let folder: string;
  let key: string;
  const background: Background[] = [];
  const doors: Door[] = [];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-editors-'));
    key = await makeKey(folder);
    berth = await TestBerth.start({ gateway: true });
    environment = await berth.createRunning({ name: 'editors' });
    const answer = await berth.call('POST', routes.sshKeys, {
      name: 'of the test',
      public_key: readFileSync(`${key}.pub`, 'utf8').trim(),
    });
    assert.equal(answer.status, 201);
  });

  after(async () => {
    await Promise.all(background.map((each) => each.stop()));
    for (const each of doors) each.remove();
    await berth?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const way of sshWays) {
    describe(way, () => {
      let door: Door;
      before(async () => {
        door = new Door(way, {
          access: await berth.ssh(environment.env_id),
          sharedPort: berth.sharedPort,
          key,
          jumper: { key, account: 'admin' },
        });
        doors.push(door);
      });

      function start(...flags: string[]): Background {
        const started = new Background('ssh', ['-v', '-F', door.config, ...flags]);
        background.push(started);
        return started;
      }

      /** As Remote-SSH with its local server: one connection with a SOCKS listener, its script into a shell. */
      async function openWindow(): Promise<{ ssh: Background; socks: number; port: number; output: string }> {
        const socks = await freePort();
        const mark = randomBytes(6).toString('hex');
        const ssh = start('-T', '-D', String(socks), '-o', 'ConnectTimeout=15', 'target', 'bash');
        ssh.write(installScript(mark, way.replace(' ', '-')));
        const output = await eventually(
          () => ssh.stdout,
          (said) => said.includes(`${mark}: end`) || ssh.ended,
          30_000,
        );
        const port = Number(/listeningOn==127\.0\.0\.1:(\d+)==/.exec(output)?.[1]);
        assert.ok(port > 0, `${output}\n${ssh.stderr}`);
        return { ssh, socks, port, output };
      }

      it('serves VS Code: a script into a shell, its server by SOCKS, and a conversation that survives a cut', async () => {
        const first = await openWindow();
        const token = randomUUID();
        const conversations = await Promise.all(
          [token, randomUUID(), randomUUID(), randomUUID()].map(async (each) =>
            Conversation.open(await throughSocks(first.socks, first.port), each),
          ),
        );
        for (const each of conversations) {
          assert.equal(await each.next(), 'resumed 0');
          assert.equal(await each.say('hello'), '1 hello');
        }
        first.ssh.kill('SIGKILL');
        await Promise.all(conversations.map((each) => each.ended));

        const second = await openWindow();
        assert.match(second.output, /Found running server/);
        assert.equal(second.port, first.port);
        const resumed = await Conversation.open(await throughSocks(second.socks, second.port), token);
        assert.equal(await resumed.next(), 'resumed 1');
        assert.equal(await resumed.say('again'), '2 again');
        resumed.end();
        await second.ssh.stop();
      });

      it('serves VS Code when its server listens on a Unix socket, two windows at once', async () => {
        const windows = await Promise.all([openWindow(), openWindow()]);
        const path = `/home/${environment.ssh_username}/.editor-server/${way.replace(' ', '-')}/socket`;
        for (const { ssh } of windows) {
          const listen = await freePort();
          const forward = start(
            '-N',
            '-o',
            'ExitOnForwardFailure=yes',
            '-L',
            `127.0.0.1:${listen}:${path}`,
            'target',
          );
          const socket = await eventually(
            () => opened(listen),
            (each) => each !== null,
            20_000,
          );
          const conversation = await Conversation.open(socket as Socket, randomUUID());
          assert.equal(await conversation.next(), 'resumed 0');
          assert.equal(await conversation.say('by a socket'), '1 by a socket');
          conversation.end();
          await forward.stop();
          await ssh.stop();
        }
      });

      it('serves JetBrains Gateway: looks around, uploads its worker, starts it, and reaches it by a forward', async () => {
        const looked = await execute('ssh', [
          '-F',
          door.config,
          'target',
          'uname -sm; echo $HOME; command -v python3',
        ]);
        assert.equal(looked.code, 0, looked.stderr);
        assert.match(looked.stdout, /^Linux /);
        const worker = join(folder, 'worker');
        writeFileSync(
          worker,
          Buffer.concat([Buffer.from(editorServer), Buffer.from(`\n# ${'x'.repeat(20 * 1024 * 1024)}\n`)]),
        );
        const uploaded = await execute('sftp', ['-F', door.config, '-b', '-', 'target'], {
          input: `-mkdir .cache\n-mkdir .cache/JetBrains\nput ${worker} .cache/JetBrains/worker\nchmod 755 .cache/JetBrains/worker\n`,
        });
        assert.equal(uploaded.code, 0, uploaded.stderr);
        const backend = start(
          '-T',
          'target',
          'exec python3 ~/.cache/JetBrains/worker ~/.cache/JetBrains/socket',
        );
        const said = await eventually(
          () => backend.stdout,
          (output) => /listening on \d+/.test(output) || backend.ended,
          20_000,
        );
        const port = /listening on (\d+)/.exec(said)?.[1];
        assert.ok(port, backend.stderr);
        const listen = await freePort();
        const forward = start('-N', '-L', `127.0.0.1:${listen}:127.0.0.1:${port}`, 'target');
        const sockets = [];
        for (let count = 0; count < 3; count += 1) {
          const socket = await eventually(
            () => opened(listen),
            (each) => each !== null,
            20_000,
          );
          sockets.push(await Conversation.open(socket as Socket, randomUUID()));
        }
        for (const each of sockets) {
          assert.equal(await each.next(), 'resumed 0');
          assert.equal(await each.say('joined'), '1 joined');
          each.end();
        }
        await forward.stop();
        await backend.stop();
      });
    });
  }
});

/** Lines each way, from the editor's side. */
class Conversation {
  readonly ended: Promise<void>;
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.ended = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => undefined);
    this.#lines = linesOf(socket);
  }

  static async open(socket: Socket, token: string): Promise<Conversation> {
    socket.write(`${token}\n`);
    return new Conversation(socket);
  }

  async next(): Promise<string | undefined> {
    return ((await this.#lines.next()) as { value?: string }).value;
  }

  say(line: string): Promise<string | undefined> {
    this.#socket.write(`${line}\n`);
    return this.next();
  }

  end(): void {
    this.#socket.destroy();
  }
}

async function* linesOf(socket: Socket): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of socket.setEncoding('utf8')) {
    const lines = `${rest}${chunk as string}`.split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

/** null: nobody listens yet. */
function opened(port: number): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.once('error', () => resolve(null));
  });
}

/** SOCKS 5 without authentication (RFC 1928), to a port of 127.0.0.1. */
async function throughSocks(socks: number, port: number): Promise<Socket> {
  const socket = await eventually(
    () => opened(socks),
    (each) => each !== null,
    20_000,
  );
  if (socket === null) throw new Error('nobody listens');
  const read = (bytes: number): Promise<Buffer> =>
    eventually(
      () => socket.read(bytes) as Buffer | null,
      (chunk) => chunk !== null,
    ) as Promise<Buffer>;
  socket.pause();
  socket.write(Buffer.from([5, 1, 0]));
  await read(2);
  socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255]));
  assert.equal((await read(10))[1], 0);
  return socket;
}
