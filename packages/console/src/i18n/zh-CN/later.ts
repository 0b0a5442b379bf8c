import type { Later } from '../shape.ts';
import { account } from './account.ts';
import { audit } from './audit.ts';
import { catalogue } from './catalogue.ts';
import { connections } from './connections.ts';
import { controls } from './controls.ts';
import { create } from './create.ts';
import { diagnosis } from './diagnosis.ts';
import { allowlist, environment, eventKind, method, way } from './environment.ts';
import { keys } from './keys.ts';
import { people } from './people.ts';
import { platform } from './platform.ts';
import { ports } from './ports.ts';
import { shared } from './shared.ts';
import { terminal } from './terminal.ts';
import { tutorial } from './tutorial.ts';
import { usage } from './usage.ts';

export const later: Later = {
  ...shared,
  account,
  allowlist,
  audit,
  catalogue,
  connections,
  controls,
  create,
  diagnosis,
  environment,
  eventKind,
  keys,
  method,
  people,
  platform,
  ports,
  terminal,
  tutorial,
  usage,
  way,
};
