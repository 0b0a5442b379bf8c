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
