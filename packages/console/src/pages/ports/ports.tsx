/** Ports: a picture of the whole range, and the table of who holds and held which. */
import { SegmentedControl } from '@mantine/core';
import { routes } from '@berth/contract/paths';
import { getRouteApi } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { PortPicture } from './picture.tsx';
import classes from './ports.module.css';
import { PortTable, equivalentOf } from './table.tsx';

const route = getRouteApi('/signed-in/ports');

export function PortsPage() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const isPicture = search.view !== 'table';
  return (
    <>
      <PageHeader
        title={t('ports.title')}
        description={t('ports.what')}
        actions={
          <CommandHint
            what={t('ports.title')}
            equivalent={
              isPicture
                ? {
                    command: commandLine('ports list', '--status', 'active'),
                    request: `GET ${routes.portMap}`,
                  }
                : equivalentOf(search)
            }
          />
        }
      />
      <div className={classes.controls}>
        <SegmentedControl
          size="sm"
          aria-label={t('ports.view')}
          value={isPicture ? 'picture' : 'table'}
          data={[
            { value: 'picture', label: t('ports.picture') },
            { value: 'table', label: t('ports.table') },
          ]}
          onChange={(view) => void navigate({ search: view === 'table' ? { view } : {}, replace: true })}
        />
      </div>
      {isPicture ? <PortPicture /> : <PortTable />}
    </>
  );
}
