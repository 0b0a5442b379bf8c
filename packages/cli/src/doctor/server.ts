/** What `berth doctor` asks the server, and looks at on the way to it. */
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect as connectPlainly, isIP } from 'node:net';
import { json } from 'node:stream/consumers';
import { connect } from 'node:tls';
import { routes, sshCommand } from '@berth/contract/paths';
import type { Platform, Readiness } from '@berth/contract';
import type { Client } from '../client.ts';
import { failed, ok, skipped, warning } from './check.ts';
import type { Finding } from './check.ts';

const askTimeoutMs = 5_000;
const clockSkewMs = 30_000;
const soonDays = 21;
const dayMs = 86_400_000;

export async function reachable(client: Client, address: string, cure: string): Promise<Finding> {
  const answer = await client.ask(routes.health, AbortSignal.timeout(askTimeoutMs)).catch(() => undefined);
  answer?.resume();
  if (answer?.statusCode === 200) return ok(address);
  return failed(
    answer === undefined ? `no answer at ${address}` : `${address} answers with ${answer.statusCode}`,
    cure,
  );
}

export async function readiness(client: Client): Promise<Readiness> {
  return (await json(await client.ask(routes.ready, AbortSignal.timeout(askTimeoutMs)))) as Readiness;
}

export function readinessOf(
  checks: Readiness['checks'],
  what: keyof Readiness['checks'],
  kind: string,
): Finding {
  const said = checks[what];
  if (said === 'ok') return ok(kind);
  return failed(
    `${kind} ${said}`,
    what === 'database'
      ? 'Start the database that databaseUrl names.'
      : 'Start it (sudo systemctl start docker).',
  );
}

/** Tokens expire and devices sign in by the server's clock. */
export async function clockOf(client: Client): Promise<Finding> {
  const answer = await client.ask(routes.health, AbortSignal.timeout(askTimeoutMs));
  answer.resume();
  const skewMs = Date.parse(answer.headers.date ?? '') - Date.now();
  if (Number.isNaN(skewMs)) return skipped('the server does not say its time');
  return Math.abs(skewMs) <= clockSkewMs
    ? ok("the same as the server's")
    : warning(`${Math.round(skewMs / 1000)} s from the server's`, 'Set both clocks by NTP.');
}

export async function resolvable(setting: string, host: string): Promise<Finding> {
  if (isIP(host.replace(/^\[|\]$/g, '')) !== 0) return ok(host);
  try {
    const { address } = await lookup(host);
    return ok(`${host} is ${address}`);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return failed(`${host} has no address (${code})`, `Correct ${setting}, or add the name to the DNS.`);
  }
}

/** The shared port, as people reach it. */
export async function greetsAsSsh(host: string, port: number): Promise<Finding> {
  const shown = sshCommand('ENVIRONMENT-ID', host, port);
  const cure =
    'See that the gateway runs ("berth up" starts it, where roles names it), and that no firewall is in the way.';
  const socket = connectPlainly({ host, port, timeout: askTimeoutMs });
  for (const silence of ['timeout', 'end'])
    socket.once(silence, () => socket.destroy(new Error('no answer')));
  try {
    const [data] = (await once(socket, 'data')) as [Buffer];
    return data.toString('latin1').startsWith('SSH-2.0-')
      ? ok(shown)
      : failed(`what answers at ${host}, port ${port}, does not speak SSH`, 'Choose another sharedPort.');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'no answer';
    return failed(`nothing answers at ${host}, port ${port} (${reason})`, cure);
  } finally {
    socket.destroy();
  }
}

export async function certificate(url: URL): Promise<Finding> {
  const socket = connect({
    host: url.hostname,
    port: Number(url.port || 443),
    servername: isIP(url.hostname) === 0 ? url.hostname : '',
    // One that is not trusted is looked at too.
    rejectUnauthorized: false,
    timeout: askTimeoutMs,
  });
  socket.once('timeout', () => socket.destroy(new Error('no answer')));
  try {
    await once(socket, 'secureConnect');
    const { valid_to } = socket.getPeerCertificate();
    const days = Math.floor((Date.parse(valid_to) - Date.now()) / dayMs);
    const detail = days < 0 ? `it ended on ${valid_to}` : `valid for ${days} days`;
    const cure = 'Renew it; Berth reads the file again when it changes.';
    if (days < 0) return failed(detail, cure);
    if (!socket.authorized) {
      return warning(
        `${detail}, but not trusted here (${String(socket.authorizationError)})`,
        'Name the file of its certificate authority in NODE_EXTRA_CA_CERTS.',
      );
    }
    return days <= soonDays ? warning(detail, cure) : ok(detail);
  } finally {
    socket.destroy();
  }
}

export function settingOf(platform: Platform | undefined, name: string): unknown {
  return platform?.settings.find((each) => each.name === name)?.value ?? undefined;
}
