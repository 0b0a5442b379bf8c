/** How much a customer may use; an empty field is no limit. */
import type { Limits, Quota } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { quotaLimits } from '@berth/contract/vocabulary';
import { NumberInput, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { setLimits } from '../../api/people.ts';
import { commandLine } from '../../components/command-hint.tsx';
import { FormDialog, errorAt } from '../../components/form-dialog.tsx';
import { useFormat } from '../../i18n/format.ts';
import classes from './people.module.css';

/** Of which there are no halves. */
const whole = new Set<keyof Limits>(['environments', 'gpu']);

export function LimitsForm({ quota, close }: { quota: Quota; close: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const queryClient = useQueryClient();
  const { customer, customer_id, used } = quota;
  const [limits, setLimitsShown] = useState<Limits>(quota.limits);
  const save = useMutation({
    mutationFn: () => setLimits(customer_id, limits),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: [routes.quotas] });
      close();
    },
  });
  const isBelow = quotaLimits.some((name) => {
    const limit = limits[name];
    return limit !== null && limit < used[name];
  });
  return (
    <FormDialog
      title={t('people.limitsOf', { customer })}
      close={close}
      action={t('catalogue.save')}
      submit={() => save.mutate()}
      pending={save.isPending}
      error={save.error}
      fields={quotaLimits}
      equivalent={{
        command: commandLine(
          'quotas set',
          customer,
          ...quotaLimits.flatMap((name) => [`--${name}`, String(limits[name] ?? 'none')]),
        ),
        request: `PUT ${pathOf(routes.quota, { id: String(customer_id) })}`,
        body: limits,
      }}
    >
      <Text size="sm" c="dimmed">
        {t('people.limitsWhat')}
      </Text>
      <div className={classes.amounts}>
        {quotaLimits.map((name) => (
          <NumberInput
            key={name}
            label={name === 'environments' ? t('quota.names.environments') : t(`create.amounts.${name}`)}
            description={t('people.usedNow', { used: format.number(used[name]) })}
            placeholder={t('people.noLimit')}
            min={0}
            max={1_000_000}
            allowDecimal={!whole.has(name)}
            value={limits[name] ?? ''}
            onChange={(value) =>
              setLimitsShown({ ...limits, [name]: typeof value === 'number' ? value : null })
            }
            error={errorAt(save.error, name)}
          />
        ))}
      </div>
      {isBelow && (
        <Text size="sm" role="status">
          {t('people.belowUse')}
        </Text>
      )}
    </FormDialog>
  );
}
