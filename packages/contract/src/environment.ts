/**
 * Environments as the API shows them. Field names follow the design document's chapters 8 and 9.
 */
import Type from 'typebox';
import type { Static } from 'typebox';
import { NumericId, Timestamp, listQuery, nameForPeople, nullable, oneOf, page, slug } from './common.ts';
import { exposures, ownPortModes, resourceBounds, statuses } from './vocabulary.ts';

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
  { additionalProperties: false },
);
export type Resources = Static<typeof Resources>;

export const defaultResources: Resources = { cpu: 2, memory: 4, gpu: 0, storage: 20 };

export const EnvironmentName = nameForPeople();

/** Environment ids: a slug of the name and four characters. */
export const EnvironmentId = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{1,40}$', maxLength: 41 });

const PartialResources = Type.Partial(Resources, { additionalProperties: false });

/** Names as POSIX has them; `BERTH_*` is Berth's own, and those of bash that nothing can change are nobody's. */
const VariableName = Type.String({
  pattern: '^(?!BERTH_|(BASHOPTS|BASH_VERSINFO|EUID|PPID|SHELLOPTS|UID)$)[A-Za-z_][A-Za-z0-9_]{0,127}$',
});
/** No zero character. */
const VariableValue = Type.String({ maxLength: 8192, pattern: '^[^\\u0000]*$' });
/** How many variables one environment has at most. */
export const mostVariables = 100;
const variables = { maxProperties: mostVariables, additionalProperties: false };

export const EnvironmentVariables = Type.Record(VariableName, VariableValue, variables);
export type EnvironmentVariables = Static<typeof EnvironmentVariables>;

/** Bytes of all names and values together: they are handed to each program that starts. */
export const longestVariablesBytes = 128 * 1024;

export const CreateEnvironment = Type.Object(
  {
    name: EnvironmentName,
    image: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 128,
        pattern: '^[^\\u0000-\\u001f\\u007f]+$',
        description: 'name in the catalogue',
      }),
    ),
    resources: Type.Optional(PartialResources),
    datasets: Type.Optional(
      Type.Array(slug('a data set'), {
        maxItems: 32,
        uniqueItems: true,
        description: 'data sets, each mounted at /gemini/data-<name>',
      }),
    ),
    env_vars: Type.Optional(EnvironmentVariables),
    own_port: Type.Optional(oneOf(ownPortModes, { description: 'default auto' })),
    sudo: Type.Optional(Type.Boolean({ description: 'default true' })),
    customer_id: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 2147483647,
        description: 'for an administrator; default: your own',
      }),
    ),
    adopt_storage: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9][a-z0-9-]{1,40}$',
        maxLength: 41,
        description: "id of a deleted environment whose files were kept; they become this one's",
      }),
    ),
  },
  { $id: 'CreateEnvironment', additionalProperties: false },
);
export type CreateEnvironment = Static<typeof CreateEnvironment>;

export const UpdateEnvironment = Type.Object(
  {
    name: Type.Optional(EnvironmentName),
    resources: Type.Optional(PartialResources),
    env_vars: Type.Optional(
      Type.Record(VariableName, nullable(VariableValue), {
        ...variables,
        description: 'those named are set, or removed by null; the others stay',
      }),
    ),
    datasets: Type.Optional(
      Type.Array(slug('a data set'), { maxItems: 32, uniqueItems: true, description: 'all of them' }),
    ),
    sudo: Type.Optional(Type.Boolean()),
  },
  {
    $id: 'UpdateEnvironment',
    additionalProperties: false,
    minProperties: 1,
    description: 'all but the name take effect at the next start',
  },
);
export type UpdateEnvironment = Static<typeof UpdateEnvironment>;

export const StartEnvironment = Type.Object(
  {
    resources: Type.Optional(
      Type.Partial(Type.Omit(Resources, ['storage']), { additionalProperties: false }),
    ),
  },
  {
    $id: 'StartEnvironment',
    additionalProperties: false,
    description: 'resources for this run only, such as {"gpu": 0}; storage cannot differ from run to run',
  },
);
export type StartEnvironment = Static<typeof StartEnvironment>;

export const DeleteEnvironment = Type.Object(
  {
    keep_storage: Type.Optional(Type.Boolean({ default: false, description: 'keep its files for another' })),
  },
  { additionalProperties: false },
);

/** Files of a deleted environment that were kept. */
export const KeptStorage = Type.Object(
  {
    env_id: EnvironmentId,
    name: Type.String({ description: 'the name of the environment whose files they were' }),
    customer_id: Type.Integer(),
    storage: Type.Number({ description: 'GiB for each of the folders' }),
    kept_since: Timestamp,
  },
  { $id: 'KeptStorage' },
);
export type KeptStorage = Static<typeof KeptStorage>;
export const KeptStoragePage = page(KeptStorage, 'KeptStoragePage');
export type KeptStoragePage = Static<typeof KeptStoragePage>;
export const ListKeptStorage = listQuery({
  search: Type.Optional(Type.String({ maxLength: 64, description: 'part of the name or id, in any case' })),
  customer_id: Type.Optional(NumericId),
});
export type ListKeptStorage = Static<typeof ListKeptStorage>;

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
  running_resources: nullable(Resources, {
    description: 'what it runs with just now, where that differs; the others hold from the next start',
  }),
  datasets: Type.Array(Type.String()),
  env_vars: Type.Array(Type.String(), {
    description: "names only; GET on the environment's ssh shows no values either",
  }),
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
  started_at: nullable(Timestamp),
  password_expires_at: nullable(Timestamp, { description: 'when Berth replaces the password; null: never' }),
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

export const environmentSortKeys = ['created_at', 'name', 'status', 'started_at'] as const;
export type EnvironmentSortKey = (typeof environmentSortKeys)[number];

export const ListEnvironments = listQuery({
  name: Type.Optional(Type.String({ maxLength: 64, description: 'only the environment of this name or id' })),
  search: Type.Optional(Type.String({ maxLength: 64, description: 'part of the name or id, in any case' })),
  status: Type.Optional(oneOf(statuses)),
  image: Type.Optional(Type.String({ maxLength: 128 })),
  customer_id: Type.Optional(NumericId),
  sort: Type.Optional(
    oneOf(
      environmentSortKeys.flatMap((key) => [key, `-${key}`] as const),
      { default: '-created_at', description: 'with "-" the greatest first' },
    ),
  ),
});
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
    password_expires_at: nullable(Timestamp, { description: 'when Berth replaces it; null: never' }),
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
    id: Type.Integer({ description: 'grows with time' }),
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
    cursor: Type.Optional(Type.String({ maxLength: 500, description: 'next_cursor of the page before' })),
    after: Type.Optional(Type.Integer({ minimum: 0, description: 'only events with a greater id' })),
    kind: Type.Optional(oneOf(eventKinds)),
    search: Type.Optional(Type.String({ maxLength: 64, description: 'part of the message, in any case' })),
    sort: Type.Optional(oneOf(['at', '-at'], { default: 'at', description: 'with "-" the latest first' })),
  },
  { additionalProperties: false },
);
export type ListEvents = Static<typeof ListEvents>;

export const LogsQuery = Type.Object(
  {
    tail: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 10000, default: 200, description: 'last lines' }),
    ),
    follow: Type.Optional(Type.Boolean({ default: false })),
  },
  { additionalProperties: false },
);
