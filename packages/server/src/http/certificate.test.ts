import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { routes } from '@berth/contract';
import type { Platform } from '@berth/contract';
import { pino } from 'pino';
import { databases } from '../../../../test/harness/databases.ts';
import { eventually } from '../../../../test/harness/ssh.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { makeApp } from './app.ts';
import type { App } from './app.ts';
import { Certificate } from './certificate.ts';

const folder = mkdtempSync(join(tmpdir(), 'berth-certificate-'));
after(() => rmSync(folder, { recursive: true }));

function makePair(name: string, days: number): { certificate: string; key: string } {
  const pair = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      String(days),
    ].concat([
      '-subj',
      `/CN=${name}`,
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-keyout',
      pair.key,
      '-out',
      pair.certificate,
    ]),
    { stdio: 'ignore' },
  );
  return pair;
}

describe('the certificate of the API', () => {
  const first = makePair('first', 365);
  const second = makePair('second', 5);
  const files = { certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
  const put = (pair: typeof files) => {
    copyFileSync(pair.key, files.key);
    copyFileSync(pair.certificate, files.certificate);
  };
  put(first);
  let plane: ControlPlane;
  let app: App;
  let certificate: Certificate;
  let unwatch: () => void;
  before(async () => {
    const [on] = databases;
    assert.ok(on);
    plane = await ControlPlane.open(on);
    certificate = Certificate.open(files);
    app = await makeApp(plane.with({}, { certificate }));
    await app.listen({ host: '127.0.0.1', port: 0 });
    unwatch = certificate.watch(app.server as unknown as Server, pino({ level: 'silent' }));
  });
  after(async () => {
    unwatch();
    await app.close();
    await plane.close();
  });

  /** The name in the certificate that the server shows, and the answer's status. */
  const ask = () =>
    new Promise<{ name: string; status: number | undefined }>((resolve, reject) => {
      const { port } = app.server.address() as AddressInfo;
      request(
        { host: '127.0.0.1', port, path: routes.health, rejectUnauthorized: false, agent: false },
        (answer) => {
          const { subject } = (answer.socket as TLSSocket).getPeerCertificate();
          answer.resume().once('end', () => resolve({ name: String(subject.CN), status: answer.statusCode }));
        },
      )
        .once('error', reject)
        .end();
    });

  test('is shown, and no note is made of a long one', async () => {
    assert.deepEqual(await ask(), { name: 'first', status: 200 });
    assert.deepEqual(certificate.notes(), []);
  });

  test('stays when the new files are broken or do not belong together, which is a note', async () => {
    writeFileSync(files.certificate, 'no certificate');
    await eventually(
      () => certificate.notes(),
      ([note = '']) => note.startsWith('The changed tls.certificate or tls.key cannot be used'),
    );
    copyFileSync(second.certificate, files.certificate);
    await eventually(
      () => certificate.notes(),
      ([note = '']) => /mismatch/.test(note),
    );
    assert.equal((await ask()).name, 'first');
  });

  test('is replaced without a restart when the files are, and announces its end', async () => {
    put(second);
    await eventually(ask, ({ name }) => name === 'second');
    const notes = certificate.notes();
    assert.equal(notes.length, 1);
    assert.match(
      notes[0] ?? '',
      /^The certificate in tls\.certificate expires on \d{4}-\d\d-\d\d, in 4 days\.$/,
    );
    assert.match(
      certificate.notes(new Date(Date.now() + 10 * 86_400_000))[0] ?? '',
      /^The certificate in tls\.certificate expired on /,
    );
    const { token } = await plane.account('operators', 'admin');
    const shown = await app.inject({
      url: routes.platform,
      headers: { authorization: `Bearer ${token}` },
    });
    assert.deepEqual(shown.json<Platform>().notes, notes);
  });

  test('that is none stops the start with a sentence', () => {
    const bad = { certificate: files.certificate, key: first.key };
    assert.throws(
      () => Certificate.open(bad),
      /^Error: tls\.certificate and tls\.key cannot be used: .*mismatch/,
    );
    assert.throws(
      () => Certificate.open({ certificate: join(folder, 'nowhere'), key: first.key }),
      /cannot be used: ENOENT/,
    );
  });
});
