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

/** What a session in the environment may forward, and whether it has the sftp subsystem. */
export const ForwardingPolicy = Type.Object(
  {
    local: Type.Boolean({ description: 'ports inside, as ssh -L, -D and -W have them' }),
    remote: Type.Boolean({ description: 'listeners inside, as ssh -R has them' }),
    agent: Type.Boolean({ description: "the person's SSH agent" }),
    x11: Type.Boolean(),
    sftp: Type.Boolean({ description: 'the sftp subsystem, which scp uses too' }),
  },
  { additionalProperties: false },
);

const accessSettings = {
  exposure: Type.Optional(
    oneOf(exposures, { description: "what serves the own port; default: the setting's" }),
  ),
  forwarding: Type.Optional(
    Type.Partial(ForwardingPolicy, {
      additionalProperties: false,
      minProperties: 1,
      description: 'those named; the others stay, or are on',
    }),
  ),
  password_login: Type.Optional(Type.Boolean({ description: 'default true; false: keys only' })),
  wake: Type.Optional(
    Type.Boolean({ description: 'default true: a login starts the environment when it is stopped' }),
  ),
};

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
    ...accessSettings,
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
    ...accessSettings,
  },
  {
    $id: 'UpdateEnvironment',
    additionalProperties: false,
    minProperties: 1,
    description:
      'name, forwarding, password_login and wake hold at once, for new logins; the others from the next start',
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
  exposure: oneOf(exposures, { description: 'what serves its own port' }),
  running_exposure: nullable(oneOf(exposures), {
    description: 'what serves it just now, where that differs; exposure holds from the next start',
  }),
  forwarding: ForwardingPolicy,
  password_login: Type.Boolean({ description: 'whether its password opens it' }),
  wake: Type.Boolean({ description: 'whether a login starts it when it is stopped' }),
  own_port: oneOf(ownPortModes),
  sudo: Type.Boolean(),
  status: oneOf(statuses),
  status_since: Timestamp,
  step: Type.Union([Type.String(), Type.Null()], { description: 'what Berth is doing just now' }),
  failure: Type.Union([Failure, Type.Null()], { description: 'cause and cure while status is failed' }),
  notes: Type.Array(Type.String(), { description: 'what does not hold as asked, said aloud' }),
  ssh_host: Type.String(),
  ssh_port: Type.Union([Type.Integer(), Type.Null()], { description: 'its own port' }),
  ssh_username: Type.String({ description: 'on its own port' }),
  shared_port: nullable(Type.Integer(), {
    description: 'the port for all, where its id is the user name; null: there is none',
  }),
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

/**
 * `GET /api/environments/:id/ssh`: everything a person needs to get in. What is not said to be of a certain way in is of the
 * first that there is: the own port, else the shared port.
 */
export const SshAccess = Type.Object(
  {
    env_id: EnvironmentId,
    ssh_host: Type.String(),
    ssh_port: nullable(Type.Integer(), { description: 'its own port' }),
    ssh_username: Type.String({ description: 'on its own port' }),
    ssh_password: Type.String(),
    password_changed_at: Timestamp,
    password_expires_at: nullable(Timestamp, { description: 'when Berth replaces it; null: never' }),
    ssh_command: nullable(Type.String()),
    vscode_config: nullable(Type.String()),
    sftp_url: nullable(Type.String()),
    host_keys: Type.Array(
      Type.Object({
        type: Type.String(),
        fingerprint: Type.String({ description: 'as ssh shows it at the first connection' }),
      }),
      { description: "the environment's own, on its own port and behind a jump" },
    ),
    known_hosts: nullable(Type.String(), { description: 'lines for ~/.ssh/known_hosts' }),
    shared_port: nullable(Type.Integer(), { description: 'null: there is none' }),
    shared_port_command: nullable(Type.String()),
    shared_known_hosts: nullable(Type.String(), {
      description: 'lines of the shared port; null as long as it has no host keys',
    }),
    jump_command: nullable(Type.String(), {
      description: 'through the shared port as your account, with one of its keys',
    }),
    jump_known_hosts: nullable(Type.String(), {
      description: "the environment's line behind a jump; those of the shared port are needed too",
    }),
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
