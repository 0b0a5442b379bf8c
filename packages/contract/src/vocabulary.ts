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

export const loginMethods = ['password', 'publickey', 'keyboard-interactive'] as const;
export type LoginMethod = (typeof loginMethods)[number];

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

export const roles = ['admin', 'member'] as const;
export type Role = (typeof roles)[number];

/** read: GET; write: all that the role may do with environments and keys; admin: administration. */
export const scopes = ['read', 'write', 'admin'] as const;
export type Scope = (typeof scopes)[number];

export const quotaLimits = ['environments', 'cpu', 'memory', 'gpu', 'storage'] as const;

/** A server process ends with this code when it wants to be started again, as after a restore (EX_TEMPFAIL). */
export const restartExitCode = 75;
