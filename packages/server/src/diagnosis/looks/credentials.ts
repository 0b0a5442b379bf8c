/** Whether what the person has opens the environment: its password, a key, a certificate. */
import { KeyError, fingerprint, parseCertificate, parsePublicKey } from '@berth/ssh';
import type { Certificate, KeyErrorCode } from '@berth/ssh';
import { certificateRules } from '../../attempts/proof.ts';
import type { Inside } from '../../runtime/runtime.ts';
import { found, minute, quoted } from '../found.ts';
import type { Found } from '../found.ts';
import type { Scene } from '../scene.ts';
import { otherCustomersWithKey } from '../table.ts';

const shownKeys = 5;
/** Whoever else can write to a file, by its permission bits. */
const othersWrite = 0o022;
const userId = 1000;
/** In the place of a hash: no password is right (shadow(5)). */
const noPassword = '*';

export async function password(scene: Scene): Promise<Found> {
  const { subject } = scene;
  const credentials = await scene.credentials();
  const isOff = !subject.password_login || !subject.customer_password_login;
  const asSwitched = () =>
    found(subject.customer_password_login ? 'password_off' : 'password_off_for_customer');
  const changed_at = minute(credentials.password_changed_at);
  if (scene.exposure === 'gateway') return isOff ? asSwitched() : found('password_right', { changed_at });
  const inside = await scene.inside();
  if (inside === null) return found('nothing_runs');
  const { account } = inside;
  if (account === null) return found('password_not_known');
  if (account.hash !== (isOff ? noPassword : credentials.password_hash)) return found('password_out_of_step');
  if (isOff) return asSwitched();
  return account.expired === null
    ? found('password_in_step', { changed_at })
    : found('password_expired_inside', { which: account.expired, user: subject.username });
}

export async function key(scene: Scene): Promise<Found> {
  const { question } = scene;
  const openFile = await fileOpenToOthers(scene);
  if (question.certificate !== null) return certificateFound(scene, question.certificate);
  if (openFile !== null) return openFile;
  return question.fingerprint === null ? whatOpens(scene) : keyFound(scene, question.fingerprint);
}

/** Keys of its customer for people: `laptop of mei (SHA256:...)`, the first few. */
export function keysInWords({ services: { directory }, subject }: Scene): string {
  const keys = [...(directory.customer(subject.customer_id)?.keys ?? [])];
  if (keys.length === 0) return '(none)';
  const shown = keys
    .slice(0, shownKeys)
    .map(([print, { name, account }]) => `${quoted(name, 64)} of ${account} (${print})`);
  return `${shown.join(', ')}${keys.length > shownKeys ? ', ...' : ''}`;
}

function whatOpens(scene: Scene): Found {
  const { services, subject } = scene;
  const customer = services.directory.customer(subject.customer_id);
  const count = customer?.keys.size ?? 0;
  if (count > 0) return found('keys_known', { count, keys: keysInWords(scene) });
  const authorities = [...(customer?.authorities.values() ?? [])].map(({ name }) => quoted(name, 64));
  if (authorities.length > 0 && scene.exposure === 'gateway')
    return found('authorities_known', { authorities: authorities.slice(0, shownKeys).join(', ') });
  const takesPasswords = subject.password_login && subject.customer_password_login;
  return found(takesPasswords ? 'only_passwords' : 'no_way_to_prove');
}

async function keyFound(scene: Scene, print: string): Promise<Found> {
  const { services, subject, question } = scene;
  const customer = services.directory.customer(subject.customer_id);
  const known = customer?.keys.get(print);
  if (known === undefined) {
    const keys = keysInWords(scene);
    const others = question.forAdministrator
      ? await otherCustomersWithKey(services.database, print, subject.customer_id)
      : [];
    return others[0] === undefined
      ? found('key_unknown', { fingerprint: print, keys })
      : found('key_of_other_customer', { fingerprint: print, customer: others[0], keys });
  }
  const { blob } = parsePublicKey(known.publicKey);
  if (customer?.revocations?.isRevoked(blob)) return found('key_revoked', { fingerprint: print });
  if (scene.exposure === 'direct' && !(await isInside(scene, print)))
    return found('key_not_inside', { fingerprint: print });
  return found('key_opens', { fingerprint: print, key: quoted(known.name, 64), account: known.account });
}

async function isInside(scene: Scene, print: string): Promise<boolean> {
  const lines = (await scene.inside())?.authorizedKeys ?? null;
  // While it does not run, what Berth knows is what it gets.
  if (lines === null) return true;
  return lines.some((line) => {
    try {
      return fingerprint(parsePublicKey(line).blob) === print;
    } catch {
      return false;
    }
  });
}

/** sshd reads a file of keys only where nobody else can write to it, nor to a folder on the way (sshd_config(5), StrictModes). */
async function fileOpenToOthers(scene: Scene): Promise<Found | null> {
  const files: Inside['files'] = (await scene.inside().catch(() => null))?.files ?? [];
  const owners = [0, userId];
  const open = files.find(
    ({ path, mode, owner }) =>
      !(scene.exposure === 'gateway' && path.endsWith('/authorized_keys')) &&
      ((mode & othersWrite) !== 0 || !owners.includes(owner)),
  );
  if (open === undefined) return null;
  return found('key_files_open_to_others', {
    file: open.path,
    mode: open.mode.toString(8).padStart(4, '0'),
    owner: open.owner,
  });
}

const ofCertificate: Partial<Record<KeyErrorCode, 'certificate_expired' | 'certificate_not_yet_valid'>> = {
  certificate_expired: 'certificate_expired',
  certificate_not_yet_valid: 'certificate_not_yet_valid',
};

function certificateFound(scene: Scene, given: string): Found {
  const { services, subject, question } = scene;
  const { directory } = services;
  const customer = directory.customer(subject.customer_id);
  let certificate: Certificate;
  try {
    certificate = parseCertificate(Buffer.from(given, 'base64'));
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    return found('certificate_unreadable', { reason: error.message });
  }
  if (scene.exposure === 'direct') return found('certificate_direct');
  const key_id = quoted(certificate.keyId, 64) || '(no id)';
  const authority = certificate.authority.fingerprint;
  const names = [subject.id, subject.username];
  if (customer === undefined) return found('certificate_of_unknown_authority', { authority });
  try {
    const door = { customer, account: null, principals: names };
    certificateRules(directory, certificate, door, question.source ?? undefined);
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    const { code, message: reason } = error;
    const timely = ofCertificate[code];
    if (timely !== undefined) return found(timely, { reason });
    if (code === 'certificate_authority') return found('certificate_of_unknown_authority', { authority });
    if (code === 'certificate_principal') {
      const principals = certificate.principals.slice(0, shownKeys).map((each) => quoted(each, 64));
      return found('certificate_for_others', {
        principals: principals.join(', ') || '(nobody)',
        names: names.join(', '),
      });
    }
    if (code === 'certificate_source_address')
      return question.source === null
        ? found('source_unknown')
        : found('certificate_not_from_here', { source: question.source });
    return found('certificate_unreadable', { reason });
  }
  if (customer.revocations?.isRevoked(Buffer.from(given, 'base64')))
    return found('certificate_revoked', { key_id });
  const known = customer.authorities.get(authority)?.name ?? authority;
  return found('certificate_opens', { key_id, authority: quoted(known, 64) });
}
