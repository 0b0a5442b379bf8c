/** One image: what the last look into it found; for administrators what can be changed. */
import type { Image } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { quotaLimits } from '@berth/contract/vocabulary';
import { Button, Group, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { checkImage, removeImage } from '../../api/catalogue-changes.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { Confirm } from '../../components/confirm.tsx';
import { DetailDrawer } from '../../components/detail-drawer.tsx';
import { Facts, Mono } from '../../components/facts.tsx';
import { AnchorLink } from '../../components/links.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import { Ago } from '../../components/time.tsx';
import { useFormat } from '../../i18n/format.ts';
import { useSession } from '../../shell/use-session.ts';
import classes from './catalogue.module.css';
import { CheckMark, ResultIcon } from './check-mark.tsx';
import { Customers } from './customers-field.tsx';
import { ImageForm } from './image-form.tsx';

export function ImageDetail({ image, close }: { image: Image; close: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { role } = useSession();
  const [editing, setEditing] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const { name, reference, description, default_resources: given, customers, created_at } = image;
  const resources = quotaLimits.flatMap((each) => {
    if (each === 'environments') return [];
    const value = given[each];
    if (value === undefined) return [];
    const amount = t(`quota.amounts.${each}`, { amount: format.number(value) });
    return [`${t(`quota.names.${each}`)} ${amount}`];
  });
  return (
    <DetailDrawer title={name} close={close}>
      <Facts
        facts={[
          [t('catalogue.description'), description || null],
          [t('catalogue.reference'), <Mono>{reference}</Mono>],
          [
            t('catalogue.defaults'),
            resources.length === 0 ? t('catalogue.platformDefaults') : resources.join(', '),
          ],
          [t('catalogue.customers'), role === 'admin' ? <Customers customers={customers} /> : null],
          [t('catalogue.added'), format.moment(created_at)],
          [
            t('catalogue.usedBy'),
            <AnchorLink to="/environments" search={{ image: name }} size="sm">
              {t('catalogue.itsEnvironments')}
            </AnchorLink>,
          ],
        ]}
      />
      {role === 'admin' && (
        <Group gap="xs">
          <Button variant="default" size="compact-sm" onClick={() => setEditing(true)}>
            {t('catalogue.change')}
          </Button>
          <Button variant="default" size="compact-sm" onClick={() => setDeleting(true)}>
            {t('common.delete')}
          </Button>
        </Group>
      )}
      <Check image={image} mayCheck={role === 'admin'} />
      {editing && <ImageForm image={image} close={() => setEditing(false)} done={() => setEditing(false)} />}
      {deleting && <DeleteImage name={name} close={() => setDeleting(false)} gone={close} />}
    </DetailDrawer>
  );
}

function Check({ image: { name, check }, mayCheck }: { image: Image; mayCheck: boolean }) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const look = useMutation({
    mutationFn: () => checkImage(name),
    onSettled: () => queryClient.invalidateQueries({ queryKey: [routes.images] }),
  });
  return (
    <Section
      title={t('catalogue.check')}
      actions={
        mayCheck && (
          <Group gap="xs">
            <CommandHint
              what={t('catalogue.checkNow')}
              equivalent={{
                command: commandLine('images check', name),
                request: `POST ${pathOf(routes.imageCheck, { name })}`,
              }}
            />
            <Button
              variant="default"
              size="compact-sm"
              loading={look.isPending}
              onClick={() => look.mutate()}
            >
              {t('catalogue.checkNow')}
            </Button>
          </Group>
        )
      }
    >
      <ProblemAlert error={look.error} />
      <Text size="sm" mb="sm" component="div" role="status">
        <CheckMark check={check} />{' '}
        <Text span size="sm" c="dimmed">
          {look.isPending ? t('catalogue.checking') : check && <Ago at={check.checked_at} />}
        </Text>
      </Text>
      {check && (
        <ul className={classes.findings}>
          {check.findings.map(({ what, result, detail, cure }) => (
            <li key={what} className={classes.finding}>
              <span className={classes.mark} data-result={result}>
                <ResultIcon result={result} />
              </span>
              <span>
                <b>{what}</b>{' '}
                {result !== 'ok' && (
                  <Text span size="sm" c="dimmed">
                    {t(`catalogue.results.${result}`)}
                  </Text>
                )}
                <div>{detail}</div>
                {cure !== null && (
                  <Text size="sm" c="dimmed">
                    {cure}
                  </Text>
                )}
              </span>
            </li>
          ))}
        </ul>
      )}
    </Section>
  );
}

function DeleteImage({ name, close, gone }: { name: string; close: () => void; gone: () => void }) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const remove = useMutation({
    mutationFn: () => removeImage(name),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: [routes.images] });
      gone();
    },
  });
  return (
    <Confirm
      title={t('catalogue.deleteImage', { name })}
      close={close}
      action={t('common.delete')}
      confirm={() => remove.mutate()}
      pending={remove.isPending}
      error={remove.error}
      equivalent={{
        command: commandLine('images remove', name),
        request: `DELETE ${pathOf(routes.image, { name })}`,
      }}
    >
      {t('catalogue.deleteImageWhat')}
    </Confirm>
  );
}
