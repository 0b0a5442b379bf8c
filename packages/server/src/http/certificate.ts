/**
 * A certificate that this server shows, the API's or the control protocol's: read from the files that the settings name,
 * with the authority of those who have to show one, and read again when they change, so that a renewed one is in force
 * without a restart. A file that does not fit is told to the log and to the platform's notes;
 * the certificate before it stays.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { createSecureContext } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import type { Server } from 'node:https';
import type { Logger } from 'pino';

interface Pair {
  cert: string;
  key: string;
  /** Of whoever has to show a certificate, too. */
  ca?: string;
}

interface Files {
  certificate: string;
  key: string;
  authority?: string;
}

/** Also where the file system tells of no changes, such as a network's. */
const lookAgainMs = 60_000;
/** Editors and ACME clients write two files one after the other. */
const settleMs = 200;
const dayMs = 24 * 60 * 60 * 1000;
const noticeDays = 14;

export class Certificate {
  readonly #files: Files;
  /** The group of settings that names the files. */
  readonly #settings: string;
  #pair: Pair;
  #expires: Date;
  #fault: string | null = null;

  private constructor(files: Files, settings: string, pair: Pair) {
    this.#files = files;
    this.#settings = settings;
    this.#pair = pair;
    this.#expires = expiryOf(pair);
  }

  /**
   * @param settings the group of settings that names the files, such as `tls`
   * @throws Error with a sentence for people when the files do not make a certificate with its key
   */
  static open(files: Files, settings = 'tls'): Certificate {
    try {
      return new Certificate(files, settings, readPair(files));
    } catch (error) {
      const names = Object.keys(files).map((name) => `${settings}.${name}`);
      const list = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
      throw new Error(`${list} cannot be used: ${(error as Error).message}`, { cause: error });
    }
  }

  get pair(): Pair {
    return this.#pair;
  }

  /** Has the server use a changed pair for new connections. @returns a function that ends the watch */
  watch(server: Pick<Server, 'setSecureContext'>, logger: Logger): () => void {
    const look = () => this.#look(server, logger);
    let settling: NodeJS.Timeout | undefined;
    const soon = () => {
      clearTimeout(settling);
      settling = setTimeout(look, settleMs);
    };
    const folders = new Set(Object.values(this.#files).map((file) => dirname(file)));
    const watchers = [...folders].map((folder) => watch(folder, soon).on('error', () => undefined));
    const timer = setInterval(look, lookAgainMs);
    return () => {
      clearInterval(timer);
      clearTimeout(settling);
      for (const watcher of watchers) watcher.close();
    };
  }

  /** What an operator should know of it. */
  notes(now = new Date()): string[] {
    const notes: string[] = [];
    if (this.#fault !== null)
      notes.push(
        `The changed ${this.#settings}.certificate or ${this.#settings}.key cannot be used, the one before stays: ${this.#fault}`,
      );
    const days = Math.floor((this.#expires.getTime() - now.getTime()) / dayMs);
    const when = this.#expires.toISOString().slice(0, 10);
    if (days < 0) notes.push(`The certificate in ${this.#settings}.certificate expired on ${when}.`);
    else if (days < noticeDays)
      notes.push(`The certificate in ${this.#settings}.certificate expires on ${when}, in ${days} days.`);
    return notes;
  }

  #look(server: Pick<Server, 'setSecureContext'>, logger: Logger): void {
    try {
      const pair = readPair(this.#files);
      this.#fault = null;
      if (isDeepStrictEqual(pair, this.#pair)) return;
      server.setSecureContext(pair);
      this.#pair = pair;
      this.#expires = expiryOf(pair);
      logger.info({ expires: this.#expires }, 'a new certificate is in force');
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#fault)
        logger.error({ error: message }, 'the changed certificate cannot be used; the one before stays');
      this.#fault = message;
    }
  }
}

/** @throws Error when a file cannot be read, is not PEM, or the key is not that of the certificate */
function readPair({ certificate, key, authority }: Files): Pair {
  const pair = {
    cert: readFileSync(certificate, 'utf8'),
    key: readFileSync(key, 'utf8'),
    ...(authority === undefined ? {} : { ca: readFileSync(authority, 'utf8') }),
  };
  createSecureContext(pair);
  // What is no certificate would be passed over, and then everybody's were refused.
  if (pair.ca !== undefined) mustBeCertificate(pair.ca);
  return pair;
}

/** @throws Error when it is none */
function mustBeCertificate(text: string): X509Certificate {
  return new X509Certificate(text);
}

function expiryOf({ cert }: Pair): Date {
  return new X509Certificate(cert).validToDate;
}
