/**
 * Every path and public link of Berth, in one place.
 *
 * The server registers its routes with the templates in `routes`; the command, the console and the tests
 * build addresses with `paths` and `links`. Nobody else concatenates a URL.
 */

const environment = '/api/environments/:id';
const image = '/api/images/:name';

/** Route templates as Fastify reads them. */
export const routes = {
  health: '/healthz',
  ready: '/readyz',
  openapi: '/api/openapi.json',
  docs: '/api/docs',
  metrics: '/metrics',
  login: '/api/login',
  session: '/api/session',
  whoami: '/api/whoami',
  ownPassword: '/api/account/password',
  deviceAuthorization: '/api/device/authorization',
  deviceToken: '/api/device/token',
  deviceApproval: '/api/device/approval',
  devicePage: '/device',
  customers: '/api/customers',
  customer: '/api/customers/:id',
  quotas: '/api/quotas',
  quota: '/api/quotas/:id',
  accounts: '/api/accounts',
  account: '/api/accounts/:id',
  tokens: '/api/tokens',
  token: '/api/tokens/:id',
  images: '/api/images',
  image,
  imageCheck: `${image}/check`,
  datasets: '/api/datasets',
  dataset: '/api/datasets/:name',
  environments: '/api/environments',
  environment,
  environmentStart: `${environment}/start`,
  environmentStop: `${environment}/stop`,
  environmentRestart: `${environment}/restart`,
  environmentSsh: `${environment}/ssh`,
  environmentResetPassword: `${environment}/ssh/reset-password`,
  environmentEvents: `${environment}/events`,
  environmentLogs: `${environment}/logs`,
  keptStorage: '/api/storage',
  keptStorageOf: '/api/storage/:id',
  sshKeys: '/api/ssh-keys',
  sshKey: '/api/ssh-keys/:id',
  sshAuthorities: '/api/ssh-authorities',
  sshAuthority: '/api/ssh-authorities/:id',
  sshRevocations: '/api/ssh-revocations',
  lockouts: '/api/lockouts',
  lockout: '/api/lockouts/:id',
  bans: '/api/bans',
  ban: '/api/bans/:id',
  ports: '/api/ports',
  connections: '/api/connections',
  connection: '/api/connections/:id',
  allowlist: '/api/allowlist',
  allowlistCheck: '/api/allowlist-check',
  allowlistEntry: '/api/allowlist/:id',
  platform: '/api/platform',
  audit: '/api/audit',
  auditExport: '/api/audit/export',
  auditVerify: '/api/audit/verify',
  backup: '/api/backup',
  restore: '/api/restore',
  rotateSecrets: '/api/secrets/rotate',
  jupyter: '/jupyter/:id',
} as const;

/** Fills a template's `:name` parameters, each escaped as one path segment. */
export function pathOf(template: string, parameters: Record<string, string> = {}): string {
  return template.replace(/:([a-z]+)/g, (_, name: string) => {
    const value = parameters[name];
    if (value === undefined) throw new TypeError(`path ${template} needs the parameter ${name}`);
    return encodeURIComponent(value);
  });
}

/** Links that are shown to people. `publicUrl` carries no trailing slash. */
export const links = {
  console: (publicUrl: string) => `${publicUrl}${routes.docs}`,
  /** Where a person approves the code that a terminal shows. */
  device: (publicUrl: string, userCode?: string) =>
    `${publicUrl}${routes.devicePage}${userCode === undefined ? '' : `?user_code=${encodeURIComponent(userCode)}`}`,
  jupyter: (publicUrl: string, id: string) => `${publicUrl}${pathOf(routes.jupyter, { id })}`,
  sftp: (username: string, host: string, port: number) => `sftp://${username}@${hostInUrl(host)}:${port}`,
  problem: (code: string) => `urn:berth:error:${code}`,
};

/** The line a person pastes. */
export function sshCommand(username: string, host: string, port: number): string {
  return port === 22 ? `ssh ${username}@${host}` : `ssh ${username}@${host} -p ${port}`;
}

/** The line that goes through the shared port to the environment as to a host of its own (ssh(1), -J). */
export function jumpCommand(
  account: string,
  host: string,
  port: number,
  username: string,
  id: string,
): string {
  return `ssh -J ${account}@${hostInUrl(host)}${port === 22 ? '' : `:${port}`} ${username}@${id}`;
}

/** The block for `~/.ssh/config`, which VS Code Remote-SSH reads too. */
export function hostBlock(alias: string, username: string, host: string, port: number): string {
  return [`Host ${alias}`, `  HostName ${host}`, `  Port ${port}`, `  User ${username}`].join('\n');
}

function hostInUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
