/** The top of the terminals' page: the way back, the tabs, and what can be done. */
import { ActionIcon, Group, Popover, Radio, Switch, Text, UnstyledButton } from '@mantine/core';
import {
  IconChevronLeft,
  IconColumns2,
  IconDots,
  IconFolder,
  IconMinus,
  IconPlus,
  IconRowInsertBottom,
  IconSearch,
  IconX,
} from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { routes } from '@berth/contract/paths';
import { Ago } from '../../components/time.tsx';
import { EndDialog } from './end-dialog.tsx';
import { allPanes, panesOf } from './layout.ts';
import type { Layout, Tab } from './layout.ts';
import type { Pane } from './pane.ts';
import { useName, usePane } from './pane-view.tsx';
import { setPreferences, usePreferences } from './preferences.ts';
import { ariaKeys } from './shortcuts.ts';
import type { shortcuts } from './shortcuts.ts';
import classes from './terminal.module.css';
import { themeNames } from './themes.ts';
import type { ThemeName } from './themes.ts';
import type { Workspace } from './workspace.ts';

interface Props {
  workspace: Workspace;
  layout: Layout;
  environment: { id: string; name: string };
  search: () => void;
  browse: () => void;
}

export function Bar({ workspace, layout, environment, search, browse }: Props) {
  const { t } = useTranslation();
  const [ending, setEnding] = useState<string | null>(null);
  return (
    <header className={classes.bar}>
      <Link to="/environments/$id" params={{ id: environment.id }} className={classes.back}>
        <IconChevronLeft size={16} aria-hidden />
        <h1 className={classes.heading}>{environment.name}</h1>
      </Link>
      <ul className={classes.tabs} aria-label={t('terminal.tabs')}>
        {layout.tabs.map((tab) => (
          <TabButton
            key={tab.id}
            workspace={workspace}
            tab={tab}
            isShown={tab.id === layout.shown}
            end={() => setEnding(tab.active)}
          />
        ))}
      </ul>
      <Action label={t('terminal.newTab')} act={() => workspace.open()}>
        <IconPlus size={18} aria-hidden />
      </Action>
      <div className={classes.actions}>
        <span className={classes.wide}>
          <Action label={t('terminal.splitRight')} keys="splitRight" act={() => workspace.split('row')}>
            <IconColumns2 size={18} aria-hidden />
          </Action>
          <Action label={t('terminal.splitDown')} keys="splitDown" act={() => workspace.split('column')}>
            <IconRowInsertBottom size={18} aria-hidden />
          </Action>
        </span>
        <Action label={t('terminal.search.open')} keys="search" act={search}>
          <IconSearch size={18} aria-hidden />
        </Action>
        <Action label={t('terminal.files.open')} act={browse}>
          <IconFolder size={18} aria-hidden />
        </Action>
        <More workspace={workspace} layout={layout} end={setEnding} />
      </div>
      {ending !== null && <EndDialog workspace={workspace} session={ending} close={() => setEnding(null)} />}
    </header>
  );
}

interface TabProps {
  workspace: Workspace;
  tab: Tab;
  isShown: boolean;
  end: () => void;
}

function TabButton({ workspace, tab, isShown, end }: TabProps) {
  const { t } = useTranslation();
  const pane = workspace.pane(tab.active);
  const name = useName(pane);
  const { connection, rang, title } = usePane(pane);
  const panes = panesOf(tab.root).length;
  return (
    <li className={classes.tab} data-shown={isShown || undefined}>
      <button
        type="button"
        data-tab
        aria-current={isShown}
        className={classes.tabName}
        title={title || name}
        onClick={() => {
          workspace.show(tab.id);
          workspace.pane(tab.active).focus();
        }}
        onAuxClick={(event) => event.button === 1 && end()}
      >
        <span className={classes.dot} data-kind={rang ? 'rang' : connection.kind} aria-hidden />
        <span className={classes.tabText}>{name}</span>
        {panes > 1 && <span className={classes.panes}>{panes}</span>}
      </button>
      <button
        type="button"
        className={classes.tabEnd}
        aria-label={t('terminal.endNamed', { name })}
        title={t('terminal.endNamed', { name })}
        onClick={end}
      >
        <IconX size={14} aria-hidden />
      </button>
    </li>
  );
}

interface ActionProps {
  label: string;
  keys?: keyof typeof shortcuts;
  act: () => void;
  children: ReactNode;
}

function Action({ label, keys, act, children }: ActionProps) {
  const shortcut = keys && ariaKeys(keys);
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="lg"
      aria-label={label}
      aria-keyshortcuts={shortcut}
      title={shortcut === undefined ? label : `${label} (${shortcut.replace('Control', 'Ctrl')})`}
      onClick={act}
    >
      {children}
    </ActionIcon>
  );
}

interface MoreProps {
  workspace: Workspace;
  layout: Layout;
  end: (session: string) => void;
}

