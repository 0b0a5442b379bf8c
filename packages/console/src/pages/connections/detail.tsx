import type { Connection } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { call } from '../../api/client.ts';
import { visible } from '../../app/visible.ts';
import { useCustomerName } from '../../components/customer-filter.tsx';
import { DetailDrawer } from '../../components/detail-drawer.tsx';
import { Facts, Mono } from '../../components/facts.tsx';
import { AnchorLink } from '../../components/links.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { useFormat } from '../../i18n/format.ts';
import { useSession } from '../../shell/use-session.ts';

interface Props {
  id: string;
  /** As it stands in the list, where it does. */
  listed: Connection | undefined;
  close: () => void;
}

export function ConnectionDetail({ id, listed, close }: Props) {
  const { t } = useTranslation();
  const { data, error } = useQuery({
    queryKey: [routes.connections, 'one', id],
    queryFn: ({ signal }) => call<Connection>('GET', routes.connection, { path: { id }, signal }),
    enabled: listed === undefined,
  });
  const connection = listed ?? data;
  return (
    <DetailDrawer title={t('connections.detail.title')} close={close}>
      {connection ? <Everything connection={connection} /> : <ProblemAlert error={error} />}
    </DetailDrawer>
  );
}

function Everything({ connection }: { connection: Connection }) {
  const { t } = useTranslation();
  const format = useFormat();
  const nameOf = useCustomerName();
  const { role } = useSession();
  const { id, env_id, customer_id, account, method, fingerprint, key_name, way, source, source_port } =
    connection;
  const { client, started_at, ended_at, end_reason, bytes_in, bytes_out, gateway } = connection;
  return (
    <>
      <Facts
        facts={[
          [
            t('connections.environment'),
            <AnchorLink to="/environments/$id" params={{ id: env_id }} ff="monospace" size="sm">
              {env_id}
            </AnchorLink>,
          ],
          [t('connections.detail.customer'), role === 'admin' ? nameOf(customer_id) : null],
          [t('connections.account'), account],
          [t('connections.method'), t(`method.${method}`)],
          [
            t('connections.detail.key'),
            fingerprint === null ? null : (
              <>
                {key_name !== null && <div>{visible(key_name)}</div>}
                <Mono>{fingerprint}</Mono>
              </>
            ),
          ],
          [t('connections.way'), t(`way.${way}`)],
          [t('connections.detail.address'), <Mono>{`${source} : ${source_port}`}</Mono>],
          [t('connections.detail.client'), <Mono>{visible(client)}</Mono>],
          [t('connections.detail.began'), format.moment(started_at)],
          [t('connections.detail.over'), ended_at === null ? null : format.moment(ended_at)],
          [t('connections.detail.reason'), end_reason === null ? null : visible(end_reason)],
          [t('connections.detail.bytesIn'), format.bytes(bytes_in)],
          [t('connections.detail.bytesOut'), format.bytes(bytes_out)],
          [
            t('connections.detail.channels'),
            t('connections.detail.channelsOf', {
              open: format.number(connection.open_channels),
              all: format.number(connection.channels),
            }),
          ],
          [
            t('connections.detail.gateway'),
            gateway === null ? t('connections.detail.direct') : <Mono>{gateway}</Mono>,
          ],
          [t('connections.detail.id'), <Mono>{id}</Mono>],
        ]}
      />
    </>
  );
}
