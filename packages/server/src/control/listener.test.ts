import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { controlPaths } from '@berth/contract';
import type { AttemptAnswer, AttemptRequest, Problem } from '@berth/contract';
import { parsePrivateKeyFile } from '@berth/ssh';
import { databases } from '../../../../test/harness/databases.ts';
import { eventually } from '../../../../test/harness/ssh.ts';
import type { Services } from '../http/app.ts';
import type { Settings } from '../settings.ts';
import { ControlClient, attemptRequest } from '../testing/control-client.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { gatewayHostKeys } from './host-keys.ts';
import { listenForGateways, openControlCertificate } from './listener.ts';
import type { ControlListener } from './listener.ts';

const [on] = databases;
assert.ok(on);
const asRoot = process.getuid?.() === 0;

const answer: AttemptAnswer = { outcome: 'refuse', reason: 'wrong_password', sentence: null };

let plane: ControlPlane;
let listener: ControlListener | null = null;
const clients: ControlClient[] = [];
before(async () => {
  plane = await ControlPlane.open(on);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await listener?.close();
  listener = null;
});
after(() => plane.close());

type Decision = (request: AttemptRequest, signal: AbortSignal) => Promise<AttemptAnswer>;
async function listen(
  settings: Partial<Settings> = {},
  decide: Decision = () => Promise.resolve(answer),
): Promise<ControlListener> {
  const { settings: all } = plane.with(settings);
  const services: Services = plane.with(settings, { controlCertificate: openControlCertificate(all) });
  listener = await listenForGateways(services, (_services, request, signal) => decide(request, signal));
  return listener;
}

function local({ socketPath }: ControlListener): ControlClient {
  const client = new ControlClient({ socketPath });
  clients.push(client);
  return client;
}

describe('the socket for the gateway on this machine', () => {
  const folder = () => join(plane.folder, 'gateway');
  afterEach(() => rmSync(folder(), { recursive: true, force: true }));

  test('is for its owner only, in a folder that is, too', async () => {
    const { socketPath } = await listen();
    assert.equal(socketPath, join(folder(), 'control.sock'));
    assert.equal(lstatSync(folder()).mode & 0o777, 0o700);
    assert.equal(lstatSync(socketPath).mode & 0o777, 0o600);
  });

  test('gets folder and mode right again where they were not', async () => {
    mkdirSync(folder(), { mode: 0o777 });
    chmodSync(folder(), 0o777);
    writeFileSync(join(folder(), 'control.sock'), 'left over');
    const opened = await listen();
    assert.equal(lstatSync(folder()).mode & 0o777, 0o700);
    assert.equal((await local(opened).call('GET', '/')).status, 404);
  });

  test('follows no link', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'berth-elsewhere-'));
    after(() => rmSync(elsewhere, { recursive: true }));
    symlinkSync(elsewhere, folder());
    await assert.rejects(listen(), /is no folder/);
    rmSync(folder());
    mkdirSync(folder());
    const victim = join(elsewhere, 'victim');
    writeFileSync(victim, 'safe', { mode: 0o640 });
    symlinkSync(victim, join(folder(), 'control.sock'));
    await listen();
    assert.equal(readFileSync(victim, 'utf8'), 'safe');
    assert.equal(lstatSync(victim).uid, process.getuid?.());
    assert.equal(lstatSync(victim).mode & 0o777, 0o640);
  });

  test(
    'belongs to the account of gatewayUser, and to nobody else',
    { skip: !asRoot && 'needs root' },
    async () => {
      const { socketPath } = await listen({ gatewayUser: 'nobody' });
      const uid = Number(execFileSync('id', ['-u', 'nobody'], { encoding: 'utf8' }));
      assert.equal(lstatSync(folder()).uid, uid);
      assert.equal(lstatSync(socketPath).uid, uid);
      /** By the path that a gateway uses, which has given up root by then. */
      const connectAs = (user: number, path: string) =>
        spawnSync(
          'perl',
          ['-MIO::Socket::UNIX', '-e', 'exit(IO::Socket::UNIX->new(Peer => $ARGV[0]) ? 0 : 1)', path],
          { cwd: folder(), uid: user, gid: user },
        ).status;
      assert.equal(connectAs(uid, 'control.sock'), 0);
      assert.equal(connectAs(1, 'control.sock'), 1);
      await assert.rejects(listen({ gatewayUser: 'no-such-account' }), /gatewayUser: there is no account/);
    },
  );
});

