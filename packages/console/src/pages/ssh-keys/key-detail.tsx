/** One key: what it opens, and who came in by it lately. */
import type { ConnectionPage, EnvironmentPage, SshKey } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { call } from '../../api/client.ts';
import { CopyField } from '../../components/copy-field.tsx';
import { DetailDrawer } from '../../components/detail-drawer.tsx';
import { Facts, Mono } from '../../components/facts.tsx';
import { AnchorLink } from '../../components/links.tsx';
import { Section } from '../../components/section.tsx';
import { StatusMark } from '../../components/status-mark.tsx';
import { Ago } from '../../components/time.tsx';
import { useFormat } from '../../i18n/format.ts';
import classes from './ssh-keys.module.css';

const shown = 8;

interface Props {
  sshKey: SshKey;
  /** How many environments there are in all. */
  total: number | undefined;
  close: () => void;
}

export function KeyDetail({ sshKey, total, close }: Props) {
  const { t } = useTranslation();
  const format = useFormat();
  const { name, type, fingerprint, public_key, created_at, last_used_at, last_used_from, customer_id } =
    sshKey;
  const { data: environments } = useQuery({
    queryKey: [routes.environments, 'of-key', customer_id],
    queryFn: ({ signal }) =>
      call<EnvironmentPage>('GET', routes.environments, {
        query: { customer_id, sort: 'name', limit: shown },
        signal,
      }),
  });
  const { data: uses } = useQuery({
    queryKey: [routes.connections, 'of-key', customer_id, fingerprint],
    queryFn: ({ signal }) =>
      call<ConnectionPage>('GET', routes.connections, {
        query: { customer_id, fingerprint, limit: shown },
        signal,
      }),
  });
  return (
    <DetailDrawer title={name} close={close}>
      <Facts
        facts={[
          [t('keys.detail.type'), <Mono>{type}</Mono>],
          [t('keys.added'), format.moment(created_at)],
          [
            t('keys.lastUsed'),
            last_used_at === null ? (
              t('keys.notUsed')
            ) : (
              <>
                {format.moment(last_used_at)}
                {last_used_from !== null && (
                  <Text size="sm" c="dimmed">
                    {t('keys.from', { address: last_used_from })}
                  </Text>
                )}
              </>
            ),
          ],
        ]}
      />
      <div>
        <Text size="sm" c="dimmed">
          {t('keys.detail.fingerprint')}
        </Text>
        <CopyField value={fingerprint} label={t('keys.detail.fingerprint')} />
      </div>
      <div>
        <Text size="sm" c="dimmed">
          {t('keys.detail.line')}
        </Text>
        <CopyField value={public_key} label={t('keys.detail.line')} />
      </div>
      {environments && (
        <Section title={t('keys.detail.environments')}>
          {environments.items.length === 0 ? (
            <Text size="sm">{t('keys.detail.noEnvironments')}</Text>
          ) : (
            <ul className={classes.list}>
              {environments.items.map(({ env_id, name: environment, status }) => (
                <li key={env_id}>
                  <AnchorLink to="/environments/$id" params={{ id: env_id }} size="sm">
                    {environment}
                  </AnchorLink>
                  <StatusMark status={status} />
                </li>
              ))}
              {(total ?? 0) > shown && (
                <li>
                  <AnchorLink to="/environments" search={{ customer: customer_id }} size="sm">
                    {t('keys.detail.allOf', { count: total ?? 0 })}
                  </AnchorLink>
                </li>
              )}
            </ul>
          )}
        </Section>
      )}
      {uses && (
        <Section title={t('keys.detail.uses')}>
          {uses.items.length === 0 ? (
            <Text size="sm">{t('keys.detail.noUses')}</Text>
          ) : (
            <ul className={classes.list}>
              {uses.items.map(({ id, env_id, source, started_at }) => (
                <li key={id}>
                  <span>
                    <Mono>{env_id}</Mono>{' '}
                    <Text span size="sm" c="dimmed">
                      {t('keys.from', { address: source })}
                    </Text>
                  </span>
                  <Ago at={started_at} />
                </li>
              ))}
              <li>
                <AnchorLink to="/connections" search={{ fingerprint, view: 'past' }} size="sm">
                  {t('keys.detail.allUses')}
                </AnchorLink>
              </li>
            </ul>
          )}
        </Section>
      )}
    </DetailDrawer>
  );
}
