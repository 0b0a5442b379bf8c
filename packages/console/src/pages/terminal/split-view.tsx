/** Panes beside and above one another, with borders between them that the pointer and the keyboard move. */
import { Fragment, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import type { KeyboardEvent, PointerEvent } from 'react';
import type { Part, Tab } from './layout.ts';
import { PaneView } from './pane-view.tsx';
import classes from './terminal.module.css';
import type { Workspace } from './workspace.ts';

/** Percent that a pane keeps. */
const least = 8;
const step = 4;

interface Props {
  workspace: Workspace;
  tab: Tab;
  part: Part;
  /** From the tab's root down. */
  path: readonly number[];
}

export function PartView({ workspace, tab, part, path }: Props) {
  const { t } = useTranslation();
  const whole = useRef<HTMLDivElement>(null);
  if ('pane' in part)
    return <PaneView workspace={workspace} id={part.pane} isActive={isMarked(tab, part.pane)} />;
  const { split, parts, sizes } = part;
  const isRow = split === 'row';
  const move = (index: number, percent: number) => {
    const [one = 0, other = 0] = sizes.slice(index, index + 2);
    const both = one + other;
    const changed = Math.min(Math.max(percent, least), both - least);
    if (both > 2 * least) workspace.resize(tab.id, path, sizes.toSpliced(index, 2, changed, both - changed));
  };
  const drag = (index: number) => (event: PointerEvent<HTMLDivElement>) => {
    if (!event.currentTarget.hasPointerCapture(event.pointerId) || whole.current === null) return;
    const { left, top, width, height } = whole.current.getBoundingClientRect();
    const at = isRow ? (event.clientX - left) / width : (event.clientY - top) / height;
    const before = sizes.slice(0, index).reduce((sum, size) => sum + size, 0);
    move(index, at * 100 - before);
  };
  const press = (index: number) => (event: KeyboardEvent) => {
    const size = sizes[index] ?? 0;
    const [less, more] = isRow ? ['ArrowLeft', 'ArrowRight'] : ['ArrowUp', 'ArrowDown'];
    if (event.key !== less && event.key !== more) return;
    event.preventDefault();
    move(index, size + (event.key === more ? step : -step));
  };
  return (
    <div ref={whole} className={classes.split} data-direction={split}>
      {parts.map((each, index) => (
        <Fragment key={'pane' in each ? each.pane : `split ${index}`}>
          {index > 0 && (
            // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- a border that moves is a widget
            <div
              className={classes.border}
              role="separator"
              tabIndex={0}
              aria-label={t('terminal.border')}
              aria-orientation={isRow ? 'vertical' : 'horizontal'}
              aria-valuemin={least}
              aria-valuemax={100 - least}
              aria-valuenow={Math.round(sizes[index - 1] ?? 0)}
              onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
              onPointerMove={drag(index - 1)}
              onKeyDown={press(index - 1)}
            />
          )}
          <div className={classes.part} style={{ flexGrow: sizes[index] ?? 1 }}>
            <PartView workspace={workspace} tab={tab} part={each} path={[...path, index]} />
          </div>
        </Fragment>
      ))}
    </div>
  );
}

/** Of several only. */
function isMarked({ root, active }: Tab, pane: string): boolean {
  return !('pane' in root) && active === pane;
}