describe('gateways on other machines', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-control-'));
  after(() => rmSync(folder, { recursive: true }));
  const file = (name: string) => join(folder, name);
  const openssl = (...parameters: string[]) => execFileSync('openssl', parameters, { stdio: 'ignore' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const makeAuthority = (name: string) =>
    openssl(
      'req',
      '-x509',
      ...newKey,
      '-subj',
      `/CN=${name}`,
      '-days',
      '30',
      '-keyout',
      file(`${name}.key`),
      '-out',
      file(`${name}.crt`),
    );
  const makeSigned = (name: string, authority: string) => {
    openssl(
      'req',
      ...newKey,
      '-subj',
      `/CN=${name}`,
      '-keyout',
      file(`${name}.key`),
      '-out',
      file(`${name}.csr`),
    );
    writeFileSync(file('extensions'), 'subjectAltName=IP:127.0.0.1\n');
    openssl(
      'x509',
      '-req',
      '-in',
      file(`${name}.csr`),
      '-CA',
      file(`${authority}.crt`),
      '-CAkey',
      file(`${authority}.key`),
      '-days',
      '30',
      '-extfile',
      file('extensions'),
      '-out',
      file(`${name}.crt`),
    );
  };
  before(() => {
    for (const authority of ['ours', 'theirs']) makeAuthority(authority);
    for (const name of ['server', 'renewed', 'gateway']) makeSigned(name, 'ours');
    makeSigned('stranger', 'theirs');
    use('server');
  });
  const use = (name: string) => {
    copyFileSync(file(`${name}.key`), file('tls.key'));
    copyFileSync(file(`${name}.crt`), file('tls.crt'));
  };
  const settings = (): Partial<Settings> => ({
    'control.listen': { host: '127.0.0.1', port: 0 },
    'control.certificate': file('tls.crt'),
    'control.key': file('tls.key'),
    'control.authority': file('ours.crt'),
  });
  const remote = ({ address }: ControlListener, name?: string, authority = 'ours') => {
    const client = new ControlClient({
      host: '127.0.0.1',
      port: address?.port ?? 0,
      ca: readFileSync(file(`${authority}.crt`)),
      ...(name === undefined
        ? {}
        : { cert: readFileSync(file(`${name}.crt`)), key: readFileSync(file(`${name}.key`)) }),
    });
    clients.push(client);
    return client;
  };

  test('are known by a certificate of the authority, and nobody else gets in', async () => {
    const opened = await listen(settings());
    const { status } = await remote(opened, 'gateway').call('POST', controlPaths.attempts, attemptRequest());
    assert.equal(status, 200);
    for (const name of [undefined, 'stranger']) {
      await assert.rejects(
        remote(opened, name).call('POST', controlPaths.attempts, attemptRequest()),
        (error: NodeJS.ErrnoException) =>
          /CERTIFICATE|alert|ECONNRESET|EPIPE/i.test(`${error.code} ${error.message}`),
        name ?? 'without one',
      );
    }
  });

  test('see a renewed certificate without a restart, and the old authority holds', async () => {
    use('server');
    const opened = await listen(settings());
    use('renewed');
    await eventually(
      () => remote(opened, 'gateway').shown(),
      ({ subject }) => subject === 'renewed',
    );
    await assert.rejects(remote(opened, 'stranger').call('GET', '/'));
  });

  test('cannot be had with files that do not fit, which says which settings name them', async () => {
    await assert.rejects(
      listen({ ...settings(), 'control.key': file('gateway.key') }),
      /control\.certificate, control\.key and control\.authority cannot be used/,
    );
    await assert.rejects(
      listen({ ...settings(), 'control.authority': file('ours.key') }),
      /control\.authority cannot be used/,
    );
  });
});

describe('what gateways say', () => {
  test('is one of four calls', async () => {
    const client = local(await listen());
    for (const [method, path] of [
      ['GET', '/'],
      ['POST', controlPaths.state],
      ['GET', controlPaths.attempts],
      ['GET', '/api/environments'],
      ['POST', `${controlPaths.attempts}/`],
      ['GET', '/metrics'],
    ] as const) {
      const { status, body } = await client.call(method, path, method === 'POST' ? {} : undefined);
      assert.equal(status, 404, `${method} ${path}`);
      assert.equal((JSON.parse(body) as Problem).code, 'not_found');
    }
  });

  test('is checked, and no secret is said again', async () => {
    let asked = 0;
    const client = local(
      await listen({}, () => {
        asked += 1;
        return Promise.resolve(answer);
      }),
    );
    const bad: [unknown, RegExp, number?][] = [
      ['{', /not valid JSON/],
      [[], /body: is \[\] and must be an object/],
      [{ ...attemptRequest(), id: 'short' }, /id:/],
      [{ ...attemptRequest(), more: 1 }, /more: is not a field/],
      [{ ...attemptRequest(), way: 'window' }, /way:.*must be one of/],
      [{ ...attemptRequest(), user: 'a\0b' }, /user:/],
      [{ ...attemptRequest(), password: 'secret'.repeat(1000) }, /password:/],
      [{ ...attemptRequest(), client: 'x'.repeat(200_000) }, /more than 131072 bytes/, 413],
    ];
    for (const [body, said, expected = 400] of bad) {
      const { status, body: text } = await client.call('POST', controlPaths.attempts, body);
      const problem = JSON.parse(text) as Problem;
      assert.equal(status, expected, text);
      assert.match(problem.detail, said);
      assert.ok(!text.includes('secretsecret'), text);
    }
    assert.equal(asked, 0);
    assert.equal((await client.call('POST', controlPaths.records, [{ type: 'other' }])).status, 400);
    assert.equal((await client.call('POST', controlPaths.upstreams, {})).status, 400);
  });

  test('is handed on as it came, and the answer back', async () => {
    const seen: AttemptRequest[] = [];
    const client = local(
      await listen({}, (request) => {
        seen.push(request);
        return Promise.resolve(answer);
      }),
    );
    const request = attemptRequest({ user: 'Jürgen', client: 'SSH-2.0-\u001b[31m' });
    const { status, body } = await client.call('POST', controlPaths.attempts, request);
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(body), answer);
    assert.deepEqual(seen, [request]);
  });

  test('is let go of when the gateway no longer waits', async () => {
    const aborted = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    const client = local(
      await listen({}, (_request, signal) => {
        entered.resolve();
        signal.addEventListener('abort', () => aborted.resolve());
        return aborted.promise.then(() => answer);
      }),
    );
    const call = client.call('POST', controlPaths.attempts, attemptRequest());
    call.catch(() => undefined);
    await entered.promise;
    client.close();
    await aborted.promise;
    await assert.rejects(call);
  });

  test('that ends in a fault of ours is a problem document without its cause', async () => {
    const client = local(await listen({}, () => Promise.reject(new Error('the cause'))));
    const { status, body } = await client.call('POST', controlPaths.attempts, attemptRequest());
    assert.equal(status, 500);
    assert.equal((JSON.parse(body) as Problem).code, 'internal');
    assert.ok(!body.includes('the cause'));
  });
});

test('the host keys are made once, for all servers', async () => {
  const { database, keyRing } = plane.services;
  await database.deleteFrom('gateway_host_keys').execute();
  const [one, other] = await Promise.all([
    gatewayHostKeys(database, keyRing),
    gatewayHostKeys(database, keyRing),
  ]);
  assert.deepEqual(one, other);
  assert.deepEqual(await gatewayHostKeys(database, keyRing), one);
  assert.deepEqual(
    one.map((text) => (parsePrivateKeyFile(text).key as { type: string }).type),
    ['ssh-ed25519', 'ssh-rsa'],
  );
  const rows = await database.selectFrom('gateway_host_keys').select('private_key').execute();
  for (const { private_key } of rows) assert.ok(!private_key.includes('OPENSSH'), 'sealed');
});
