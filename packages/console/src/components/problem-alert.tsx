/** What went wrong, and the cure, as the server says them. */
import { Alert, Button, Group, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { ApiError } from '../api/client.ts';
import { useServerWords } from '../i18n/server-words.ts';

interface Props {
  error: Error | null;
  retry?: () => void;
}

export function ProblemAlert({ error, retry }: Props) {
  const { t } = useTranslation();
  const words = useProblemWords();
  if (error === null) return null;
  const { what, cure } = words(error);
  return (
    <Alert color="red" variant="outline" icon={<IconAlertTriangle aria-hidden />} role="alert">
      <Text>{what}</Text>
      {cure && <Text c="dimmed">{cure}</Text>}
      {retry && (
        <Group mt="xs">
          <Button size="compact-sm" variant="default" onClick={retry}>
            {t('common.retry')}
          </Button>
        </Group>
      )}
    </Alert>
  );
}

/** What happened and what helps, in the language that is shown. */
export function useProblemWords() {
  const { t } = useTranslation();
  const words = useServerWords();
  return (error: Error): { what: string; cure: string | null } => {
    if (!(error instanceof ApiError)) return { what: error.message, cure: null };
    if (error.code === 'unreachable')
      return { what: t('problem.unreachable'), cure: t('problem.unreachableCure') };
    return { what: words(error.message), cure: error.cure === null ? null : words(error.cure) };
  };
}
