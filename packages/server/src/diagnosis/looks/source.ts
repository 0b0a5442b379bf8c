/** Whether the person's address gets in, and what was tried from there lately. */
import { countedSource, covers, readNetwork } from '@berth/contract';
import { networksFor } from '../../allowlists/table.ts';
import { listLockouts } from '../../lockouts/table.ts';
import { RuntimeError } from '../../runtime/runtime.ts';
import { found, minute, quoted } from '../found.ts';
import type { Found } from '../found.ts';
import type { Scene } from '../scene.ts';
import { countFailures, refusedLately } from '../table.ts';
import { keysInWords } from './credentials.ts';

const latelyMinutes = 60;

export async function firewall(scene: Scene): Promise<Found> {
  const { services, subject, question, signal } = scene;
  const { source } = question;
  if (source === null) return found('source_unknown');
  const port = subject.port ?? services.settings.sharedPort;
  if (port === 0) return found('firewall_without_port');
  try {
    const toHost = subject.port === null || scene.exposure === 'gateway';
    const answer = await services.runtime.firewall({ source, port, toHost }, signal);
    if (answer.outcome === 'passes') return found('firewall_lets_through', { source, port });
    const { outcome, table, chain } = answer;
    const facts = { source, port, table: quoted(table), chain: quoted(chain) };
    return outcome === 'drops' ? found('firewall_drops', facts) : found('firewall_unclear', facts);
  } catch (error) {
    if (!(error instanceof RuntimeError) || error.code === 'unavailable') throw error;
    return found('firewall_not_looked_at', { reason: error.message });
  }
}

export async function allowlist({ services: { database }, subject, question }: Scene): Promise<Found> {
  const networks = await networksFor(database, subject.customer_id, subject.id);
  if (networks.length === 0) return found('allowlist_empty');
  const { source } = question;
  if (source === null) return found('source_unknown');
  const network = networks.find((each) => covers(readNetwork(each), source));
  return network === undefined
    ? found('allowlist_leaves_out', { source, entries: networks.length })
    : found('allowlist_covers', { source, network });
}

export function ban({ services: { directory }, question }: Scene): Found {
  if (question.source === null) return found('source_unknown');
  const source = countedSource(question.source);
  const until = directory.bannedUntil(source);
  return until === null ? found('not_banned', { source }) : found('banned', { source, until: minute(until) });
}

export async function lockout({ services, subject, question }: Scene): Promise<Found> {
  if (question.source === null) return found('source_unknown');
  const { database, settings } = services;
  const source = countedSource(question.source);
  const [row] = await listLockouts(database, {
    ...{ all: false, source, before: undefined, limit: 1 },
    ...{ visibleTo: null, envId: subject.id },
  });
  if (row) {
    const { id, until, failures } = row;
    return found('locked_out', { source, until: minute(until), failures, lockout: id });
  }
  const pair = { target: subject.id, source };
  const failures = await countFailures(database, pair, settings['lockout.windowMinutes']);
  return found('not_locked_out', { source, failures, most: settings['lockout.failures'] });
}

export async function attempts(scene: Scene): Promise<Found> {
  const { services, subject, question } = scene;
  const { source } = question;
  if (source === null) return found('source_unknown');
  const refused = await refusedLately(services.database, { target: subject.id, source }, latelyMinutes);
  if (refused === undefined) return found('no_refusals', { source });
  const { count, reason } = refused;
  const facts = { source, count, at: minute(refused.at) };
  switch (reason) {
    case 'wrong_password': {
      const { password_changed_at: changedAt } = await scene.credentials();
      return found('wrong_password_lately', { ...facts, changed_at: minute(changedAt) });
    }
    case 'password_off':
      return found('password_off_lately', facts);
    case 'wrong_key':
    case 'wrong_signature':
      return found('wrong_key_lately', { ...facts, keys: keysInWords(scene) });
    case 'wrong_certificate':
      return found('wrong_certificate_lately', facts);
    case 'unknown_name': {
      const user = quoted(refused.user, 64) || '?';
      return found('wrong_user_lately', { ...facts, user, right_user: subject.username });
    }
    case 'flood':
      return found('flood_lately', facts);
    default:
      return found('refused_lately', { ...facts, refusal: reason ?? 'the client left' });
  }
}
