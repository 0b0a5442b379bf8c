/**
 * How the command signs in through a browser: the OAuth 2.0 device authorization grant (RFC 8628), with Berth's problem
 * documents in place of OAuth's errors.
 *
 * The command asks for a pair of codes and shows the short one; a person signs in at /device and approves it there; the
 * command, which asks with the long one meanwhile, gets a token once.
 */
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { BerthError, links } from '@berth/contract';
import type { DeviceAuthorization, DeviceRequest, LoginToken } from '@berth/contract';
import type { Principal } from '../accounts/principal.ts';
import { findAccount, noteLogin } from '../accounts/table.ts';
import { audit } from '../audit/audit.ts';
import type { Actor } from '../audit/audit.ts';
import type { Database, Session } from '../database/database.ts';
import type { DeviceLoginRow } from '../database/schema.ts';
import { issueToken } from '../tokens/tokens.ts';
import { decide, deleteDevice, findUndecided, insertDevice, lockDevice, noteAsked } from './table.ts';

const codesLiveSeconds = 600;
const intervalSeconds = 5;
/** Clocks and networks are not exact: who waits the interval is never told to slow down. */
const toleranceSeconds = 0.5;
/** A terminal stays signed in longer than a browser; `DELETE /api/session` and a new password end it. */
const tokenLifeMs = 30 * 24 * 60 * 60 * 1000;

/** RFC 8628, section 6.1: no vowels, so no words, and nothing that looks alike; 8 of them have 34 bits. */
const alphabet = 'BCDFGHJKLMNPQRSTVWXZ';

export async function beginDeviceLogin(
  session: Session,
  publicUrl: string,
  source: string | null,
  name: string,
): Promise<DeviceAuthorization> {
  for (;;) {
    const deviceCode = randomBytes(32).toString('base64url');
    const letters = Array.from({ length: 8 }, () => alphabet[randomInt(alphabet.length)]).join('');
    const userCode = `${letters.slice(0, 4)}-${letters.slice(4)}`;
    const inserted = await insertDevice(session, {
      device_code_hash: hashOf(deviceCode),
      user_code: userCode,
      name,
      source,
      expires_at: new Date(Date.now() + codesLiveSeconds * 1000),
    });
    if (inserted) {
      return {
        device_code: deviceCode,
        user_code: userCode,
        verification_uri: links.device(publicUrl),
        verification_uri_complete: links.device(publicUrl, userCode),
        expires_in: codesLiveSeconds,
        interval: intervalSeconds,
      };
    }
  }
}

/** @throws BerthError `authorization_pending`, `slow_down`, `access_denied`, `expired_token` */
export async function deviceToken(database: Database, actor: Actor, deviceCode: string): Promise<LoginToken> {
  const hash = hashOf(deviceCode);
  const answer = await database.transaction().execute(async (transaction) => {
    const device = await lockDevice(transaction, hash);
    if (!device)
      return new BerthError('expired_token', 'device_code: is not one that waits for a browser.', {
        field: 'device_code',
      });
    if (device.denied) {
      await deleteDevice(transaction, hash);
      return new BerthError('access_denied', `The code ${device.user_code} was refused in the browser.`);
    }
    if (device.account_id !== null) return handOver(transaction, actor, device, device.account_id);
    const { asked_seconds_ago: ago } = device;
    if (ago !== null && ago < intervalSeconds - toleranceSeconds)
      return new BerthError('slow_down', `The last question came ${ago.toFixed(1)} seconds ago.`);
    await noteAsked(transaction, hash);
    return new BerthError('authorization_pending', `Nobody has approved the code ${device.user_code} yet.`);
  });
  // Thrown only here: what was noted about the question stays.
  if (answer instanceof BerthError) throw answer;
  return answer;
}

/** What a person looks at before deciding. @throws BerthError `not_found` */
export async function showDevice(session: Session, userCode: string): Promise<DeviceRequest> {
  const device = await findUndecided(session, readUserCode(userCode));
  if (!device) throw noSuchCode(userCode);
  const { user_code, name, source, created_at, expires_at } = device;
  return {
    user_code,
    name,
    source,
    created_at: created_at.toISOString(),
    expires_at: expires_at.toISOString(),
  };
}

/** The command gets what whoever approves may do, not more. @throws BerthError `not_found` */
export async function decideDevice(
  database: Database,
  principal: Principal,
  actor: Actor,
  userCode: string,
  approve: boolean,
): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    const device = await decide(
      transaction,
      readUserCode(userCode),
      approve ? { account_id: principal.accountId, scopes: [...principal.scopes] } : { denied: true },
    );
    if (!device) throw noSuchCode(userCode);
    await audit(transaction, actor, {
      action: approve ? 'device.approve' : 'device.refuse',
      target: principal.account,
      detail: { name: device.name, asked_from: device.source },
    });
  });
}

async function handOver(
  session: Session,
  actor: Actor,
  { name, scopes, device_code_hash }: DeviceLoginRow,
  accountId: number,
): Promise<LoginToken> {
  const expires = new Date(Date.now() + tokenLifeMs);
  const { token } = await issueToken(session, {
    account_id: accountId,
    kind: 'login',
    name,
    scopes,
    expires_at: expires,
  });
  await deleteDevice(session, device_code_hash);
  await noteLogin(session, accountId);
  const account = await findAccount(session, accountId, null);
  if (!account) throw new Error('the row of a device goes with its account');
  await audit(session, actor, {
    action: 'login',
    target: account.name,
    account: account.name,
    customerId: account.customer_id,
    detail: { kind: 'device', name },
  });
  return { token, expires_at: expires.toISOString() };
}

function hashOf(deviceCode: string): Buffer {
  return createHash('sha256').update(deviceCode).digest();
}

/** However it was typed. */
function readUserCode(typed: string): string {
  const letters = typed.toUpperCase().replace(/[^A-Z]/g, '');
  return `${letters.slice(0, 4)}-${letters.slice(4)}`;
}

function noSuchCode(typed: string): BerthError {
  return new BerthError('not_found', `user_code: no sign-in waits with the code ${JSON.stringify(typed)}.`, {
    field: 'user_code',
    cure: 'Compare it with the terminal; a code is good for ten minutes and for one sign-in.',
  });
}
