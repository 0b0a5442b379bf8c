/** What was found: a mark, the cause and the cure of each. */
import type { CheckResult } from '@berth/contract';
import type { ClientFinding } from '@berth/contract/explain';
import { Text } from '@mantine/core';
import { IconCheck, IconHelp, IconMinus, IconX } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import classes from './findings.module.css';
import { useFindingWords } from './words.ts';

type Verdict = CheckResult['verdict'];

const marks = { ok: IconCheck, problem: IconX, unknown: IconHelp, skipped: IconMinus } as const;

export function CheckList({ checks }: { checks: readonly CheckResult[] }) {
  const words = useFindingWords();
  return (
    <ul className={classes.list}>
      {checks.map((check) => {
        const { lookedAt, cause, cure } = words.ofCheck(check);
        return (
          <Item key={check.id} verdict={check.verdict}>
            <Text size="sm" c="dimmed" className={classes.lookedAt}>
              {lookedAt}
            </Text>
            <Text>{cause}</Text>
            {cure !== null && <Text c="dimmed">{cure}</Text>}
          </Item>
        );
      })}
    </ul>
  );
}

export function ClientFindingList({ findings }: { findings: readonly ClientFinding[] }) {
  const words = useFindingWords();
  return (
    <ul className={classes.list}>
      {findings.map((finding) => {
        const { cause, cure } = words.ofClient(finding);
        return (
          <Item key={finding.code} verdict={finding.code === 'logged_in' ? 'ok' : 'problem'}>
            <Text>{cause}</Text>
            {cure !== null && <Text c="dimmed">{cure}</Text>}
            {finding.line !== null && (
              <Text size="sm" ff="monospace" className={classes.line} mt="xs">
                {finding.line}
              </Text>
            )}
          </Item>
        );
      })}
    </ul>
  );
}

function Item({ verdict, children }: { verdict: Verdict; children: ReactNode }) {
  const { t } = useTranslation();
  const Mark = marks[verdict];
  return (
    <li className={classes.item}>
      <Mark
        size={18}
        className={classes[verdict]}
        role="img"
        aria-label={t(`diagnosis.verdicts.${verdict}`)}
      />
      <div>{children}</div>
    </li>
  );
}
