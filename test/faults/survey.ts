/**
 * Compares everything that a Berth has made with everything that it knows: rows, ports, containers, volumes, folders
 * of secrets. What one side has and the other lacks is an orphan or a loss; either is a sentence in the answer.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { execute } from '../harness/ssh.ts';
import type { Environment, EnvironmentEvent, KeptStorage, PortMapping, SshAccess } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import type { Answer, TestBerth } from '../harness/berth.ts';

/** What a request was answered with, and what must therefore be so from then on. */
export interface Promised {
  port: number | null;
  /** null: not known, since a new one was asked for and no answer came. */
  password: string | null;
}

/** Looks that the boundaries of kill-at.ts do not count. */
export function look<T>(berth: TestBerth, path: string): Promise<Answer<T>> {
  return berth.call<T>('GET', path, undefined, { 'x-berth-test-watch': 'yes' });
}

export async function list(berth: TestBerth): Promise<Environment[]> {
  return (await look<{ items: Environment[] }>(berth, `${routes.environments}?limit=1000`)).body.items;
}

const lasting = new Set(['running', 'stopped']);

/**
 * @param promised by environment id: each must be there, as it was answered
 * @param dataDirs where secrets may be; more than one with several servers
 * @param storageId whose volumes all environments have, where they take over the files of one another; '': each its own
 * @returns what is wrong, a sentence each; empty when all is well
 */
export async function survey(
  berth: TestBerth,
  promised: Map<string, Promised>,
  dataDirs: string[] = [berth.dataDir],
  storageId = '',
): Promise<string[]> {
  const faults: string[] = [];
  const environments = await list(berth);
  const byId = new Map(environments.map((each) => [each.env_id, each]));
  for (const { env_id, status, failure } of environments) {
    if (!lasting.has(status)) faults.push(`${env_id} is ${status}${failure ? `: ${failure.cause}` : ''}`);
  }
  for (const id of promised.keys()) if (!byId.has(id)) faults.push(`${id} was answered and is lost`);
  if (faults.length > 0) return faults;

  const [things, kept, ports, platform] = await Promise.all([
    berth.things(),
    look<{ items: KeptStorage[] }>(berth, `${routes.keptStorage}?limit=1000`),
    look<{ items: PortMapping[] }>(berth, `${routes.ports}?limit=1000`),
    look<{ unclaimed: { name: string }[] }>(berth, routes.platform),
  ]);
  const volumes = (id: string) =>
    ['code', 'home', 'output'].map((folder) => `volume ${storageId || id}-${folder}`);
  const thingsOf = ({ env_id: id }: Environment) => [`container ${id}`, ...volumes(id)];
  // Stopped while it was being made, it may have any part of them, or none.
  const [made, begun] = [environments.filter(isMade), environments.filter((each) => !isMade(each))];
  const partly = begun.flatMap(thingsOf).filter((thing) => things.includes(thing));
  const left = kept.body.items.flatMap(({ env_id }) => volumes(env_id));
  faults.push(...difference('in Docker', things, [...made.flatMap(thingsOf), ...partly, ...left]));
  faults.push(...platform.body.unclaimed.map(({ name }) => `${name} is reported as unclaimed`));

  const folders = dataDirs.flatMap((each) => {
    const folder = join(each, 'environments');
    return existsSync(folder) ? readdirSync(folder) : [];
  });
  const idsOf = (some: Environment[]) => some.map(({ env_id: id }) => id);
  const partlyWritten = idsOf(begun).filter((id) => folders.includes(id));
  faults.push(...difference('among the secrets', folders, [...idsOf(made), ...partlyWritten]));

  const active = ports.body.items.filter(({ status }) => status === 'active');
  faults.push(
    ...difference(
      'in the port table',
      active.map(({ env_id, external_port }) => `${env_id} ${external_port}`),
      environments.filter((each) => each.ssh_port !== null).map((each) => `${each.env_id} ${each.ssh_port}`),
    ),
  );
  for (const { status, released_at, external_port } of ports.body.items) {
    if ((status === 'released') !== (released_at !== null))
      faults.push(`port ${external_port} is half released`);
  }
  for (const each of environments) faults.push(...(await examine(berth, each, promised.get(each.env_id))));
  return faults;
}

