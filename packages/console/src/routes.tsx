/** Every page, and who may see it. A page's code is loaded when somebody goes there. */
import { pages } from '@berth/contract/paths';
import { auditOutcomes, entryMethods, roles, waysIn } from '@berth/contract/vocabulary';
import type { QueryClient } from '@tanstack/react-query';
import {
  createRootRouteWithContext,
  createRoute,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router';
import { ApiError } from './api/client.ts';
import { sessionQuery } from './api/session.ts';
import { flag, id, ownPath, period, sorting, states, text, word } from './app/search.ts';
import { loadLaterStrings } from './i18n/i18n.ts';
import { NotFound } from './shell/not-found.tsx';
import { PageFailed } from './shell/page-failed.tsx';

type Dollars<T extends string> = T extends `${infer Before}:${infer After}`
  ? `${Before}$${Dollars<After>}`
  : T;

/** Contract's templates as the router reads them. */
function at<T extends string>(template: T): Dollars<T> {
  return template.replaceAll(':', '$') as Dollars<T>;
}

/** What the first pages go without, Mantine's styles and strings, comes with any other page. */
function withParts<Page>(load: () => Promise<Page>): () => Promise<Page> {
  return async () => (await Promise.all([load(), import('./app/later.css'), loadLaterStrings()]))[0];
}

interface Context {
  queryClient: QueryClient;
}

const root = createRootRouteWithContext<Context>()({
  component: Outlet,
  notFoundComponent: NotFound,
  errorComponent: PageFailed,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: at(pages.signIn),
  validateSearch: ownPath,
  component: lazyRouteComponent(() => import('./pages/sign-in/sign-in.tsx'), 'SignInPage'),
});

/** Leads to the sign-in, and back, where nobody is signed in. */
async function mustBeSignedIn({ context, location }: { context: Context; location: { href: string } }) {
  await context.queryClient.ensureQueryData(sessionQuery).catch((error: unknown) => {
    if (error instanceof ApiError && error.status === 401)
      throw redirect({ to: '/sign-in', search: { from: location.href } });
    throw error;
  });
}

/** Pages behind the sign-in, with the navigation around them. */
const signedIn = createRoute({
  getParentRoute: () => root,
  id: 'signed-in',
  beforeLoad: mustBeSignedIn,
  component: lazyRouteComponent(() => import('./shell/shell.tsx'), 'Shell'),
});

/** Pages behind the sign-in that have the window for themselves. */
const signedInAlone = createRoute({
  getParentRoute: () => root,
  id: 'signed-in-alone',
  beforeLoad: mustBeSignedIn,
  component: Outlet,
});

const welcome = createRoute({
  getParentRoute: () => signedInAlone,
  path: at(pages.welcome),
  validateSearch: ownPath,
  component: lazyRouteComponent(
    withParts(() => import('./pages/welcome/welcome.tsx')),
    'WelcomePage',
  ),
});

const terminal = createRoute({
  getParentRoute: () => signedInAlone,
  path: at(pages.terminal),
  component: lazyRouteComponent(
    withParts(() => import('./pages/terminal/terminal.tsx')),
    'TerminalPage',
  ),
});

const home = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.home),
  beforeLoad: () => {
    throw redirect({ to: '/environments', replace: true });
  },
});

const account = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.account),
  component: lazyRouteComponent(
    withParts(() => import('./pages/account/account.tsx')),
    'AccountPage',
  ),
});

const environments = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.environments),
  validateSearch: (search: Record<string, unknown>) => ({
    ...text(search, 'search'),
    ...text(search, 'image'),
    ...id(search, 'customer'),
    ...states(search),
    ...sorting(search, ['name', 'status', 'status_since', 'created_at', 'started_at']),
  }),
  component: lazyRouteComponent(() => import('./pages/environments/list.tsx'), 'EnvironmentsPage'),
});

const newEnvironment = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.createEnvironment),
  component: lazyRouteComponent(
    withParts(() => import('./pages/create/create.tsx')),
    'CreatePage',
  ),
});

const environment = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.environment),
  component: lazyRouteComponent(
    withParts(() => import('./pages/environment/environment.tsx')),
    'EnvironmentPage',
  ),
});

const environmentTab = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.environmentTab),
  component: lazyRouteComponent(
    withParts(() => import('./pages/environment/environment.tsx')),
    'EnvironmentPage',
  ),
});

const tutorial = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.tutorial),
  component: lazyRouteComponent(
    withParts(() => import('./pages/tutorial/tutorial.tsx')),
    'TutorialPage',
  ),
});

const sshKeys = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.sshKeys),
  validateSearch: (search: Record<string, unknown>) => ({ ...id(search, 'customer'), ...id(search, 'key') }),
  component: lazyRouteComponent(
    withParts(() => import('./pages/ssh-keys/ssh-keys.tsx')),
    'SshKeysPage',
  ),
});

const sshAuthorities = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.sshAuthorities),
  validateSearch: (search: Record<string, unknown>) => id(search, 'customer'),
  component: lazyRouteComponent(
    withParts(() => import('./pages/ssh-keys/authorities.tsx')),
    'SshAuthoritiesPage',
  ),
});

const connections = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.connections),
  validateSearch: (search: Record<string, unknown>) => ({
    ...word(search, 'view', ['past']),
    ...id(search, 'customer'),
    ...text(search, 'environment'),
    ...text(search, 'source'),
    ...text(search, 'account'),
    ...text(search, 'fingerprint'),
    ...word(search, 'way', waysIn),
    ...word(search, 'method', entryMethods),
    ...period(search),
    ...text(search, 'open'),
  }),
  component: lazyRouteComponent(
    withParts(() => import('./pages/connections/connections.tsx')),
    'ConnectionsPage',
  ),
});

