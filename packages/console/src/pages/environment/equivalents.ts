/** What each button of the page does, as a command and as an API call. */
import { pathOf, routes } from '@berth/contract/paths';
import { commandLine } from '../../components/command-hint.tsx';
import type { Equivalent } from '../../components/command-hint.tsx';

export const actions = ['start', 'stop', 'restart', 'delete', 'reset-password', 'ssh-info'] as const;
export type Action = (typeof actions)[number];

const requests: Record<Action, [method: string, template: string]> = {
  start: ['POST', routes.environmentStart],
  stop: ['POST', routes.environmentStop],
  restart: ['POST', routes.environmentRestart],
  delete: ['DELETE', routes.environment],
  'reset-password': ['POST', routes.environmentResetPassword],
  'ssh-info': ['GET', routes.environmentSsh],
};

export function equivalentOf(action: Action, id: string): Equivalent {
  const [method, template] = requests[action];
  return { command: commandLine(action, id), request: `${method} ${pathOf(template, { id })}` };
}
