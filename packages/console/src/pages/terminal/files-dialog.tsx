/** Files inside the environment: one is downloaded by a click, others are chosen for an upload into the folder that is shown. */
import {
  Anchor,
  Breadcrumbs,
  Button,
  FileButton,
  Group,
  Loader,
  Modal,
  Stack,
  Text,
  UnstyledButton,
} from '@mantine/core';
import { IconDownload, IconFile, IconFolder, IconUpload } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { FileEntry, FileList } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { call } from '../../api/client.ts';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { useFormat } from '../../i18n/format.ts';
import classes from './terminal.module.css';
import type { Workspace } from './workspace.ts';

export function FilesDialog({ workspace, close }: { workspace: Workspace; close: () => void }) {
  const { t } = useTranslation();
  const [folder, setFolder] = useState<string | null>(null);
  const { active } = workspace;
  useEffect(() => {
    // Where the shell works.
    if (active !== undefined)
      void workspace.folderOf(active.id).then((found) => setFolder((now) => now ?? found));
  }, [workspace, active]);
  const { data, error, refetch } = useQuery({
    queryKey: [routes.fileList, workspace.environment, folder],
    queryFn: ({ signal }) =>
      call<FileList>('GET', routes.fileList, {
        path: { id: workspace.environment },
        query: { path: folder ?? '.' },
        signal,
      }),
    enabled: folder !== null,
    staleTime: 0,
  });
  return (
    <Modal
      opened
      onClose={close}
      size="lg"
      title={t('terminal.files.title')}
      closeButtonProps={{ 'aria-label': t('common.close') }}
    >
      <Stack gap="sm">
        {error !== null && <ProblemAlert error={error} retry={() => void refetch()} />}
        {data === undefined && error === null && <Loader size="sm" aria-label={t('common.loading')} />}
        {data !== undefined && (
          <>
            <Group justify="space-between" align="center">
              <Path path={data.path} open={setFolder} />
              <FileButton
                multiple
                onChange={(files) => {
                  for (const file of files) workspace.transfers.upload(file, data.path);
                  if (files.length > 0) close();
                }}
              >
                {(props) => (
                  <Button
                    {...props}
                    variant="default"
                    size="compact-sm"
                    leftSection={<IconUpload size={14} aria-hidden />}
                  >
                    {t('terminal.files.upload')}
                  </Button>
                )}
              </FileButton>
            </Group>
            <ul className={classes.files} aria-label={data.path}>
              {data.items.map((entry) => (
                <li key={entry.name}>
                  <Entry
                    entry={entry}
                    path={joined(data.path, entry.name)}
                    environment={workspace.environment}
                    open={setFolder}
                  />
                </li>
              ))}
            </ul>
            {data.items.length === 0 && <Text c="dimmed">{t('terminal.files.empty')}</Text>}
            {data.more && (
              <Text size="sm" c="dimmed">
                {t('terminal.files.more', { count: data.items.length })}
              </Text>
            )}
            <Text size="sm" c="dimmed">
              {t('terminal.files.drop')}
            </Text>
          </>
        )}
      </Stack>
    </Modal>
  );
}

function Path({ path, open }: { path: string; open: (folder: string) => void }) {
  const names = path.split('/').filter(Boolean);
  const steps = ['/', ...names.map((_, index) => `/${names.slice(0, index + 1).join('/')}`)];
  return (
    <Breadcrumbs separatorMargin={4} className={classes.path}>
      {steps.map((each, index) => (
        <Anchor
          key={each}
          component="button"
          type="button"
          size="sm"
          ff="monospace"
          aria-current={index === steps.length - 1 ? 'location' : undefined}
          onClick={() => open(each)}
        >
          {names[index - 1] ?? '/'}
        </Anchor>
      ))}
    </Breadcrumbs>
  );
}

interface EntryProps {
  entry: FileEntry;
  path: string;
  environment: string;
  open: (folder: string) => void;
}

function Entry({ entry: { name, kind, bytes, modified_at }, path, environment, open }: EntryProps) {
  const { t } = useTranslation();
  const format = useFormat();
  if (kind === 'folder')
    return (
      <UnstyledButton className={classes.file} onClick={() => open(path)}>
        <IconFolder size={16} aria-hidden />
        <span className={classes.fileName}>{name}</span>
      </UnstyledButton>
    );
  if (kind === 'other')
    return (
      <span className={classes.file} data-unusable>
        <IconFile size={16} aria-hidden />
        <span className={classes.fileName}>{name}</span>
        <span>{t('terminal.files.noFile')}</span>
      </span>
    );
  return (
    // The browser writes it to the disk as it comes, and shows how far it is.
    <a
      className={classes.file}
      href={`${pathOf(routes.files, { id: environment })}?${new URLSearchParams({ path })}`}
      download={name}
      aria-label={t('terminal.files.download', { name })}
    >
      <IconFile size={16} aria-hidden />
      <span className={classes.fileName}>{name}</span>
      <span>{format.bytes(bytes)}</span>
      <span data-wide-only>{format.moment(modified_at)}</span>
      <IconDownload size={16} aria-hidden />
    </a>
  );
}

function joined(folder: string, name: string): string {
  return `${folder === '/' ? '' : folder}/${name}`;
}
