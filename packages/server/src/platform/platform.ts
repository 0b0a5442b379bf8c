/** What is known of this Berth as a whole, kept up by the reconciler. */
import type { OwnedThing } from '../runtime/runtime.ts';

export interface Platform {
  version: string;
  installationId: string;
  databaseKind: string;
  /** null: the runtime answers. */
  runtimeFault: string | null;
  notes: string[];
  storageEnforced: boolean;
  cpuCores: number;
  unclaimed: OwnedThing[];
}
