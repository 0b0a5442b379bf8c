/**
 * Extra certificate authorities for the environment image: a proxy that re-signs TLS on the way out is trusted by
 * this machine, and must be by pip in the build and by the tools in the environments. build.ts calls it.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';

/** Where Debian and its relatives keep what an administrator added, and Mozilla's set that everyone has. */
const addedFolder = '/usr/local/share/ca-certificates';
const standardFolder = '/usr/share/ca-certificates/mozilla';
const bundleVariables = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'PIP_CERT', 'REQUESTS_CA_BUNDLE'];

export interface Certificate {
  /** File name, made of its fingerprint. */
  name: string;
  pem: string;
}

/**
 * @param source A file or folder of PEM certificates, all of which are taken. Without it: what this machine trusts
 *   beyond the standard set.
 * @param own The build context's folder for certificates put there by hand.
 */
export function extraCertificates(source: string | undefined, own: string): Certificate[] {
  const found = new Map<string, Certificate>();
  const add = (files: string[], standard: ReadonlySet<string>) => {
    for (const pem of files.flatMap(certificatesIn)) {
      const fingerprint = fingerprintOf(pem);
      if (!standard.has(fingerprint)) {
        found.set(fingerprint, { name: `${fingerprint.slice(0, 16)}.crt`, pem: `${pem}\n` });
      }
    }
  };
  add(filesIn(own, /\.crt$/), new Set());
  if (source !== undefined) {
    const files = isFolder(source) ? filesIn(source, /\.(crt|pem|cer)$/) : [source];
    const before = found.size;
    add(files, new Set());
    if (found.size === before && files.flatMap(certificatesIn).length === 0) {
      throw new Error(`${source} holds no certificate in PEM form ("-----BEGIN CERTIFICATE-----").`);
    }
  } else {
    const bundles = bundleVariables.map((name) => process.env[name]).filter((file) => file !== undefined);
    const files = [...filesIn(addedFolder, /\.crt$/), ...bundles.filter((file) => file !== '')];
    const readable = new Set(files.flatMap(realPath));
    if (readable.size > 0) add([...readable], standardSet());
  }
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function standardSet(): Set<string> {
  const pems = [...filesIn(standardFolder, /\.crt$/).flatMap(certificatesIn), ...rootCertificates];
  return new Set(pems.map(fingerprintOf));
}

function certificatesIn(file: string): string[] {
  return (
    readFileSync(file, 'latin1').match(
      /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]+?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g,
    ) ?? []
  );
}

function fingerprintOf(pem: string): string {
  const base64 = pem.replace(/-----[A-Z0-9 ]+-----|\s/g, '');
  return createHash('sha256').update(Buffer.from(base64, 'base64')).digest('hex');
}

function filesIn(folder: string, pattern: RegExp): string[] {
  if (!isFolder(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => pattern.test(name))
    .map((name) => join(folder, name))
    .filter((file) => !isFolder(file));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** As a list: none for a file that is not there, which a variable may well name. */
function realPath(file: string): string[] {
  try {
    return [realpathSync(file)];
  } catch {
    return [];
  }
}
