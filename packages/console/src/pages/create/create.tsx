/** A new environment: what it starts from, how large it is, what is mounted; and the same as a command and an API call. */
import { routes } from '@berth/contract/paths';
import { Button, Group, Select, Skeleton, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { createEnvironment, customersQuery, quotaQuery } from '../../api/catalogue.ts';
import { ApiError } from '../../api/client.ts';
import { environmentQuery } from '../../api/environments.ts';
import { EquivalentFields } from '../../components/command-hint.tsx';
import { ButtonLink } from '../../components/links.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { QuotaBars } from '../../components/quota-bars.tsx';
import { Section } from '../../components/section.tsx';
import { useSession } from '../../shell/use-session.ts';
import { Advanced } from './advanced.tsx';
import { Datasets } from './datasets.tsx';
import classes from './create.module.css';
import { bodyOf, commandOf, emptyDraft } from './draft.ts';
import type { Draft } from './draft.ts';
import { ImageChoice } from './image-choice.tsx';
import { SizeChoice } from './size-choice.tsx';

export function CreatePage() {
  const { t } = useTranslation();
  const session = useSession();
  const navigate = useNavigate();
  const queryClient = useQueryClient();
  const [draft, setDraft] = useState<Draft>(emptyDraft);
  const change = (part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part }));
  const customer = draft.customer ?? session.customer_id;
  const { data: quota } = useQuery(quotaQuery(customer));
  const create = useMutation({
    mutationFn: () => createEnvironment(bodyOf(draft)),
    onSuccess: async (environment) => {
      queryClient.setQueryData(environmentQuery(environment.env_id).queryKey, environment);
      void queryClient.invalidateQueries({ queryKey: [routes.environments, 'list'] });
      void queryClient.invalidateQueries({ queryKey: [routes.quotas] });
      await navigate({ to: '/environments/$id', params: { id: environment.env_id } });
    },
  });
  const { error } = create;
  const nameError = error instanceof ApiError && error.field === 'name' ? error : null;
  return (
    <>
      <PageHeader title={t('create.title')} description={t('create.what')} />
      <form
        className={classes.form}
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <Stack gap="2rem" miw={0}>
          <TextInput
            label={t('create.name')}
            description={t('create.nameWhat')}
            name="name"
            required
            withAsterisk={false}
            maxLength={64}
            maw="26rem"
            autoComplete="off"
            value={draft.name}
            onChange={(event) => change({ name: event.currentTarget.value })}
            error={nameError?.message}
          />
          {session.role === 'admin' && (
            <CustomerChoice value={customer} onChange={(chosen) => change({ customer: chosen })} />
          )}
          <ImageChoice draft={draft} change={change} />
          <SizeChoice draft={draft} change={change} />
          <Datasets draft={draft} change={change} />
          <Advanced draft={draft} change={change} customer={customer} />
        </Stack>
        <aside className={classes.aside} aria-label={t('create.summary')}>
          <Section title={t('create.quota')}>
            {quota === undefined ? (
              <Skeleton height="6rem" />
            ) : (
              <QuotaBars quota={quota} adding={{ environments: 1, ...draft.resources }} />
            )}
          </Section>
          <Section title={t('command.title')}>
            <EquivalentFields
              equivalent={{
                command: commandOf(draft),
                request: `POST ${routes.environments}`,
                body: { ...bodyOf(draft), name: draft.name.trim() || 'NAME' },
              }}
            />
          </Section>
          {nameError === null && <ProblemAlert error={error} />}
          <Group>
            <Button type="submit" loading={create.isPending} disabled={draft.name.trim() === ''}>
              {t('create.action')}
            </Button>
            <ButtonLink to="/environments" variant="default">
              {t('common.cancel')}
            </ButtonLink>
          </Group>
          {draft.name.trim() === '' && (
            <Text size="sm" c="dimmed">
              {t('create.nameFirst')}
            </Text>
          )}
        </aside>
      </form>
    </>
  );
}

function CustomerChoice({ value, onChange }: { value: number; onChange: (value: number) => void }) {
  const { t } = useTranslation();
  const { data } = useQuery(customersQuery);
  const customers = data?.items ?? [];
  if (customers.length < 2) return null;
  return (
    <Select
      label={t('create.customer')}
      maw="26rem"
      searchable
      allowDeselect={false}
      data={customers.map(({ id, name }) => ({ value: String(id), label: name }))}
      value={String(value)}
      onChange={(chosen) => chosen !== null && onChange(Number(chosen))}
    />
  );
}
