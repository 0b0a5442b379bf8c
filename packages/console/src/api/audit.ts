/** The audit log's chain, verified by the server while one watches. */
import type { AuditVerdict, AuditVerifyLine } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { addressOf, problemOf } from './client.ts';

export type Progress = Extract<AuditVerifyLine, { type: 'progress' }>;

/**
 * @param from a hash that an earlier verification told
 * @throws ApiError; Error when the answer ended without a verdict
 */
export async function verifyAudit(
  from: string,
  onProgress: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<AuditVerdict> {
  const answer = await fetch(addressOf(routes.auditVerify, { query: { from } }), {
    signal,
    cache: 'no-store',
  });
  if (!answer.ok || answer.body === null) throw await problemOf(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const read = JSON.parse(line) as AuditVerifyLine;
      if (read.type === 'verdict') return read;
      onProgress(read);
    }
  }
  throw new Error(answer.statusText);
}