function More({ workspace, layout, end }: MoreProps) {
  const { t } = useTranslation();
  const [isOpen, setOpen] = useState(false);
  const liked = usePreferences();
  const { active } = workspace;
  /** Something that is done at once, and with the panel. */
  const doing = (act: () => void) => () => {
    setOpen(false);
    act();
  };
  return (
    <Popover position="bottom-end" width="min(21rem, 94vw)" opened={isOpen} onChange={setOpen} trapFocus>
      <Popover.Target>
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={t('terminal.more')}
          onClick={() => setOpen(!isOpen)}
        >
          <IconDots size={18} aria-hidden />
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown className={classes.panel} aria-label={t('terminal.more')}>
        <div className={classes.choice}>
          <span id="terminal-size">{t('terminal.size')}</span>
          <Group gap="xs" role="group" aria-labelledby="terminal-size">
            <ActionIcon
              variant="default"
              aria-label={t('terminal.smaller')}
              onClick={() => setPreferences({ fontSize: liked.fontSize - 1 })}
            >
              <IconMinus size={16} aria-hidden />
            </ActionIcon>
            <output>{liked.fontSize}</output>
            <ActionIcon
              variant="default"
              aria-label={t('terminal.larger')}
              onClick={() => setPreferences({ fontSize: liked.fontSize + 1 })}
            >
              <IconPlus size={16} aria-hidden />
            </ActionIcon>
          </Group>
        </div>
        <Radio.Group
          label={t('terminal.colours')}
          value={liked.theme}
          onChange={(theme) => setPreferences({ theme: theme as ThemeName })}
        >
          <div className={classes.colours}>
            {themeNames.map((name) => (
              <Radio key={name} value={name} size="sm" label={t(`terminal.themes.${name}`)} />
            ))}
          </div>
        </Radio.Group>
        <Choice
          label={t('terminal.copyOnSelect')}
          isOn={liked.copyOnSelect}
          set={(copyOnSelect) => setPreferences({ copyOnSelect })}
        />
        <Choice
          label={t('terminal.askBeforePaste')}
          isOn={liked.askBeforePaste}
          set={(askBeforePaste) => setPreferences({ askBeforePaste })}
        />
        <Choice
          label={t('terminal.screenReader')}
          isOn={liked.screenReader}
          set={(screenReader) => setPreferences({ screenReader })}
        />
        <div className={classes.acts}>
          <span className={classes.narrow}>
            <Act act={doing(() => workspace.split('row'))}>{t('terminal.splitRight')}</Act>
            <Act act={doing(() => workspace.split('column'))}>{t('terminal.splitDown')}</Act>
          </span>
          {active && (
            <>
              <Act act={doing(() => save(active))}>{t('terminal.save')}</Act>
              <Act act={doing(() => workspace.detach(active.id))}>{t('terminal.detach')}</Act>
              <Act act={doing(() => end(active.id))}>{t('terminal.end')}</Act>
            </>
          )}
        </div>
        {isOpen && (
          <Others
            workspace={workspace}
            layout={layout}
            attach={(id) => doing(() => workspace.attach(id))()}
          />
        )}
        <p className={classes.keys}>{t('terminal.keys')}</p>
      </Popover.Dropdown>
    </Popover>
  );
}

function Act({ act, children }: { act: () => void; children: ReactNode }) {
  return (
    <UnstyledButton className={classes.act} onClick={act}>
      {children}
    </UnstyledButton>
  );
}

/** Into a file on this machine. */
function save(pane: Pane): void {
  const address = URL.createObjectURL(new Blob([pane.text], { type: 'text/plain' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = 'terminal.txt';
  link.click();
  URL.revokeObjectURL(address);
}

interface OthersProps {
  workspace: Workspace;
  layout: Layout;
  attach: (session: string) => void;
}

/** Sessions that live inside and are not shown here. */
function Others({ workspace, layout, attach }: OthersProps) {
  const { t } = useTranslation();
  const { data } = useQuery({
    queryKey: [routes.terminals, workspace.environment],
    queryFn: () => workspace.sessions(),
    staleTime: 0,
    retry: false,
  });
  const shown = new Set(allPanes(layout));
  const others = data?.items.filter(({ session, ended }) => !shown.has(session) && !ended) ?? [];
  if (others.length === 0) return null;
  return (
    <div className={classes.acts}>
      <Text size="sm" c="dimmed">
        {t('terminal.others')}
      </Text>
      {others.map(({ session, command, folder, started_at }) => (
        <Act key={session} act={() => attach(session)}>
          <span className={classes.other}>
            <span>
              {command} {folder}
            </span>
            <Ago at={started_at} />
          </span>
        </Act>
      ))}
    </div>
  );
}

interface ChoiceProps {
  label: string;
  isOn: boolean;
  set: (isOn: boolean) => void;
}

function Choice({ label, isOn, set }: ChoiceProps) {
  return (
    <Switch
      label={label}
      labelPosition="left"
      size="sm"
      checked={isOn}
      onChange={(event) => set(event.currentTarget.checked)}
      withThumbIndicator={false}
      classNames={{ body: classes.choice }}
    />
  );
}
