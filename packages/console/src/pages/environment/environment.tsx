/** One environment: what its state means, how to get in, who may, what it does and did. */
import type { Environment } from '@berth/contract';
import { Center, Loader, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { Suspense, lazy } from 'react';
import { useTranslation } from 'react-i18next';
import { ApiError } from '../../api/client.ts';
import { environmentQuery } from '../../api/environments.ts';
import { EmptyState } from '../../components/empty-state.tsx';
import { AnchorLink, ButtonLink } from '../../components/links.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { StatusMark } from '../../components/status-mark.tsx';
import { Access } from './access.tsx';
import { Actions } from './actions.tsx';
import { Activity } from './activity.tsx';
import { Connect } from './connect.tsx';
import classes from './environment.module.css';
import { History } from './history.tsx';
import { LogTab } from './log-tab.tsx';
import { SettingsTab } from './settings-tab.tsx';
import { StateNotice } from './state-notice.tsx';

/** With the words and rules of what can be found, which no other part needs. */
const DiagnosisTab = lazy(async () => ({
  default: (await import('../../diagnosis/diagnosis-tab.tsx')).DiagnosisTab,
}));

const tabs = {
  connect: Connect,
  activity: Activity,
  access: Access,
  history: History,
  diagnosis: DiagnosisTab,
  log: LogTab,
  settings: SettingsTab,
};
type Tab = keyof typeof tabs;

export function EnvironmentPage() {
  const { id = '', tab = 'connect' } = useParams({ strict: false });
  const { t } = useTranslation();
  const { data: environment, error, refetch } = useQuery(environmentQuery(id));
  if (environment === undefined) {
    if (error instanceof ApiError && error.status === 404) return <Gone id={id} />;
    if (error !== null) {
      return (
        <>
          <PageHeader title={id} />
          <ProblemAlert error={error} retry={() => void refetch()} />
        </>
      );
    }
    return (
      <Center mih="12rem">
        <Loader size="sm" aria-label={t('common.loading')} />
      </Center>
    );
  }
  // Deleted while it was looked at.
  if (error instanceof ApiError && error.status === 404) return <Gone id={id} />;
  const shown: Tab = tab in tabs ? (tab as Tab) : 'connect';
  return <Page environment={environment} tab={shown} />;
}

function Page({ environment, tab }: { environment: Environment; tab: Tab }) {
  const { t } = useTranslation();
  const { env_id: id, name, status, image } = environment;
  const Shown = tabs[tab];
  return (
    <>
      <PageHeader
        title={name}
        above={
          <AnchorLink to="/environments" size="sm" c="dimmed">
            {t('environment.all')}
          </AnchorLink>
        }
        beside={
          <span role="status">
            <StatusMark status={status} />
          </span>
        }
        description={
          <>
            <Text span ff="monospace" size="sm">
              {id}
            </Text>
            {` · ${image}`}
          </>
        }
        actions={<Actions environment={environment} />}
      />
      <StateNotice environment={environment} />
      <nav aria-label={t('environment.parts')} className={classes.tabs}>
        {(Object.keys(tabs) as Tab[]).map((each) => (
          <Link
            key={each}
            {...(each === 'connect'
              ? { to: '/environments/$id', params: { id } }
              : { to: '/environments/$id/$tab', params: { id, tab: each } })}
            replace
            resetScroll={false}
            className={classes.tab}
            activeOptions={{ exact: true }}
            aria-current={each === tab ? 'page' : undefined}
          >
            {t(`environment.tabs.${each}`)}
          </Link>
        ))}
      </nav>
      <Suspense fallback={<Loader size="sm" aria-label={t('common.loading')} />}>
        <Shown environment={environment} />
      </Suspense>
    </>
  );
}

function Gone({ id }: { id: string }) {
  const { t } = useTranslation();
  return (
    <>
      <PageHeader title={id} />
      <EmptyState
        title={t('environment.gone')}
        action={
          <ButtonLink to="/environments" variant="default">
            {t('environment.all')}
          </ButtonLink>
        }
      >
        {t('environment.goneWhat')}
      </EmptyState>
    </>
  );
}
