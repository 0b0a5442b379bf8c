/**
 * The words and bounds of environments, without schemas: what the command needs at its start, which the schemas'
 * library would make a third slower.
 */
export const statuses = [
  'creating',
  'running',
  'stopping',
  'stopped',
  'starting',
  'restarting',
  'deleting',
  'failed',
] as const;
export type Status = (typeof statuses)[number];

/** Statuses that Berth itself leaves again; everything else stays until somebody asks for something. */
export const passingStatuses: readonly Status[] = [
  'creating',
  'starting',
  'stopping',
  'restarting',
  'deleting',
];

export const ownPortModes = ['auto', 'yes', 'no'] as const;
export type OwnPortMode = (typeof ownPortModes)[number];

export const exposures = ['gateway', 'direct'] as const;
export type Exposure = (typeof exposures)[number];

/** How somebody comes in. `jump-login` is the outer session of a jump, which leads to the inner one only. */
export const waysIn = ['own-port', 'shared-port', 'jump-login', 'jump', 'terminal', 'jupyter'] as const;
export type WayIn = (typeof waysIn)[number];

/** With what an SSH client logs in. */
export const loginMethods = ['password', 'publickey', 'keyboard-interactive'] as const;
export type LoginMethod = (typeof loginMethods)[number];

/** With what somebody came in. `session`: signed in to Berth itself, as in the terminal and JupyterLab. */
export const entryMethods = [...loginMethods, 'session'] as const;
export type EntryMethod = (typeof entryMethods)[number];

/** Why an attempt was refused; for records and metrics. What a stranger is told is the same for the first four. */
export const refusals = [
  'unknown_name',
  'wrong_password',
  'wrong_key',
  'wrong_certificate',
  'wrong_signature',
  'password_off',
  'not_running',
  'locked',
  'banned',
  'not_allowed',
  'flood',
  'unavailable',
  'failed',
] as const;
export type Refusal = (typeof refusals)[number];

/** cpu in cores, memory and storage in GiB, gpu in whole devices. */
export const resourceBounds = {
  cpu: { minimum: 0.1, maximum: 1024 },
  memory: { minimum: 0.125, maximum: 65536 },
  gpu: { minimum: 0, maximum: 64 },
  storage: { minimum: 0.1, maximum: 1048576 },
} as const;

export const usageRanges = ['hour', 'day'] as const;
export type UsageRange = (typeof usageRanges)[number];

export const roles = ['admin', 'member'] as const;
export type Role = (typeof roles)[number];

/** read: GET; write: all that the role may do with environments and keys; admin: administration. */
export const scopes = ['read', 'write', 'admin'] as const;
export type Scope = (typeof scopes)[number];

export const quotaLimits = ['environments', 'cpu', 'memory', 'gpu', 'storage'] as const;

/** Everything that the audit log tells of. */
export const auditActions = [
  'login',
  'logout',
  'ssh.login',
  'account.create',
  'account.update',
  'account.password',
  'account.delete',
  'token.create',
  'token.delete',
  'device.approve',
  'device.refuse',
  'customer.create',
  'customer.rename',
  'customer.update',
  'customer.delete',
  'quota.set',
  'environment.create',
  'environment.update',
  'environment.start',
  'environment.stop',
  'environment.restart',
  'environment.delete',
  'environment.reset-password',
  'terminal.end',
  'file.download',
  'file.upload',
  'connection.kill',
  'storage.delete',
  'ssh_key.add',
  'ssh_key.delete',
  'ssh_authority.add',
  'ssh_authority.delete',
  'ssh_revocations.set',
  'ssh_revocations.clear',
  'allowlist.add',
  'allowlist.remove',
  'lockout.set',
  'lockout.clear',
  'ban.set',
  'ban.clear',
  'image.add',
  'image.update',
  'image.check',
  'image.delete',
  'dataset.add',
  'dataset.update',
  'dataset.delete',
  'backup.make',
  'backup.restore',
  'secrets.rotate',
  'audit.prune',
] as const;
export type AuditAction = (typeof auditActions)[number];

export const auditOutcomes = ['done', 'refused'] as const;
export type AuditOutcome = (typeof auditOutcomes)[number];

/** A server process ends with this code when it wants to be started again, as after a restore (EX_TEMPFAIL). */
export const restartExitCode = 75;

/** Why the server ends the connection of a terminal's page. */
export const terminalEnds = [
  /** The session that was asked for is not there (any more), or there are too many. */
  'gone',
  'many',
  /** The environment does not run, and nobody asked for its start, or that failed. */
  'stopped',
  /** A control does not let this person in. */
  'refused',
  /** A control, or somebody, has ended the connection. */
  'ended',
  /** Nothing wrong with the person: worth another try soon. */
  'unavailable',
] as const;
export type TerminalEnd = (typeof terminalEnds)[number];

/** Bytes of a terminal's output that the server sends beyond what the page has taken. */
export const terminalWindowBytes = 1024 * 1024;
/** Bytes of its input that the page sends beyond what was taken. */
export const inputWindowBytes = 64 * 1024;
