import { Text, TextInput } from '@mantine/core';
import { routes } from '@berth/contract/paths';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { addSshKey } from '../../api/ssh-keys.ts';
import { commandLine } from '../../components/command-hint.tsx';
import { CopyField } from '../../components/copy-field.tsx';
import { FormDialog, errorAt } from '../../components/form-dialog.tsx';
import { PastedKeyField } from './pasted-key-field.tsx';
import { readPastedKey } from './pasted-key.ts';
import classes from './ssh-keys.module.css';

export function AddKey({ close }: { close: () => void }) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const [pasted, setPasted] = useState('');
  const [typed, setTyped] = useState<string | null>(null);
  const read = readPastedKey(pasted);
  const isKey = read !== null && typeof read !== 'string';
  // A comment is what most people would type anyway, as far as a name takes it.
  const name = typed ?? (isKey ? read.comment.replace(/[/\\]/g, ' ').slice(0, 64) : '');
  const body = { name: name.trim(), public_key: pasted.trim() };
  const add = useMutation({
    mutationFn: () => addSshKey(body),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: [routes.sshKeys] });
      close();
    },
  });
  return (
    <FormDialog
      title={t('keys.add')}
      close={close}
      size="lg"
      action={t('keys.add')}
      submit={() => add.mutate()}
      pending={add.isPending}
      disabled={!isKey || body.name === ''}
      error={add.error}
      fields={['public_key', 'name']}
      equivalent={{
        command: `${commandLine('keys add', body.name || 'NAME')} ~/.ssh/id_ed25519.pub`,
        request: `POST ${routes.sshKeys}`,
        body: isKey ? body : { name: 'NAME', public_key: 'ssh-ed25519 AAAA…' },
      }}
    >
      <PastedKeyField
        label={t('keys.form.paste')}
        description={t('keys.form.pasteWhat')}
        value={pasted}
        set={(value) => {
          setPasted(value);
          add.reset();
        }}
        error={errorAt(add.error, 'public_key')}
      />
      <TextInput
        label={t('keys.form.name')}
        description={t('keys.form.nameWhat')}
        required
        withAsterisk={false}
        maxLength={64}
        value={name}
        onChange={(event) => setTyped(event.currentTarget.value)}
        error={errorAt(add.error, 'name')}
      />
      <details className={classes.help}>
        <summary>{t('keys.form.noKey')}</summary>
        <div>
          {(['show', 'showWindows', 'make'] as const).map((step) => (
            <div key={step}>
              <Text size="sm" c="dimmed">
                {t(`keys.form.${step}`)}
              </Text>
              <CopyField value={steps[step]} label={t(`keys.form.${step}`)} />
            </div>
          ))}
        </div>
      </details>
    </FormDialog>
  );
}

const steps = {
  show: 'cat ~/.ssh/id_ed25519.pub',
  showWindows: 'Get-Content $HOME\\.ssh\\id_ed25519.pub',
  make: 'ssh-keygen -t ed25519',
};
