/** What the form holds, and what becomes of it: the API's body and the command that does the same. */
import type { CreateEnvironment, Resources } from '@berth/contract';
import type { Exposure, OwnPortMode } from '@berth/contract/vocabulary';
import { commandLine } from '../../components/command-hint.tsx';

export interface Draft {
  name: string;
  /** null: the catalogue's default. */
  image: string | null;
  /** Of a preset, or `custom`. */
  size: Size;
  resources: Resources;
  datasets: string[];
  variables: { name: string; value: string }[];
  ownPort: OwnPortMode;
  /** null: the platform's. */
  exposure: Exposure | null;
  sudo: boolean;
  wake: boolean;
  passwordLogin: boolean;
  forwarding: Forwarding;
  adopt: string | null;
  /** null: one's own. */
  customer: number | null;
}

export const forwardingKinds = ['local', 'remote', 'agent', 'x11', 'sftp'] as const;
type Forwarding = Record<(typeof forwardingKinds)[number], boolean>;

export const sizes = ['small', 'medium', 'large', 'huge', 'custom'] as const;
export type Size = (typeof sizes)[number];

export const presets: Record<Exclude<Size, 'custom'>, Pick<Resources, 'cpu' | 'memory'>> = {
  small: { cpu: 1, memory: 2 },
  medium: { cpu: 2, memory: 4 },
  large: { cpu: 4, memory: 8 },
  huge: { cpu: 8, memory: 16 },
};

export const emptyDraft: Draft = {
  name: '',
  image: null,
  size: 'medium',
  resources: { ...presets.medium, gpu: 0, storage: 20 },
  datasets: [],
  variables: [],
  ownPort: 'auto',
  exposure: null,
  sudo: true,
  wake: true,
  passwordLogin: true,
  forwarding: { local: true, remote: true, agent: true, x11: true, sftp: true },
  adopt: null,
  customer: null,
};

/** Only what differs from what the server would take by itself. */
export function bodyOf(draft: Draft): CreateEnvironment {
  const forbidden = forwardingKinds.filter((kind) => !draft.forwarding[kind]);
  const variables = draft.variables.filter(({ name }) => name !== '');
  return {
    name: draft.name.trim(),
    ...(draft.image === null ? {} : { image: draft.image }),
    resources: draft.resources,
    ...(draft.datasets.length === 0 ? {} : { datasets: draft.datasets }),
    ...(variables.length === 0
      ? {}
      : { env_vars: Object.fromEntries(variables.map(({ name, value }) => [name, value])) }),
    ...(draft.ownPort === 'auto' ? {} : { own_port: draft.ownPort }),
    ...(draft.exposure === null ? {} : { exposure: draft.exposure }),
    ...(draft.sudo ? {} : { sudo: false }),
    ...(draft.wake ? {} : { wake: false }),
    ...(draft.passwordLogin ? {} : { password_login: false }),
    ...(forbidden.length === 0
      ? {}
      : { forwarding: Object.fromEntries(forbidden.map((kind) => [kind, false])) }),
    ...(draft.adopt === null ? {} : { adopt_storage: draft.adopt }),
    ...(draft.customer === null ? {} : { customer_id: draft.customer }),
  };
}

export function commandOf(draft: Draft): string {
  const body = bodyOf(draft);
  const { cpu, memory, gpu, storage } = draft.resources;
  const option = (name: string, value: string | undefined) =>
    value === undefined ? [] : [`--${name}`, value];
  return commandLine(
    'create',
    body.name || 'NAME',
    ...option('image', body.image),
    ...option('cpu', String(cpu)),
    ...option('memory', `${memory}Gi`),
    ...(gpu === 0 ? [] : option('gpu', String(gpu))),
    ...option('storage', `${storage}Gi`),
    ...draft.datasets.flatMap((each) => option('dataset', each)),
    ...Object.entries(body.env_vars ?? {}).flatMap(([name, value]) => option('env', `${name}=${value}`)),
    ...option('own-port', body.own_port),
    ...option('exposure', body.exposure),
    ...(draft.sudo ? [] : ['--no-sudo']),
    ...(draft.wake ? [] : option('wake', 'off')),
    ...(draft.passwordLogin ? [] : option('password-login', 'off')),
    ...(body.forwarding ? option('no-forwarding', Object.keys(body.forwarding).join(',')) : []),
    ...option('adopt-storage', body.adopt_storage),
    ...(body.customer_id === undefined ? [] : option('customer', String(body.customer_id))),
    '--wait',
  );
}
