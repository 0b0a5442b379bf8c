/** What stands around each page of a person who is signed in: the way to the other pages, and the person's own. */
import { ActionIcon, Kbd, UnstyledButton } from '@mantine/core';
import { useDisclosure, useHotkeys } from '@mantine/hooks';
import { IconLogout, IconMenu2, IconSearch } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router';
import { Suspense, lazy, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useLiveEnvironments } from '../api/live.ts';
import { signOut } from '../api/session.ts';
import { useFormat } from '../i18n/format.ts';
import { Navigation } from './navigation.tsx';
import classes from './shell.module.css';
import { useSession } from './use-session.ts';
import { WordMark } from './word-mark.tsx';

const Drawer = lazy(() => import('./navigation-drawer.tsx'));
const CommandPalette = lazy(() => import('./command-palette.tsx'));

export function Shell() {
  const { t } = useTranslation();
  const silentSince = useLiveEnvironments();
  const [drawerOpened, drawer] = useDisclosure();
  const [paletteOpened, palette] = useDisclosure();
  useHotkeys([
    ['mod+K', palette.open],
    ['/', palette.open],
  ]);
  const path = useRouterState({ select: ({ location }) => location.pathname });
  const closeDrawer = drawer.close;
  useEffect(closeDrawer, [path, closeDrawer]);

  return (
    <div className={classes.shell}>
      <a className={classes.skip} href="#main">
        {t('shell.skip')}
      </a>
      <aside className={classes.top} aria-label={t('shell.bar')}>
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={t('shell.menu')}
          aria-expanded={drawerOpened}
          onClick={drawer.open}
        >
          <IconMenu2 size={22} aria-hidden />
        </ActionIcon>
        <WordMark />
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={t('shell.find')}
          onClick={palette.open}
        >
          <IconSearch size={20} aria-hidden />
        </ActionIcon>
      </aside>
      <aside className={classes.side} aria-label={t('shell.bar')}>
        <WordMark />
        <UnstyledButton className={classes.search} onClick={palette.open} aria-keyshortcuts="Control+K">
          <IconSearch size={16} aria-hidden />
          <span>{t('shell.find')}</span>
          <Kbd size="xs">{isApple ? '⌘ K' : 'Ctrl K'}</Kbd>
        </UnstyledButton>
        <div className={classes.pages}>
          <Navigation />
        </div>
        <Person />
      </aside>
      <Suspense>
        {drawerOpened && (
          <Drawer close={drawer.close}>
            <Navigation />
            <Person />
          </Drawer>
        )}
        {paletteOpened && <CommandPalette close={palette.close} />}
      </Suspense>
      <main id="main" tabIndex={-1} className={classes.main}>
        {silentSince !== null && <Silent since={silentSince} />}
        <Outlet />
      </main>
    </div>
  );
}

/** The server does not answer, so what is shown may be old. One that is merely started again is back before this is seen. */
function Silent({ since }: { since: Date }) {
  const { t } = useTranslation();
  const format = useFormat();
  const [isLong, setIsLong] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setIsLong(true), bearableMs);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div role="status">
      {isLong && <p className={classes.silent}>{t('shell.silent', { since: format.clock(since) })}</p>}
    </div>
  );
}

const bearableMs = 5000;

const isApple = /Mac|iPhone|iPad/.test(navigator.userAgent);

function Person() {
  const { t } = useTranslation();
  const { account, customer } = useSession();
  const navigate = useNavigate();
  const queryClient = useQueryClient();
  const leave = async () => {
    // Whatever the server says, this browser shows nothing more.
    await signOut().catch(() => undefined);
    queryClient.clear();
    await navigate({ to: '/sign-in' });
  };
  return (
    <div className={classes.person}>
      <Link to="/account" className={classes.who}>
        <span>{account}</span>
        <span className={classes.customer}>{customer}</span>
      </Link>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={t('shell.signOut')}
        title={t('shell.signOut')}
        onClick={() => void leave()}
      >
        <IconLogout size={18} aria-hidden />
      </ActionIcon>
    </div>
  );
}
