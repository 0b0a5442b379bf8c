/** A field for a network. An address within one that has a prefix could be meant as either; both are offered. */
import { NetworkError, formatNetwork, readNetwork } from '@berth/contract/network';
import { Button, Group, Text, TextInput } from '@mantine/core';
import type { TextInputProps } from '@mantine/core';
import { useTranslation } from 'react-i18next';

interface Props extends Pick<TextInputProps, 'w' | 'label'> {
  'data-autofocus'?: true;
  value: string;
  set: (text: string) => void;
  /** What the server says to it. */
  error?: string | undefined;
}

export function NetworkField({ value, set, error, ...props }: Props) {
  const { t } = useTranslation();
  const { network, meant } = readTyped(value);
  return (
    <>
      <TextInput
        {...props}
        description={t('allowlist.addWhat')}
        maxLength={64}
        autoComplete="off"
        spellCheck={false}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
        value={value}
        onChange={(event) => set(event.currentTarget.value)}
        error={value.trim() !== '' && network === null && meant === null ? t('allowlist.noNetwork') : error}
      />
      {meant !== null && (
        <Group gap="xs" role="alert">
          <Text size="sm">{t('allowlist.within')}</Text>
          {[meant, value.trim().split('/')[0] ?? ''].map((each) => (
            <Button key={each} size="compact-sm" variant="default" ff="monospace" onClick={() => set(each)}>
              {each}
            </Button>
          ))}
        </Group>
      )}
    </>
  );
}

/** In its shortest form; null while it is none. `meant`: the network around an address that was given with a prefix. */
export function readTyped(text: string): { network: string | null; meant: string | null } {
  try {
    return { network: formatNetwork(readNetwork(text.trim())), meant: null };
  } catch (error) {
    return { network: null, meant: error instanceof NetworkError ? (error.meant ?? null) : null };
  }
}