const images = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.images),
  validateSearch: (search: Record<string, unknown>) => text(search, 'image'),
  component: lazyRouteComponent(
    withParts(() => import('./pages/catalogue/images.tsx')),
    'ImagesPage',
  ),
});

const datasets = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.datasets),
  validateSearch: (search: Record<string, unknown>) => text(search, 'dataset'),
  component: lazyRouteComponent(
    withParts(() => import('./pages/catalogue/datasets.tsx')),
    'DatasetsPage',
  ),
});

const ports = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.ports),
  validateSearch: (search: Record<string, unknown>) => ({
    ...word(search, 'view', ['table']),
    ...id(search, 'port'),
    ...text(search, 'environment'),
    ...id(search, 'customer'),
    ...word(search, 'status', ['active', 'released']),
    ...sorting(search, ['allocated_at', 'external_port']),
  }),
  component: lazyRouteComponent(
    withParts(() => import('./pages/ports/ports.tsx')),
    'PortsPage',
  ),
});

const allowlist = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.allowlist),
  validateSearch: (search: Record<string, unknown>) => id(search, 'customer'),
  component: lazyRouteComponent(
    withParts(() => import('./pages/controls/allowlist.tsx')),
    'AllowlistPage',
  ),
});

const lockouts = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.lockouts),
  validateSearch: (search: Record<string, unknown>) => ({
    ...word(search, 'view', ['bans']),
    ...text(search, 'environment'),
    ...text(search, 'source'),
    ...flag(search, 'all'),
  }),
  component: lazyRouteComponent(
    withParts(() => import('./pages/controls/lockouts.tsx')),
    'LockoutsPage',
  ),
});

const quotas = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.quotas),
  component: lazyRouteComponent(
    withParts(() => import('./pages/people/quotas.tsx')),
    'QuotasPage',
  ),
});

const keptStorage = createRoute({
  getParentRoute: () => signedIn,
  path: at(pages.keptStorage),
  validateSearch: (search: Record<string, unknown>) => ({
    ...text(search, 'search'),
    ...id(search, 'customer'),
  }),
  component: lazyRouteComponent(
    withParts(() => import('./pages/platform/storage.tsx')),
    'KeptStoragePage',
  ),
});

/** Pages that members are not shown. */
const administrators = createRoute({
  getParentRoute: () => signedIn,
  id: 'administrators',
  component: lazyRouteComponent(
    withParts(() => import('./shell/admins-only.tsx')),
    'AdminsOnly',
  ),
});

const customers = createRoute({
  getParentRoute: () => administrators,
  path: at(pages.customers),
  validateSearch: (search: Record<string, unknown>) => text(search, 'search'),
  component: lazyRouteComponent(
    withParts(() => import('./pages/people/customers.tsx')),
    'CustomersPage',
  ),
});

const customer = createRoute({
  getParentRoute: () => administrators,
  path: at(pages.customer),
  validateSearch: (search: Record<string, unknown>) => id(search, 'account'),
  component: lazyRouteComponent(
    withParts(() => import('./pages/people/customer.tsx')),
    'CustomerPage',
  ),
});

const accounts = createRoute({
  getParentRoute: () => administrators,
  path: at(pages.accounts),
  validateSearch: (search: Record<string, unknown>) => ({
    ...text(search, 'search'),
    ...word(search, 'role', roles),
    ...id(search, 'customer'),
    ...id(search, 'account'),
  }),
  component: lazyRouteComponent(
    withParts(() => import('./pages/people/accounts.tsx')),
    'AccountsPage',
  ),
});

const audit = createRoute({
  getParentRoute: () => administrators,
  path: at(pages.audit),
  validateSearch: (search: Record<string, unknown>) => ({
    ...text(search, 'action'),
    ...text(search, 'account'),
    ...id(search, 'customer'),
    ...text(search, 'target'),
    ...text(search, 'source'),
    ...word(search, 'outcome', auditOutcomes),
    ...period(search),
  }),
  component: lazyRouteComponent(
    withParts(() => import('./pages/audit/audit.tsx')),
    'AuditPage',
  ),
});

const settings = createRoute({
  getParentRoute: () => administrators,
  path: at(pages.settings),
  validateSearch: (search: Record<string, unknown>) => ({
    ...text(search, 'search'),
    ...flag(search, 'set'),
  }),
  component: lazyRouteComponent(
    withParts(() => import('./pages/platform/settings.tsx')),
    'SettingsPage',
  ),
});

const health = createRoute({
  getParentRoute: () => administrators,
  path: at(pages.health),
  component: lazyRouteComponent(
    withParts(() => import('./pages/platform/health.tsx')),
    'HealthPage',
  ),
});

export const routeTree = root.addChildren([
  signIn,
  signedInAlone.addChildren([welcome, terminal]),
  signedIn.addChildren([
    home,
    account,
    environments,
    newEnvironment,
    environment,
    environmentTab,
    tutorial,
    sshKeys,
    sshAuthorities,
    connections,
    images,
    datasets,
    allowlist,
    lockouts,
    ports,
    quotas,
    keptStorage,
    administrators.addChildren([customers, customer, accounts, audit, settings, health]),
  ]),
]);
