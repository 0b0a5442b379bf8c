/** Ends a session: at once at a prompt, after a question where a program runs. */
import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import type { Workspace } from './workspace.ts';

const shells: ReadonlySet<string> = new Set(['bash', 'sh', 'dash', 'zsh', 'fish', 'ksh', '']);

interface Props {
  workspace: Workspace;
  session: string;
  close: () => void;
}

export function EndDialog({ workspace, session, close }: Props) {
  const { t } = useTranslation();
  const [command, setCommand] = useState<string | null>(null);
  const [isPending, setPending] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => {
    let isGone = false;
    const look = async () => {
      const found = await workspace.sessions().catch(() => null);
      if (isGone) return;
      const runs = found?.items.find((each) => each.session === session)?.command ?? '';
      if (!shells.has(runs)) return setCommand(runs);
      await workspace.end(session).then(close, setError);
    };
    void look();
    return () => {
      isGone = true;
    };
  }, [workspace, session, close]);
  if (command === null && error === null) return null;
  return (
    <Modal
      opened
      onClose={close}
      title={t('terminal.ending.title')}
      closeButtonProps={{ 'aria-label': t('common.close') }}
    >
      <Stack>
        {command !== null && <Text>{t('terminal.ending.what', { command })}</Text>}
        <ProblemAlert error={error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            {t('common.cancel')}
          </Button>
          <Button
            color="red"
            loading={isPending}
            onClick={() => {
              setPending(true);
              workspace.end(session).then(close, (thrown: Error) => {
                setPending(false);
                setError(thrown);
              });
            }}
          >
            {t('terminal.end')}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
