/** The router, and what the server answered so far. An answer that nobody is signed in leads to the sign-in, and back. */
import { QueryCache, QueryClient, MutationCache } from '@tanstack/react-query';
import { createRouter } from '@tanstack/react-router';
import { noteNavigation } from './arrival.ts';
import { ApiError } from '../api/client.ts';
import { routeTree } from '../routes.tsx';

export const queryClient = new QueryClient({
  queryCache: new QueryCache({ onError: leadToSignIn }),
  mutationCache: new MutationCache({ onError: leadToSignIn }),
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (count, error) => count < 2 && !(error instanceof ApiError && error.isFinal),
    },
  },
});

export const router = createRouter({
  routeTree,
  context: { queryClient },
  defaultPreload: 'intent',
  defaultPreloadStaleTime: 0,
  scrollRestoration: true,
});

router.subscribe('onBeforeNavigate', ({ fromLocation, pathChanged }) => {
  if (fromLocation !== undefined && pathChanged) noteNavigation();
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}

function leadToSignIn(error: unknown): void {
  if (!(error instanceof ApiError && error.code === 'unauthorized')) return;
  const { pathname, href } = router.state.location;
  queryClient.clear();
  if (pathname !== '/sign-in') void router.navigate({ to: '/sign-in', search: { from: href } });
}
