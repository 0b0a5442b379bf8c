/** English of the first pages: the sign-in and the list of environments. */
import { common } from './common.ts';
import { environments } from './environments.ts';
import { shell } from './shell.ts';
import { signIn } from './sign-in.ts';

export const first = { ...common, ...shell, environments, signIn } as const;
