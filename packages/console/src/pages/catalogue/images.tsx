/** Images that environments start from: what each is, who may use it, and what a look into it found. */
import type { Image } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { Anchor, Button, Text } from '@mantine/core';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useListing } from '../../api/list.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { Mono } from '../../components/facts.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { useSession } from '../../shell/use-session.ts';
import classes from './catalogue.module.css';
import { CheckMark } from './check-mark.tsx';
import { Customers } from './customers-field.tsx';
import { ImageDetail } from './image-detail.tsx';
import { ImageForm } from './image-form.tsx';

const route = getRouteApi('/signed-in/images');

export function ImagesPage() {
  const { t } = useTranslation();
  const { role } = useSession();
  const { image: opened } = route.useSearch();
  const navigate = route.useNavigate();
  const [adding, setAdding] = useState(false);
  const listing = useListing<Image>(routes.images);
  const open = (image: string | undefined) => void navigate({ search: { image }, replace: true });
  const columns: Column<Image>[] = [
    {
      key: 'name',
      header: t('catalogue.name'),
      cell: ({ name, description }) => (
        <>
          <Anchor component="button" type="button" className={classes.name} onClick={() => open(name)}>
            {name}
          </Anchor>
          <Text size="xs" c="dimmed">
            {description}
          </Text>
        </>
      ),
    },
    {
      key: 'reference',
      header: t('catalogue.reference'),
      cell: ({ reference }) => <Mono>{reference}</Mono>,
      wideOnly: true,
    },
    {
      key: 'check',
      header: t('catalogue.check'),
      cell: ({ check }) => <CheckMark check={check} />,
    },
    ...(role === 'admin'
      ? [
          {
            key: 'customers',
            header: t('catalogue.customers'),
            cell: ({ customers }: Image) => <Customers customers={customers} />,
            wideOnly: true,
          },
        ]
      : []),
  ];
  const detailed = listing.rows.find(({ name }) => name === opened);
  return (
    <>
      <PageHeader
        title={t('catalogue.images')}
        description={t('catalogue.imagesWhat')}
        actions={
          <>
            <CommandHint
              what={t('catalogue.images')}
              equivalent={{ command: commandLine('images list'), request: `GET ${routes.images}` }}
            />
            {role === 'admin' && <Button onClick={() => setAdding(true)}>{t('catalogue.addImage')}</Button>}
          </>
        }
      />
      <DataTable
        label={t('catalogue.images')}
        columns={columns}
        listing={listing}
        rowKey={({ name }) => name}
        empty={
          <EmptyState
            title={t('catalogue.noImages')}
            command={commandLine('images add', 'NAME', 'REFERENCE')}
          >
            {role === 'admin' ? t('catalogue.noImagesWhat') : t('catalogue.noImagesForYou')}
          </EmptyState>
        }
      />
      {adding && <ImageForm close={() => setAdding(false)} done={open} />}
      {detailed && <ImageDetail image={detailed} close={() => open(undefined)} />}
    </>
  );
}
