/** Signing in with a password, signing out, and changing one's own password. */
import { randomBytes } from 'node:crypto';
import { BerthError, scopes } from '@berth/contract';
import type { ChangePassword, Login } from '@berth/contract';
import type { Principal } from '../accounts/principal.ts';
import { noteLogin, passwordOf, setPassword } from '../accounts/table.ts';
import { audit } from '../audit/audit.ts';
import type { Act, Actor } from '../audit/audit.ts';
import type { Database } from '../database/database.ts';
import type { PasswordPolicy } from '../secrets/password.ts';
import { accountHash, accountPasswordMatches, mustBeGoodPassword } from '../secrets/password.ts';
import { deleteSignIn, deleteSignIns } from '../tokens/table.ts';
import { issueToken } from '../tokens/tokens.ts';
import { TooManyTries } from './limits.ts';
import type { SignInLimits } from './limits.ts';

export const signInLifeMs = 12 * 60 * 60 * 1000;

/** Checked when the account is unknown or has no password, so that an answer takes as long as for others. */
const nobodysHash = accountHash(randomBytes(16).toString('hex'));

/** @throws BerthError `wrong_password`, `rate_limited`, `unavailable` when too many sign in at once */
export async function signIn(
  database: Database,
  limits: SignInLimits,
  actor: Actor,
  { account, password }: Login,
  kind: 'login' | 'session',
): Promise<{ token: string; expiresAt: Date }> {
  const act: Act = { action: 'login', target: account, account };
  try {
    // Before anything is looked up: who is refused costs next to nothing.
    limits.mustBeOpen(actor.source, account);
    const found = await passwordOf(database, account);
    if (found) act.customerId = found.customer_id;
    const matches = await passwordMatches(limits, actor, account, password, found?.password_hash);
    const signedIn =
      found && matches
        ? await database.transaction().execute(async (transaction) => {
            // The password may have been changed meanwhile.
            if (!(await noteLogin(transaction, found.id, found.password_hash))) return undefined;
            const expiresAt = new Date(Date.now() + signInLifeMs);
            const { token } = await issueToken(transaction, {
              account_id: found.id,
              kind,
              name: '',
              scopes: [...scopes],
              expires_at: expiresAt,
            });
            await audit(transaction, actor, { ...act, detail: { kind } });
            return { token, expiresAt };
          })
        : undefined;
    if (signedIn) return signedIn;
    throw new BerthError('wrong_password', 'No account has this name and password.');
  } catch (error) {
    // One row where a limit begins to refuse: who is refused, or turned away, must not fill the log.
    const isTold = error instanceof TooManyTries ? error.isFirst : isWrongPassword(error);
    if (isTold) {
      const why = (error as BerthError).code;
      await audit(database, actor, { ...act, outcome: 'refused', detail: { kind, why } });
    }
    throw error;
  }
}

/** Ends all that the old password opened, but for what asks. @throws BerthError `wrong_password`, `weak_password`, `rate_limited` */
export async function changeOwnPassword(
  database: Database,
  policy: PasswordPolicy,
  limits: SignInLimits,
  actor: Actor,
  { accountId, account, tokenId }: Principal,
  { current, new: wanted }: ChangePassword,
): Promise<void> {
  limits.mustBeOpen(actor.source, account);
  mustBeGoodPassword(policy, wanted, 'new');
  const found = await passwordOf(database, account);
  if (!(await passwordMatches(limits, actor, account, current, found?.password_hash))) {
    await audit(database, actor, { action: 'account.password', target: account, outcome: 'refused' });
    throw new BerthError('wrong_password', `current: is not the password of ${account}.`, {
      field: 'current',
      cure: 'Send the password that you sign in with now; where it is lost, an administrator sets another.',
    });
  }
  const hash = await accountHash(wanted);
  await database.transaction().execute(async (transaction) => {
    await setPassword(transaction, accountId, hash);
    await deleteSignIns(transaction, accountId, tokenId);
    await audit(transaction, actor, { action: 'account.password', target: account });
  });
}

/** Ends the session or login that asks; a token that was made by hand stays. */
export async function signOut(
  database: Database,
  actor: Actor,
  { tokenId, account }: Principal,
): Promise<void> {
  if (tokenId === null) return;
  await database.transaction().execute(async (transaction) => {
    if (await deleteSignIn(transaction, tokenId))
      await audit(transaction, actor, { action: 'logout', target: account });
  });
}

async function passwordMatches(
  limits: SignInLimits,
  { source }: Actor,
  account: string,
  password: string,
  stored: string | null | undefined,
): Promise<boolean> {
  const begins = () => limits.begin(source, account);
  const matches = await accountPasswordMatches(password, stored ?? (await nobodysHash), begins);
  if (!matches || stored === null || stored === undefined) return false;
  limits.succeed(source, account);
  return true;
}

function isWrongPassword(error: unknown): boolean {
  return error instanceof BerthError && error.code === 'wrong_password';
}
