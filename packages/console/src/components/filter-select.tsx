/** One of a few, to narrow a list: the browser's own select, which costs no page anything. */
import { Input } from '@mantine/core';
import { IconChevronDown } from '@tabler/icons-react';

interface Props {
  label: string;
  data: { value: string; label: string }[];
  value: string;
  onChange: (value: string) => void;
}

export function FilterSelect({ label, data, value, onChange }: Props) {
  return (
    <Input
      component="select"
      pointer
      aria-label={label}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      rightSection={<IconChevronDown size={16} aria-hidden />}
      rightSectionPointerEvents="none"
    >
      {data.map((each) => (
        <option key={each.value} value={each.value}>
          {each.label}
        </option>
      ))}
    </Input>
  );
}
