/** Ends live connections on every gateway, when the transaction commits. */
import type { Which } from '@berth/contract';
import type { Session } from '../database/database.ts';
import { announce } from '../events/notices.ts';
import type { Settings } from '../settings.ts';

/** @param sentence for the person whose connection it is */
export async function endConnections(session: Session, which: Which, sentence: string): Promise<void> {
  await announce(session, { topic: 'end', which, sentence });
}

/** Where the setting `liveConnections` says that whoever would not get in any more is cut. */
export async function cutConnections(
  session: Session,
  { liveConnections }: Pick<Settings, 'liveConnections'>,
  which: Which,
  sentence: string,
): Promise<void> {
  if (liveConnections === 'cut') await endConnections(session, which, sentence);
}

/** For whoever came in by a password. */
export const passwordsOffSentence = 'Passwords are no longer taken here. Log in again with a key.';

/** Whoever came in by a password that is no longer right; in force by itself for those who come. */
export async function cutPasswordLogins(
  session: Session,
  settings: Pick<Settings, 'liveConnections'>,
  of: { environment: string } | { customer: number },
  sentence: string,
): Promise<void> {
  for (const method of ['password', 'keyboard-interactive'] as const)
    await cutConnections(session, settings, { ...of, method }, sentence);
}
