/** Asks before several lines go to a shell, which may run each of them. */
import { Button, Checkbox, Group, Modal, Stack, Text } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { setPreferences } from './preferences.ts';
import classes from './terminal.module.css';

/** As much as a person looks at. */
const mostShown = 2000;

interface Props {
  text: string;
  lines: number;
  answer: (isWanted: boolean) => void;
}

export function PasteDialog({ text, lines, answer }: Props) {
  const { t } = useTranslation();
  const [isLast, setLast] = useState(false);
  const say = (isWanted: boolean) => {
    if (isWanted && isLast) setPreferences({ askBeforePaste: false });
    answer(isWanted);
  };
  return (
    <Modal
      opened
      onClose={() => say(false)}
      title={t('terminal.paste.title', { count: lines })}
      closeButtonProps={{ 'aria-label': t('common.close') }}
      transitionProps={{ duration: 0 }}
    >
      <Stack>
        <Text>{t('terminal.paste.what')}</Text>
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls */}
        <pre className={classes.pasted} tabIndex={0} aria-label={t('terminal.paste.text')}>
          {text.length > mostShown ? `${text.slice(0, mostShown)}…` : text}
        </pre>
        <Checkbox
          checked={isLast}
          onChange={(event) => setLast(event.currentTarget.checked)}
          label={t('terminal.paste.noMore')}
        />
        <Group justify="flex-end">
          <Button variant="default" onClick={() => say(false)}>
            {t('common.cancel')}
          </Button>
          <Button data-autofocus onClick={() => say(true)}>
            {t('terminal.paste.paste')}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
