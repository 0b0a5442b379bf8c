// The keys of the bench and the files that hold them: one pair for each of the four who sign.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { makeKey } from '../../packages/ssh/src/testing/ssh-keygen.ts';

/** Paths of files; the public half of each private key file has `.pub` at its end. */
export class Keys {
  readonly folder = mkdtempSync(join(tmpdir(), 'ssh-relay-bench-'));
  readonly user = userInfo().username;
  readonly client = this.#make('client');
  readonly relayHost = this.#make('relay_host');
  /** With which a relay logs in upstream. */
  readonly upstreamLogin = this.#make('upstream_login');
  readonly upstreamHost = this.#make('upstream_host');
  /** Who may log in upstream: the relays, and the client where it comes without one. */
  readonly upstreamAuthorized = join(this.folder, 'upstream_authorized');

  /** Whose certificates get in too, by one of these names; sshd_config(5), TrustedUserCAKeys and so on. None at first. */
  readonly upstreamAuthorities = join(this.folder, 'upstream_authorities');
  readonly upstreamPrincipals = join(this.folder, 'upstream_principals');

  constructor() {
    const lines = [this.client, this.upstreamLogin].map((file) => readFileSync(`${file}.pub`, 'utf8'));
    writeFileSync(this.upstreamAuthorized, lines.join(''));
    for (const file of [this.upstreamAuthorities, this.upstreamPrincipals]) writeFileSync(file, '');
  }

  #make(name: string): string {
    const file = join(this.folder, name);
    const { publicLine, privateKey } = makeKey('-t', 'ed25519');
    writeFileSync(file, privateKey, { mode: 0o600 });
    writeFileSync(`${file}.pub`, publicLine);
    return file;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
