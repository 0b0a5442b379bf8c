import type { First } from '../shape.ts';
import { common } from './common.ts';
import { environments } from './environments.ts';
import { shell } from './shell.ts';
import { signIn } from './sign-in.ts';

export const first: First = { ...common, ...shell, environments, signIn };
