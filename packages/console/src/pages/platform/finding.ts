/** What a look at a part of the platform found, said in the language that is shown. */
import type { HealthCheck } from '@berth/contract';
import { useTranslation } from 'react-i18next';
import { useFormat } from '../../i18n/format.ts';

/** Without the facts that a sentence needs, as when a look did not come to an end, the server's own is told. */
export function useFinding(): (check: HealthCheck) => string {
  const { t } = useTranslation();
  const format = useFormat();
  return ({ name, facts, detail }) => {
    const number = (fact: string) => {
      const value = facts[fact];
      return typeof value === 'number' ? format.number(value) : undefined;
    };
    const moment = (fact: string) => {
      const value = facts[fact];
      return typeof value === 'string' ? format.moment(value) : undefined;
    };
    const text = (fact: string) => {
      const value = facts[fact];
      return typeof value === 'string' ? value : undefined;
    };
    switch (name) {
      case 'database': {
        const [kind, milliseconds] = [text('kind'), number('milliseconds')];
        return kind === undefined || milliseconds === undefined
          ? detail
          : t('platform.found.database', { kind, milliseconds });
      }
      case 'runtime': {
        const [runtime, since] = [text('runtime'), moment('lost_since')];
        if (runtime === undefined) return detail;
        return since === undefined
          ? t('platform.found.runtime', { runtime })
          : t('platform.found.runtimeLost', { runtime, since });
      }
      case 'gateways': {
        const [serving, draining, connections] = [
          number('serving'),
          number('draining'),
          number('connections'),
        ];
        if (serving === undefined || draining === undefined || connections === undefined) return detail;
        return facts['serving'] === 0
          ? t('platform.found.noGateways')
          : t('platform.found.gateways', { serving, draining, connections });
      }
      case 'data_disk':
      case 'runtime_disk': {
        const [free, place] = [facts['free_bytes'], text('place')];
        return typeof free !== 'number' || place === undefined
          ? detail
          : t('platform.found.disk', { free: format.bytes(free), place });
      }
      case 'certificate': {
        const [expires, days] = [text('expires'), facts['days']];
        if (facts['expires'] === null) return t('platform.found.noCertificate');
        if (expires === undefined || typeof days !== 'number') return detail;
        return days < 0
          ? t('platform.found.certificateExpired', { day: format.day(expires) })
          : t('platform.found.certificate', { day: format.day(expires), days: format.number(days) });
      }
      case 'ports': {
        const [used, resting, free] = [number('used'), number('resting'), number('free')];
        return used === undefined || resting === undefined || free === undefined
          ? detail
          : t('platform.found.ports', { used, resting, free });
      }
      case 'queue': {
        const [waiting, oldest] = [number('waiting'), text('oldest_due_at')];
        if (facts['waiting'] === 0) return t('platform.found.noQueue');
        return waiting === undefined || oldest === undefined
          ? detail
          : t('platform.found.queue', { waiting, since: format.ago(oldest) });
      }
      case 'audit': {
        const unsealed = number('unsealed');
        if (facts['unsealed'] === 0) return t('platform.found.sealed');
        return unsealed === undefined ? detail : t('platform.found.unsealed', { unsealed });
      }
      case 'backup': {
        const at = text('last_at');
        if (facts['last_at'] === null) return t('platform.found.noBackup');
        return at === undefined ? detail : t('platform.found.backup', { ago: format.ago(at) });
      }
      default:
        return detail;
    }
  };
}