/** One environment: its container, the files mounted into it, and its timeline. */
async function examine(
  berth: TestBerth,
  environment: Environment,
  promised: Promised | undefined,
): Promise<string[]> {
  const { env_id: id, status, ssh_port } = environment;
  const faults: string[] = [];
  faults.push(...(await timelineFaults(berth, environment)));
  const { body: access } = await look<SshAccess>(berth, pathOf(routes.environmentSsh, { id }));
  if (promised && promised.port !== ssh_port) {
    faults.push(`${id} was answered with port ${promised.port} and has ${ssh_port}`);
  }
  if (promised && promised.password !== null && promised.password !== access.ssh_password) {
    faults.push(`${id} was answered with another password than it has`);
  }
  const container = await berth.docker
    .getContainer(id)
    .inspect()
    .catch(() => null);
  if (container === null) return isMade(environment) ? [...faults, `${id} has no container`] : faults;
  if (container.State.Running !== (status === 'running')) {
    faults.push(`${id} is ${status} and its container is ${container.State.Status}`);
  }
  const bindings = container.HostConfig.PortBindings as Record<string, { HostPort: string }[]>;
  const published = bindings['22/tcp']?.[0]?.HostPort;
  if (published !== (ssh_port === null ? undefined : String(ssh_port))) {
    faults.push(`${id} has port ${ssh_port} and its container publishes ${published}`);
  }
  const mounted = container.Mounts.find(({ Destination }) => Destination === '/etc/berth')?.Source ?? '';
  if (status === 'running') {
    const hash = readFileSync(join(mounted, 'password_hash'), 'utf8').trim();
    if (!(await hashMatches(access.ssh_password, hash))) faults.push(`${id} has mounted an old password`);
    const keys = await look<{ items: { public_key: string }[] }>(berth, routes.sshKeys);
    const lines = readFileSync(join(mounted, 'authorized_keys'), 'utf8').split('\n').filter(Boolean);
    const known = keys.body.items.map(({ public_key }) => public_key);
    faults.push(...difference(`among the mounted keys of ${id}`, lines, known));
    const unfinished = readdirSync(mounted).filter((name) => name.endsWith('.new'));
    faults.push(...unfinished.map((name) => `${id} has ${name} beside its secrets`));
  }
  return faults;
}

function isMade({ started_at, status }: Environment): boolean {
  return started_at !== null || status === 'running';
}

async function timelineFaults(berth: TestBerth, { env_id: id, status }: Environment): Promise<string[]> {
  const path = `${pathOf(routes.environmentEvents, { id })}?limit=1000`;
  const { items } = (await look<{ items: EnvironmentEvent[] }>(berth, path)).body;
  const last = items.findLast((each) => each.status !== null);
  const asked = items[0]?.kind === 'request';
  return [
    ...(asked ? [] : [`the timeline of ${id} does not begin with a request`]),
    ...(last?.status === status ? [] : [`the timeline of ${id} ends with ${last?.status}, it is ${status}`]),
  ];
}

/** crypt(3) once more, by a program that is not Berth's. */
async function hashMatches(password: string, hash: string): Promise<boolean> {
  const salt = hash.split('$')[2] ?? '';
  const { stdout } = await execute('openssl', ['passwd', '-6', '-salt', salt, '-stdin'], {
    input: `${password}\n`,
  });
  return stdout.trim() === hash;
}

function difference(where: string, found: string[], expected: string[]): string[] {
  return [
    ...found.filter((each) => !expected.includes(each)).map((each) => `${each} is left over ${where}`),
    ...expected.filter((each) => !found.includes(each)).map((each) => `${each} is missing ${where}`),
  ];
}

/** Surveys until nothing is wrong. @throws Error with what is wrong still when the time is up */
export async function settles(
  berth: TestBerth,
  promised: Map<string, Promised>,
  withinMs: number,
  dataDirs?: string[],
  storageId?: string,
): Promise<number> {
  const began = Date.now();
  for (;;) {
    const faults = await survey(berth, promised, dataDirs, storageId).catch((error: Error) => [
      error.message,
    ]);
    const tookMs = Date.now() - began;
    if (faults.length === 0) return tookMs;
    if (tookMs > withinMs) throw new Error(`after ${withinMs} ms:\n  ${faults.join('\n  ')}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
