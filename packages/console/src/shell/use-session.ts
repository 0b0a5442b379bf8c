import { useSuspenseQuery } from '@tanstack/react-query';
import { sessionQuery } from '../api/session.ts';

/** Who is signed in, on pages behind the sign-in. */
export function useSession() {
  return useSuspenseQuery(sessionQuery).data;
}
