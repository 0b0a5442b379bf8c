/** A terminal where it stands, and what is to be said of it: that it is connecting, lost, stopped, or over. */
import { Button, Group, Loader, Text } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useSyncExternalStore } from 'react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { Pane } from './pane.ts';
import classes from './terminal.module.css';
import type { Workspace } from './workspace.ts';

interface Props {
  workspace: Workspace;
  id: string;
  isActive: boolean;
}

export function PaneView({ workspace, id, isActive }: Props) {
  const pane = workspace.pane(id);
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    place.current?.append(pane.host);
    pane.shown();
    return () => pane.hidden();
  }, [pane]);
  return (
    <div className={classes.pane} role="group" data-active={isActive || undefined} aria-label={useName(pane)}>
      <div ref={place} className={classes.place} />
      <Notices workspace={workspace} pane={pane} />
    </div>
  );
}

/** What its program calls it; of a shell's "user@host: folder" the folder, since all here are on one host. */
export function useName(pane: Pane): string {
  const { t } = useTranslation();
  const { title } = usePane(pane);
  return title.replace(/^\S+@\S+: */, '') || t('terminal.untitled');
}

export function usePane(pane: Pane) {
  return useSyncExternalStore(
    (listener) => pane.subscribe(listener),
    () => pane.state,
  );
}

function Notices({ workspace, pane }: { workspace: Workspace; pane: Pane }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { connection, lasts, isForeign } = usePane(pane);
  const isExited = connection.kind === 'exited';
  const isQuietExit = isExited && connection.status === 0;
  useEffect(() => {
    // Whoever leaves the shell of one of several terminals wants it gone.
    if (isQuietExit && workspace.state.layout.tabs.length > 1) workspace.detach(pane.id);
  }, [isQuietExit, workspace, pane]);
  const toEnvironment = () =>
    void navigate({ to: '/environments/$id', params: { id: workspace.environment } });
  switch (connection.kind) {
    case 'connecting':
      return <Notice isBusy>{t('terminal.connecting')}</Notice>;
    case 'waking':
      return (
        <Notice isBusy detail={connection.message}>
          {t('terminal.waking', { count: connection.seconds })}
        </Notice>
      );
    case 'lost':
      return (
        <Notice
          isBusy
          detail={lasts ? t('terminal.lostLasts') : t('terminal.lostEnds')}
          actions={
            <Button variant="default" size="compact-sm" onClick={() => pane.retryNow()}>
              {t('terminal.tryNow')}
            </Button>
          }
        >
          {t('terminal.lost')}
        </Notice>
      );
    case 'exited':
      return (
        <Notice
          actions={
            <>
              <Button size="compact-sm" onClick={() => workspace.replace(pane.id)}>
                {t('terminal.openNew')}
              </Button>
              <Button variant="default" size="compact-sm" onClick={toEnvironment}>
                {t('terminal.toEnvironment')}
              </Button>
            </>
          }
        >
          {connection.signal !== null
            ? t('terminal.endedBy', { signal: connection.signal })
            : t('terminal.endedWith', { status: connection.status ?? 0 })}
        </Notice>
      );
    case 'ended': {
      const { why, sentence } = connection;
      const isSession = why === 'gone' || why === 'many';
      return (
        <Notice
          detail={why === 'gone' ? undefined : sentence}
          actions={
            <>
              {why === 'gone' && (
                <Button size="compact-sm" onClick={() => workspace.replace(pane.id)}>
                  {t('terminal.openNew')}
                </Button>
              )}
              {!isSession && (
                <Button size="compact-sm" onClick={() => pane.connectAgain(why === 'stopped')}>
                  {why === 'stopped' ? t('terminal.start') : t('terminal.connectAgain')}
                </Button>
              )}
              <Button variant="default" size="compact-sm" onClick={toEnvironment}>
                {t('terminal.toEnvironment')}
              </Button>
            </>
          }
        >
          {t(`terminal.ends.${why}`)}
        </Notice>
      );
    }
    case 'live':
      if (isForeign)
        return (
          <Notice
            actions={
              <Button variant="default" size="compact-sm" onClick={() => pane.focus()}>
                {t('terminal.useThisSize')}
              </Button>
            }
          >
            {t('terminal.foreignSize')}
          </Notice>
        );
      return lasts ? null : <Notice>{t('terminal.doesNotLast')}</Notice>;
  }
}

interface NoticeProps {
  children: ReactNode;
  detail?: ReactNode;
  actions?: ReactNode;
  isBusy?: boolean;
}

function Notice({ children, detail, actions, isBusy = false }: NoticeProps) {
  return (
    <div className={classes.notice} role="status">
      {isBusy && <Loader size="xs" aria-hidden />}
      <div className={classes.words}>
        <Text size="sm">{children}</Text>
        {detail !== undefined && (
          <Text size="sm" c="dimmed">
            {detail}
          </Text>
        )}
      </div>
      {actions && <Group gap="xs">{actions}</Group>}
    </div>
  );
}
