/** Something to paste elsewhere: shown in the mono face, copied by a button, or hidden until it is asked for. */
import { ActionIcon } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { IconCheck, IconCopy, IconEye, IconEyeOff } from '@tabler/icons-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import classes from './copy-field.module.css';

interface Props {
  value: string;
  /** What it is, for who cannot see it. */
  label: string;
  secret?: boolean;
  /** Several lines, kept as they are. */
  block?: boolean;
}

export function CopyField({ value, label, secret = false, block = false }: Props) {
  const { t } = useTranslation();
  const [hidden, setHidden] = useState(secret);
  const shown = hidden ? '•'.repeat(12) : value;
  return (
    <div className={classes.field} data-block={block || undefined}>
      <code
        className={classes.value}
        tabIndex={block ? 0 : undefined}
        aria-label={hidden ? t('copy.hidden', { label }) : undefined}
        role={hidden ? 'img' : undefined}
      >
        {shown}
      </code>
      <span className={classes.buttons}>
        {secret && (
          <ActionIcon
            variant="subtle"
            color="gray"
            title={hidden ? t('copy.show') : t('copy.hide')}
            aria-label={hidden ? t('copy.showLabel', { label }) : t('copy.hideLabel', { label })}
            onClick={() => setHidden(!hidden)}
          >
            {hidden ? <IconEye size={16} aria-hidden /> : <IconEyeOff size={16} aria-hidden />}
          </ActionIcon>
        )}
        <CopyButton value={value} label={label} />
      </span>
    </div>
  );
}

export function CopyButton({ value, label }: { value: string; label: string }) {
  const { t } = useTranslation();
  const clipboard = useClipboard({ timeout: 1500 });
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      title={clipboard.copied ? t('copy.copied') : t('copy.copy')}
      aria-label={clipboard.copied ? t('copy.copiedLabel', { label }) : t('copy.copyLabel', { label })}
      onClick={() => clipboard.copy(value)}
    >
      {clipboard.copied ? <IconCheck size={16} aria-hidden /> : <IconCopy size={16} aria-hidden />}
    </ActionIcon>
  );
}
