/** Passwords of environments that have become too old: announced in the timeline, then replaced. */
import { setImmediate as breathe } from 'node:timers/promises';
import { audit } from '../audit/audit.ts';
import { newPassword, noticeDaysOf, passwordExpiry, updatePassword } from '../credentials/credentials.ts';
import { cutPasswordLogins } from '../connections/end.ts';
import { newPasswordSentence } from '../environments/environments.ts';
import { lockEnvironment, request } from '../environments/table.ts';
import { addEvents } from '../events/events.ts';
import type { Services } from '../http/app.ts';
import { passwordsToNotice, passwordsToReplace, setNoticed } from './table.ts';

const dayMs = 24 * 60 * 60 * 1000;

export async function noticePasswords({ database, settings, stopping }: Services): Promise<void> {
  const days = { maxAge: settings.passwordMaxAgeDays, notice: noticeDaysOf(settings) };
  if (days.notice === 0) return;
  for (const { id } of await passwordsToNotice(database, days)) {
    if (stopping.aborted) return;
    await database.transaction().execute(async (transaction) => {
      const row = await lockEnvironment(transaction, id, null);
      const [still] = await passwordsToNotice(transaction, days, id);
      if (!row || !still) return;
      await setNoticed(transaction, id);
      const when = passwordExpiry(still.changedAt, new Date(), settings);
      const message = `Its password will be replaced on ${when?.toISOString().slice(0, 10)}.`;
      await addEvents(transaction, id, [{ kind: 'note', message }]);
    });
  }
}

/** In force within two seconds, as after a reset. */
export async function replacePasswords({ database, settings, keyRing, stopping }: Services): Promise<void> {
  const days = { maxAge: settings.passwordMaxAgeDays, notice: noticeDaysOf(settings) };
  for (const { id } of await passwordsToReplace(database, days)) {
    if (stopping.aborted) return;
    const password = newPassword(settings);
    await database.transaction().execute(async (transaction) => {
      const row = await lockEnvironment(transaction, id, null);
      const [still] = await passwordsToReplace(transaction, days, id);
      if (!row || !still) return;
      await updatePassword(transaction, keyRing, id, password);
      await cutPasswordLogins(transaction, settings, { environment: id }, newPasswordSentence(id));
      await audit(
        transaction,
        { principal: null, source: null },
        {
          action: 'environment.reset-password',
          target: id,
          customerId: row.customer_id,
          detail: { asked: 'too old' },
        },
      );
      const generation = await request(transaction, id, {});
      const age = Math.floor((Date.now() - still.changedAt.getTime()) / dayMs);
      const message = `Its password was replaced after ${age} days.`;
      await addEvents(transaction, id, [{ kind: 'note', message }], generation);
    });
    // Making the hash keeps the processor busy; others get their turn.
    await breathe();
  }
}
