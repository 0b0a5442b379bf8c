import { auditActions } from '@berth/contract/vocabulary';
import type { AuditAction, AuditOutcome } from '@berth/contract/vocabulary';
import { useTranslation } from 'react-i18next';
import classes from './audit.module.css';

/** As the strings name it: dots would lead further down there. */
type ActionKey<Action extends string> = Action extends `${infer Noun}.${infer Verb}`
  ? `${Noun}_${Verb}`
  : Action;

function keyOf<Action extends AuditAction>(action: Action): ActionKey<Action> {
  return action.replace('.', '_') as ActionKey<Action>;
}

/** What was done, in words; a newer server may know more. */
export function ActionName({ action }: { action: string }) {
  const { t } = useTranslation();
  const known = auditActions.find((each) => each === action);
  return known === undefined ? action : t(`audit.actions.${keyOf(known)}`);
}

/** A shape and a word, never a colour alone. */
export function Outcome({ outcome }: { outcome: AuditOutcome }) {
  const { t } = useTranslation();
  return (
    <span className={classes.outcome} data-outcome={outcome}>
      <span className={classes.mark} aria-hidden />
      {t(`audit.outcomes.${outcome}`)}
    </span>
  );
}
