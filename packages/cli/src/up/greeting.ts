/** What `berth up` says once Berth runs: a block of at most 80 columns, as far as names and paths allow. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { links, pathOf, routes } from '@berth/contract/paths';
import type { Environment, SshAccess } from '@berth/contract';
import type { Client } from '../client.ts';
import { noWayIn, statusSentence } from '../environment.ts';
import { indented, labelled, printableLines } from '../text.ts';
import type { ServerReady } from './server-process.ts';

export interface FirstLogin {
  account: string;
  password: string;
  path: string;
}

/** The administrator's first password, as long as the file with it stands. */
export function readFirstLogin(dataDir: string): FirstLogin | undefined {
  const path = join(dataDir, 'admin-password');
  try {
    return { account: 'admin', password: readFileSync(path, 'utf8').trim(), path };
  } catch {
    return undefined;
  }
}

/** @param opened whether the port is open, or why it is not */
export function sharedPortLine({ sshHost, sharedPort }: ServerReady, opened: true | string): string {
  if (opened !== true) return `not open: ${opened}`;
  return `ssh ENVIRONMENT@${sshHost}${sharedPort === 22 ? '' : ` -p ${sharedPort}`}`;
}

/** @param sharedPort the line about it; null: there is none */
export function shortGreeting(ready: ServerReady, sharedPort: string | null): string {
  return [
    'Berth is running.',
    '',
    labelled([
      ['Console', links.console(ready.publicUrl)],
      ['Data', ready.dataDir],
      ...sharedPortRow(sharedPort),
      ['SSH ciphers', sshCiphers(ready)],
      ['Next', 'npx berth create NAME'],
    ]),
  ].join('\n');
}

export interface DemoState {
  environment: Environment;
  /** null while it does not run */
  access: SshAccess | null;
}

export async function demoState(client: Client, environment: Environment): Promise<DemoState> {
  const { env_id: id, status } = environment;
  const access =
    status === 'running' ? await client.get<SshAccess>(pathOf(routes.environmentSsh, { id })) : null;
  return { environment, access };
}

function sharedPortRow(line: string | null): [string, string][] {
  return line === null ? [] : [['Shared port', line]];
}

export function greeting(
  ready: ServerReady,
  sharedPort: string | null,
  login: FirstLogin | undefined,
  demo: DemoState | undefined,
): string {
  const rows: [string, string][] = [['Console', links.console(ready.publicUrl)]];
  if (login !== undefined) {
    rows.push(['Account', login.account], ['Password', login.password], ['', `(from ${login.path})`]);
  }
  rows.push(...sharedPortRow(sharedPort), ['SSH ciphers', sshCiphers(ready)]);
  const blocks = ['Berth is running.', labelled(rows)];
  if (demo !== undefined) blocks.push(...demoBlocks(demo));
  const enter: [string, string][] =
    demo === undefined || demo.access === null
      ? []
      : [[`npx berth ssh --password ${demo.environment.env_id}`, 'get in']];
  blocks.push(
    [
      'Next',
      labelled([
        ...enter,
        ['npx berth create NAME', 'make another environment'],
        ['npx berth list', 'see what there is'],
        ['npx berth --help', 'see what else there is'],
      ]),
    ].join('\n'),
    'Ctrl-C ends Berth; the environments keep running.',
  );
  return `\n${blocks.join('\n\n')}`;
}

function sshCiphers({ sshCiphers: { name, reason } }: ServerReady): string {
  return name === 'addon' ? `native, ${reason}` : `${name}, which is slower, since\n${reason}`;
}

function demoBlocks({ environment, access }: DemoState): string[] {
  const title = `Environment ${statusSentence({ ...environment, name: `${environment.name} (${environment.env_id})` })}`;
  if (access === null) return [`${title}.\n${labelled([hintFor(environment)])}`];
  const rows: [string, string][] = [
    ['SSH', access.ssh_command ?? noWayIn],
    ['Password', access.ssh_password],
  ];
  if (access.sftp_url !== null) rows.push(['SFTP', access.sftp_url]);
  if (access.shared_port_command !== null) rows.push(['Shared port', access.shared_port_command]);
  const blocks = [`${title}\n${labelled(rows)}`];
  if (access.vscode_config !== null) {
    blocks.push(
      `VS Code: put this into ~/.ssh/config, then "Remote-SSH: Connect to Host"\n${indented(printableLines(access.vscode_config), 2)}`,
    );
  }
  return blocks;
}

function hintFor({ env_id: id, status, failure }: Environment): [string, string] {
  if (status === 'failed')
    return ['Cause', `${failure?.cause ?? 'not known'}\n${failure?.cure ?? ''}`.trimEnd()];
  if (status === 'stopped') return ['Start it', `npx berth start ${id} --wait`];
  return ['Follow it', `npx berth events ${id} --follow`];
}
