/** Sessions, logins of the command, and tokens made by hand: all that opens Berth as this account. */
import type { CreateToken, CreatedToken } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { call } from './client.ts';

export const createToken = (token: CreateToken) => call<CreatedToken>('POST', routes.tokens, { body: token });

export const removeToken = (id: number) => call<string>('DELETE', routes.token, { path: { id: String(id) } });
