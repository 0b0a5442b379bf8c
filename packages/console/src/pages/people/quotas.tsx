/** What customers use and may use; a member sees its own. */
import type { Quota } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { Button, Center, Loader, Text, Title } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useListing } from '../../api/list.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { AnchorLink } from '../../components/links.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { useSession } from '../../shell/use-session.ts';
import { LimitsForm } from './limits-form.tsx';
import classes from './people.module.css';
import { Uses } from './uses.tsx';

export function QuotasPage() {
  const { t } = useTranslation();
  const { role } = useSession();
  const { rows, error, isPending, hasMore, isLoadingMore, loadMore, reload } = useListing<Quota>(
    routes.quotas,
    {},
    5000,
  );
  const [changing, setChanging] = useState<Quota | null>(null);
  return (
    <>
      <PageHeader
        title={t('people.quotas')}
        description={role === 'admin' ? t('people.quotasWhat') : t('people.quotasOfYours')}
        actions={
          <CommandHint
            what={t('people.quotas')}
            equivalent={{ command: commandLine('quotas list'), request: `GET ${routes.quotas}` }}
          />
        }
      />
      <ProblemAlert error={error} retry={reload} />
      {isPending && (
        <Center mih="8rem">
          <Loader size="sm" aria-label={t('common.loading')} />
        </Center>
      )}
      <ul className={classes.customers}>
        {rows.map((quota) => (
          <li key={quota.customer_id} className={classes.customer}>
            <div className={classes.head}>
              <Title order={2}>
                {role === 'admin' ? (
                  <AnchorLink to="/customers/$id" params={{ id: String(quota.customer_id) }} inherit>
                    {quota.customer}
                  </AnchorLink>
                ) : (
                  quota.customer
                )}
              </Title>
              {role === 'admin' && (
                <Button
                  size="compact-sm"
                  variant="default"
                  aria-label={t('people.changeLimitsOf', { customer: quota.customer })}
                  onClick={() => setChanging(quota)}
                >
                  {t('people.changeLimits')}
                </Button>
              )}
            </div>
            <Uses quota={quota} />
          </li>
        ))}
      </ul>
      {hasMore && (
        <Button variant="default" size="compact-sm" loading={isLoadingMore} onClick={loadMore}>
          {t('table.more')}
        </Button>
      )}
      {role !== 'admin' && (
        <Text size="sm" c="dimmed" mt="md">
          {t('people.askForMore')}
        </Text>
      )}
      {changing && <LimitsForm quota={changing} close={() => setChanging(null)} />}
    </>
  );
}
