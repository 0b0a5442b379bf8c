/** A moment as how long ago it was; the exact one on hover and for programs. */
import { useInterval } from '@mantine/hooks';
import { useState } from 'react';
import { useFormat } from '../i18n/format.ts';

export function Ago({ at }: { at: string }) {
  const format = useFormat();
  const [now, setNow] = useState(Date.now);
  useInterval(() => setNow(Date.now()), 15_000, { autoInvoke: true });
  return (
    <time dateTime={at} title={format.moment(at)} style={{ whiteSpace: 'nowrap' }}>
      {format.ago(at, now)}
    </time>
  );
}

/** How long something has lasted by now. */
export function Lasting({ since }: { since: string }) {
  const format = useFormat();
  const [now, setNow] = useState(Date.now);
  useInterval(() => setNow(Date.now()), 1000, { autoInvoke: true });
  return (
    <time dateTime={since} title={format.moment(since)} style={{ whiteSpace: 'nowrap' }}>
      {format.duration((now - Date.parse(since)) / 1000)}
    </time>
  );
}
