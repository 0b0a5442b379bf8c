/** The diagnosis of an environment: asked for by a person, never by itself. */
import type { DiagnoseEnvironment, Diagnosis } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { call } from './client.ts';

export const diagnose = (id: string, query: DiagnoseEnvironment) =>
  call<Diagnosis>('GET', routes.environmentDiagnosis, { path: { id }, query });
