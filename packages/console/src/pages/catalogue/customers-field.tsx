/** Who may use something of the catalogue: all customers, or those that are chosen. */
import { MultiSelect, Switch } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { useCustomerName, useCustomers } from '../../components/customer-filter.tsx';

interface Props {
  /** null: all. */
  value: number[] | null;
  set: (customers: number[] | null) => void;
  error?: string | undefined;
}

export function CustomersField({ value, set, error }: Props) {
  const { t } = useTranslation();
  const customers = useCustomers();
  return (
    <>
      <Switch
        label={t('catalogue.forAll')}
        checked={value === null}
        onChange={(event) => set(event.currentTarget.checked ? null : [])}
      />
      {value !== null && (
        <MultiSelect
          label={t('catalogue.customers')}
          data={customers.map(({ id, name }) => ({ value: String(id), label: name }))}
          value={value.map(String)}
          onChange={(chosen) => set(chosen.map(Number))}
          searchable
          clearable
          clearButtonProps={{ 'aria-label': t('catalogue.noCustomer') }}
          error={error}
        />
      )}
    </>
  );
}

/** In words. */
export function Customers({ customers }: { customers: number[] | null }) {
  const { t } = useTranslation();
  const nameOf = useCustomerName();
  if (customers === null) return t('catalogue.everybody');
  return customers.length === 0 ? t('catalogue.nobody') : customers.map(nameOf).join(', ');
}

/** Of the command. */
export function customerOptions(customers: number[] | null): string[] {
  return customers === null ? ['--all-customers'] : customers.flatMap((id) => ['--customer', String(id)]);
}
