/** The terminals of one environment, on the whole page: tabs and splits, search, files, and how it all looks. */
import { Center, Loader, useComputedColorScheme } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useEffect, useState, useSyncExternalStore } from 'react';
import { useTranslation } from 'react-i18next';
import '@xterm/xterm/css/xterm.css';
import { ApiError } from '../../api/client.ts';
import { environmentQuery } from '../../api/environments.ts';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Bar } from './bar.tsx';
import { FilesDialog } from './files-dialog.tsx';
import { KeyBar } from './key-bar.tsx';
import { PasteDialog } from './paste-dialog.tsx';
import { SearchBar } from './search-bar.tsx';
import { PartView } from './split-view.tsx';
import classes from './terminal.module.css';
import { TransferList } from './transfer-list.tsx';
import { useShortcuts } from './shortcuts.ts';
import { Workspace } from './workspace.ts';

const route = getRouteApi('/signed-in-alone/terminal/$id');

export function TerminalPage() {
  const { id } = route.useParams();
  const { data: environment, error } = useQuery(environmentQuery(id));
  const workspace = useWorkspace(id);
  const { t } = useTranslation();
  useDocumentTitle(environment === undefined ? 'Berth' : t('terminal.title', { name: environment.name }));
  if (environment === undefined && error !== null) return <ProblemAlert error={error} />;
  if (environment === undefined || workspace === null)
    return (
      <Center h="100dvh">
        <Loader size="sm" aria-label={t('common.loading')} />
      </Center>
    );
  return <Terminals workspace={workspace} id={id} name={environment.name} />;
}

function Terminals({ workspace, id, name }: { workspace: Workspace; id: string; name: string }) {
  const { layout, paste } = useSyncExternalStore(workspace.subscribe, () => workspace.state);
  const [isSearching, setSearching] = useState(false);
  const [isBrowsing, setBrowsing] = useState(false);
  useShortcuts(workspace, { search: () => setSearching(true) });
  const shown = layout.tabs.find((tab) => tab.id === layout.shown);
  // Each tab begins with the keyboard in it.
  const { active } = shown ?? {};
  useEffect(() => {
    if (active !== undefined) workspace.pane(active).focus();
  }, [workspace, active]);
  return (
    <div className={classes.page}>
      <Bar
        workspace={workspace}
        layout={layout}
        environment={{ id, name }}
        search={() => setSearching(!isSearching)}
        browse={() => setBrowsing(true)}
      />
      <main className={classes.main}>
        {isSearching && workspace.active && (
          <SearchBar
            key={workspace.active.id}
            pane={workspace.active}
            close={() => {
              setSearching(false);
              workspace.active?.focus();
            }}
          />
        )}
        {shown && (
          <div className={classes.parts} key={shown.id}>
            <PartView workspace={workspace} tab={shown} part={shown.root} path={[]} />
          </div>
        )}
        <TransferList workspace={workspace} />
      </main>
      <KeyBar workspace={workspace} />
      {paste !== null && <PasteDialog {...paste} />}
      {isBrowsing && <FilesDialog workspace={workspace} close={() => setBrowsing(false)} />}
    </div>
  );
}

/** Made once for an environment; null until it knows what to show. */
function useWorkspace(id: string): Workspace | null {
  const queryClient = useQueryClient();
  const scheme = useComputedColorScheme('light');
  const [workspace, setWorkspace] = useState<Workspace | null>(null);
  useEffect(() => {
    const made = new Workspace({
      environment: id,
      scheme: document.documentElement.dataset['mantineColorScheme'] === 'dark' ? 'dark' : 'light',
      isAsked: wasAskedFor(),
      mayTryAgain: async () => {
        try {
          await queryClient.fetchQuery({ ...environmentQuery(id), staleTime: 0 });
          return true;
        } catch (error) {
          return !(error instanceof ApiError && error.isFinal);
        }
      },
    });
    let isGone = false;
    const begin = async () => {
      // The terminal measures its face when it is opened.
      await Promise.all([document.fonts.load("14px 'IBM Plex Mono'"), made.begin()]);
      if (!isGone) setWorkspace(made);
    };
    void begin();
    return () => {
      isGone = true;
      setWorkspace(null);
      made.dispose();
    };
  }, [id, queryClient]);
  useEffect(() => workspace?.setScheme(scheme), [workspace, scheme]);
  return workspace;
}

/** A browser that opens its old pages again by itself must not undo a person's stop. */
function wasAskedFor(): boolean {
  const [entry] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[];
  return entry === undefined || entry.type === 'navigate';
}
