/** Whose things are listed, where there are several customers; only administrators see others'. */
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { customersQuery } from '../api/catalogue.ts';
import { useSession } from '../shell/use-session.ts';
import { FilterSelect } from './filter-select.tsx';

interface Props {
  value: number | undefined;
  set: (customer: number | undefined) => void;
  /** Whether one may ask for those of all; otherwise one's own customer comes first. */
  all?: boolean;
}

export function CustomerFilter({ value, set, all = false }: Props) {
  const { t } = useTranslation();
  const session = useSession();
  const customers = useCustomers();
  if (customers.length < 2) return null;
  const chosen = value ?? (all ? '' : session.customer_id);
  return (
    <FilterSelect
      label={t('filter.customer')}
      value={String(chosen)}
      data={[
        ...(all ? [{ value: '', label: t('filter.everyCustomer') }] : []),
        ...customers.map(({ id, name }) => ({ value: String(id), label: name })),
      ]}
      onChange={(customer) => {
        const id = Number(customer);
        set(customer === '' || (!all && id === session.customer_id) ? undefined : id);
      }}
    />
  );
}

/** None for members, who are not told of others. */
export function useCustomers(): { id: number; name: string }[] {
  const { role } = useSession();
  const { data } = useQuery({ ...customersQuery, enabled: role === 'admin' });
  return data?.items ?? [];
}

/** A customer's name, as far as one may know it. */
export function useCustomerName(): (id: number) => string {
  const session = useSession();
  const customers = useCustomers();
  return (id) =>
    id === session.customer_id
      ? session.customer
      : (customers.find((each) => each.id === id)?.name ?? String(id));
}
