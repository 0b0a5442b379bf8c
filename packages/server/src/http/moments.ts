/** Moments in the queries of lists. */
import { BerthError } from '@berth/contract';

/**
 * What lies beyond the years that a database's time has is as good as the first and the last of them.
 *
 * @throws BerthError `bad_request`
 */
export function readMoment(field: string, value: string | undefined): Date | undefined {
  if (value === undefined) return undefined;
  const time = Date.parse(value);
  if (Number.isNaN(time))
    throw new BerthError('bad_request', `${field}: is ${JSON.stringify(value)}, which is no moment.`, {
      field,
    });
  return new Date(Math.min(Math.max(time, 0), Date.UTC(9999, 11, 31)));
}
