/**
 * What was found, in the language that is shown. The server and the explanation say it in English; in Chinese it is made
 * from the code and the facts, with words that are loaded when somebody needs them.
 */
import type { CheckResult } from '@berth/contract';
import type { ClientFinding } from '@berth/contract/explain';
import { filled } from '@berth/contract/sentences';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

interface Said {
  cause: string;
  cure: string | null;
}

export interface FindingWords {
  ofCheck(check: CheckResult): Said & { lookedAt: string };
  ofClient(finding: ClientFinding): Said;
}

const inEnglish: FindingWords = {
  ofCheck: ({ cause, cure, looked_at }) => ({ cause, cure, lookedAt: looked_at }),
  ofClient: ({ cause, cure }) => ({ cause, cure }),
};

export function useFindingWords(): FindingWords {
  const { i18n } = useTranslation();
  const { data } = useQuery({
    queryKey: ['words of findings', i18n.language],
    queryFn: () => wordsIn(i18n.language),
    staleTime: Infinity,
  });
  return data ?? inEnglish;
}

async function wordsIn(language: string): Promise<FindingWords> {
  if (language !== 'zh-CN') return inEnglish;
  const { checks, clientFindings, findings } = await import('./zh-CN.ts');
  return {
    // A code that a newer server has, and this page not yet, stays in English.
    ofCheck: (check) => ({
      ...said(findings[check.code] ?? check, check.facts),
      lookedAt: checks[check.id] ?? check.looked_at,
    }),
    ofClient: (finding) => said(clientFindings[finding.code], finding.facts),
  };
}

function said({ cause, cure }: Said, facts: CheckResult['facts']): Said {
  return { cause: filled(cause, facts), cure: cure && filled(cure, facts) };
}
