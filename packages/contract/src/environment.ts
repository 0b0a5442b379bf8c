/**
 * Environments as the API shows them. Field names follow the design document's chapters 8 and 9.
 */
import Type from 'typebox';
import type { Static } from 'typebox';
import { Timestamp, page } from './common.ts';
import { exposures, ownPortModes, resourceBounds, statuses } from './vocabulary.ts';

const oneOf = <T extends string>(values: readonly T[], options: object = {}) =>
  Type.Unsafe<T>({ type: 'string', enum: [...values], ...options });

/** The bounds of one environment's resources. */
export const Resources = Type.Object(
  {
    cpu: Type.Number({ ...resourceBounds.cpu, description: 'cores' }),
    memory: Type.Number({ ...resourceBounds.memory, description: 'GiB' }),
    gpu: Type.Integer({ ...resourceBounds.gpu, description: 'whole devices' }),
    storage: Type.Number({
      ...resourceBounds.storage,
      description: 'GiB for each of the folders that last; enforced where the volume driver can',
    }),
  },
  { $id: 'Resources', additionalProperties: false },
);
export type Resources = Static<typeof Resources>;

export const defaultResources: Resources = { cpu: 2, memory: 4, gpu: 0, storage: 20 };

export const EnvironmentName = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern:
    '^[^\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff/\\\\]+$',
  description: 'for people; 1 to 64 characters, no control characters, no slashes',
});

/** Environment ids: a slug of the name and four characters. */
export const EnvironmentId = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{1,40}$', maxLength: 41 });

export const CreateEnvironment = Type.Object(
  {
    name: EnvironmentName,
    image: Type.Optional(Type.String({ minLength: 1, maxLength: 128, description: 'name in the catalogue' })),
    resources: Type.Optional(Type.Partial(Resources, { additionalProperties: false })),
    own_port: Type.Optional(oneOf(ownPortModes, { description: 'default auto' })),
    sudo: Type.Optional(Type.Boolean({ description: 'default true' })),
  },
  { $id: 'CreateEnvironment', additionalProperties: false },
);
export type CreateEnvironment = Static<typeof CreateEnvironment>;

export const Failure = Type.Object(
  {
    code: Type.String(),
    cause: Type.String({ description: 'what happened, in plain words' }),
    cure: Type.String({ description: 'what to do' }),
  },
  { $id: 'Failure' },
);
export type Failure = Static<typeof Failure>;

const environmentFields = {
  env_id: EnvironmentId,
  name: Type.String(),
  customer_id: Type.Integer(),
  image: Type.String(),
  resources: Resources,
  exposure: oneOf(exposures),
  own_port: oneOf(ownPortModes),
  sudo: Type.Boolean(),
  status: oneOf(statuses),
  status_since: Timestamp,
  step: Type.Union([Type.String(), Type.Null()], { description: 'what Berth is doing just now' }),
  failure: Type.Union([Failure, Type.Null()], { description: 'cause and cure while status is failed' }),
  notes: Type.Array(Type.String(), { description: 'what does not hold as asked, said aloud' }),
  ssh_host: Type.String(),
  ssh_port: Type.Union([Type.Integer(), Type.Null()]),
  ssh_username: Type.String(),
  jupyter_url: Type.String(),
  created_at: Timestamp,
  started_at: Type.Union([Timestamp, Type.Null()]),
};

export const Environment = Type.Object(environmentFields, { $id: 'Environment' });
export type Environment = Static<typeof Environment>;

export const CreatedEnvironment = Type.Object(
  { ...environmentFields, ssh_password: Type.String() },
  { $id: 'CreatedEnvironment' },
);
export type CreatedEnvironment = Static<typeof CreatedEnvironment>;

export const EnvironmentPage = page(Environment, 'EnvironmentPage');
export type EnvironmentPage = Static<typeof EnvironmentPage>;

export const ListEnvironments = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
    cursor: Type.Optional(Type.String({ maxLength: 200, description: 'next_cursor of the page before' })),
    name: Type.Optional(
      Type.String({ maxLength: 64, description: 'only the environment of this name or id' }),
    ),
    status: Type.Optional(oneOf(statuses)),
  },
  { additionalProperties: false },
);
export type ListEnvironments = Static<typeof ListEnvironments>;

/** `GET /api/environments/:id/ssh`: everything a person needs to get in. */
export const SshAccess = Type.Object(
  {
    env_id: EnvironmentId,
    ssh_host: Type.String(),
    ssh_port: Type.Union([Type.Integer(), Type.Null()]),
    ssh_username: Type.String(),
    ssh_password: Type.String(),
    password_changed_at: Timestamp,
    ssh_command: Type.Union([Type.String(), Type.Null()]),
    vscode_config: Type.Union([Type.String(), Type.Null()]),
    sftp_url: Type.Union([Type.String(), Type.Null()]),
    host_keys: Type.Array(
      Type.Object({
        type: Type.String(),
        fingerprint: Type.String({ description: 'as ssh shows it at the first connection' }),
      }),
    ),
    known_hosts: Type.Union([Type.String(), Type.Null()], { description: 'a line for ~/.ssh/known_hosts' }),
  },
  { $id: 'SshAccess' },
);
export type SshAccess = Static<typeof SshAccess>;

export const NewPassword = Type.Object({ ssh_password: Type.String() }, { $id: 'NewPassword' });
export type NewPassword = Static<typeof NewPassword>;

export const eventKinds = ['request', 'step', 'status', 'note', 'drift', 'retry', 'port'] as const;
export type EventKind = (typeof eventKinds)[number];

/** One line of an environment's timeline. */
export const EnvironmentEvent = Type.Object(
  {
    id: Type.Integer({ description: 'grows; the cursor of this list' }),
    at: Timestamp,
    kind: oneOf(eventKinds),
    step: Type.Union([Type.String(), Type.Null()]),
    message: Type.String(),
    status: Type.Union([oneOf(statuses), Type.Null()]),
  },
  { $id: 'EnvironmentEvent' },
);
export type EnvironmentEvent = Static<typeof EnvironmentEvent>;

export const EventPage = page(EnvironmentEvent, 'EventPage');
export type EventPage = Static<typeof EventPage>;

export const ListEvents = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 200 })),
    after: Type.Optional(Type.Integer({ minimum: 0, description: 'only events with a greater id' })),
  },
  { additionalProperties: false },
);

export const LogsQuery = Type.Object(
  {
    tail: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 10000, default: 200, description: 'last lines' }),
    ),
    follow: Type.Optional(Type.Boolean({ default: false })),
  },
  { additionalProperties: false },
);
