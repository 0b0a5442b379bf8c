/** The same by hand: the command and the API call that do what a button does. */
import { ActionIcon, Popover, Stack, Text } from '@mantine/core';
import { IconTerminal2 } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { CopyField } from './copy-field.tsx';

export interface Equivalent {
  /** Such as `berth stop demo-7f3k`. */
  command: string;
  /** Such as `POST /api/environments/demo-7f3k/stop`. */
  request: string;
  /** Its JSON. */
  body?: object;
}

/** `berth VERB WORD ...`, each word as a shell takes it. */
export function commandLine(verb: string, ...words: string[]): string {
  return ['berth', verb, ...words.map(quoted)].join(' ');
}

/** The option of many commands; administrators alone say whose. */
export function ofCustomer(customer: number | undefined): string[] {
  return customer === undefined ? [] : ['--customer', String(customer)];
}

function quoted(word: string): string {
  return /^[\w.,:=@/+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

export function CommandHint({ what, equivalent }: { what: string; equivalent: Equivalent }) {
  const { t } = useTranslation();
  return (
    <Popover width="min(30rem, 92vw)" position="bottom-end" withArrow trapFocus>
      <Popover.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t('command.showFor', { what })}>
          <IconTerminal2 size={18} aria-hidden />
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown aria-label={t('command.title')}>
        <EquivalentFields equivalent={equivalent} />
      </Popover.Dropdown>
    </Popover>
  );
}

export function EquivalentFields({ equivalent: { command, request, body } }: { equivalent: Equivalent }) {
  const { t } = useTranslation();
  const call = body === undefined ? request : `${request}\n\n${JSON.stringify(body, null, 2)}`;
  return (
    <Stack gap="xs">
      <Text size="sm" c="dimmed">
        {t('command.inTerminal')}
      </Text>
      <CopyField value={command} label={t('command.inTerminal')} block />
      <Text size="sm" c="dimmed">
        {t('command.overApi')}
      </Text>
      <CopyField value={call} label={t('command.overApi')} block />
    </Stack>
  );
}
