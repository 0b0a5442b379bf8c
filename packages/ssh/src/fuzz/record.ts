/**
 * node packages/ssh/src/fuzz/record.ts: records the corpus anew, from OpenSSH's ssh, sftp and sshd on this machine (as
 * root), with a gateway of ours between them that writes down what each side sends.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { formatPrivateKey, generateHostKey } from '../keys/private-key.ts';
import { generateSigningKey } from '../keys/signing-key.ts';
import { gatewayPassword, startGateway } from '../testing/gateway.ts';
import { testHostKey } from '../testing/hand-peer.ts';
import { startSshd } from '../testing/sshd.ts';
import { type Entry, writeSession } from './session-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'corpus-'));
const user = userInfo().username;
const key = await generateSigningKey('ssh-ed25519');
const files = {
  key: join(folder, 'key'),
  authorized: join(folder, 'authorized'),
  batch: join(folder, 'batch'),
};
writeFileSync(files.key, formatPrivateKey(key.keyObject), { mode: 0o600 });
writeFileSync(files.authorized, `ssh-ed25519 ${key.publicKey.blob.toString('base64')}\n`);
writeFileSync(join(folder, 'askpass'), `#!/bin/sh\necho '${gatewayPassword}'\n`);
chmodSync(join(folder, 'askpass'), 0o700);
writeFileSync(join(folder, 'small'), 'a small file\n'.repeat(20));
writeFileSync(
  files.batch,
  `mkdir ${folder}/d\nput ${folder}/small ${folder}/d/there\nls -l ${folder}/d\nget ${folder}/d/there ${folder}/back\n` +
    `rename ${folder}/d/there ${folder}/d/new\nchmod 600 ${folder}/d/new\nln -s new ${folder}/d/link\ndf ${folder}\n` +
    `rm ${folder}/d/*\nrmdir ${folder}/d\n`,
);
const sshd = await startSshd(generateHostKey().privateKeyOpenSsh, [
  `AuthorizedKeysFile ${files.authorized}`,
  'StrictModes no',
  'PermitRootLogin yes',
  'Subsystem sftp internal-sftp',
  'AllowAgentForwarding yes',
  'AcceptEnv *',
]);

const withKey = ['-i', files.key, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes'];
const withPassword = ['-o', 'PubkeyAuthentication=no', '-o', 'NumberOfPasswordPrompts=1'];
const agent = execFileSync('ssh-agent', ['-s'], { encoding: 'utf8' });
const agentSocket = /SSH_AUTH_SOCK=([^;]+)/.exec(agent)?.[1] ?? '';
const agentPid = Number(/SSH_AGENT_PID=(\d+)/.exec(agent)?.[1]);

/** Arguments of ssh behind the address, or sftp's. */
const sessions: Record<string, { program?: string; before: string[]; after: string[] }> = {
  exec: { before: withKey, after: ['echo out; echo err >&2; exit 3'] },
  signal: { before: withKey, after: ['kill -TERM $$'] },
  terminal: { before: [...withKey, '-tt', '-o', 'SetEnv=LC_TEST=x'], after: ['stty -a; tty'] },
  password: { before: [...withPassword, '-o', 'PreferredAuthentications=password'], after: ['true'] },
  'keyboard-interactive': {
    before: [...withPassword, '-o', 'PreferredAuthentications=keyboard-interactive'],
    after: ['echo typed once'],
  },
  agent: { before: [...withKey, '-A'], after: ['ssh-add -l'] },
  sftp: { program: 'sftp', before: [...withKey, '-b', files.batch], after: [] },
  'forward-there': { before: [...withKey, '-W', `127.0.0.1:${sshd.port}`], after: [] },
  'forward-back': {
    before: [...withKey, '-R', `0:127.0.0.1:${sshd.port}`, '-o', 'ExitOnForwardFailure=yes'],
    after: ['sleep 0.2'],
  },
};

try {
  for (const [name, { program = 'ssh', before, after }] of Object.entries(sessions)) {
    const entries: Entry[] = [];
    const gateway = await startGateway({
      hostKeys: [testHostKey],
      upstream: { ...sshd, user, credentials: [{ method: 'publickey', key }], hostKey: () => undefined },
      tap: (from, payload) => entries.push({ from, payload: Buffer.from(payload.subarray(0, 4096)) }),
    });
    const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR'];
    const port = [program === 'sftp' ? '-P' : '-p', String(gateway.port)];
    const address = `${user}@127.0.0.1`;
    const words = [
      '-F',
      'none',
      ...options.flatMap((each) => ['-o', each]),
      ...port,
      ...before,
      address,
      ...after,
    ];
    const child = spawn(program, words, {
      stdio: ['pipe', 'ignore', 'inherit'],
      env: {
        ...process.env,
        SSH_AUTH_SOCK: agentSocket,
        SSH_ASKPASS: join(folder, 'askpass'),
        SSH_ASKPASS_REQUIRE: 'force',
        TERM: 'xterm',
      },
    });
    child.stdin.end('typed\n');
    const [code] = (await once(child, 'exit')) as [number];
    await gateway.stop();
    const file = writeSession({ name, entries });
    process.stdout.write(`${file}: ${entries.length} payloads, ${program} ended with ${code}\n`);
  }
} finally {
  process.kill(agentPid);
  await sshd.stop();
  rmSync(folder, { recursive: true });
}
