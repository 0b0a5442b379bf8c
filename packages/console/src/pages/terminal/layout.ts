/**
 * How a page's terminals lie: tabs, each a tree of panes beside and above one another. Pure, and written as JSON into the
 * browser's tab, so that a reload finds it.
 */

/** A pane shows one session, whose id it has. */
export type Part = { pane: string } | { split: 'row' | 'column'; parts: Part[]; sizes: number[] };

export interface Tab {
  id: string;
  root: Part;
  /** The pane that has the focus, or had it last. */
  active: string;
}

export interface Layout {
  tabs: Tab[];
  /** Of the tab that is shown. */
  shown: string;
}

export function panesOf(part: Part): string[] {
  return 'pane' in part ? [part.pane] : part.parts.flatMap(panesOf);
}

export function allPanes({ tabs }: Layout): string[] {
  return tabs.flatMap(({ root }) => panesOf(root));
}

export function addTab({ tabs }: Layout, pane: string): Layout {
  return { tabs: [...tabs, { id: pane, root: { pane }, active: pane }], shown: pane };
}

export function show(layout: Layout, tab: string): Layout {
  return layout.tabs.some(({ id }) => id === tab) ? { ...layout, shown: tab } : layout;
}

/** The next one (1) or the one before (-1), around the end. */
export function showBeside(layout: Layout, step: 1 | -1): Layout {
  const { tabs, shown } = layout;
  const at = tabs.findIndex(({ id }) => id === shown);
  return show(layout, tabs.at((at + step) % tabs.length)?.id ?? shown);
}

export function activate(layout: Layout, pane: string): Layout {
  const tab = layout.tabs.find(({ root }) => panesOf(root).includes(pane));
  if (tab === undefined || (tab.active === pane && layout.shown === tab.id)) return layout;
  return { shown: tab.id, tabs: layout.tabs.map((each) => (each === tab ? { ...tab, active: pane } : each)) };
}

/** Puts a new pane after another one, of whose room it takes half. */
export function split(layout: Layout, beside: string, direction: 'row' | 'column', pane: string): Layout {
  return {
    ...layout,
    tabs: layout.tabs.map((tab) => {
      const root = splitPart(tab.root, beside, direction, pane);
      return root === tab.root ? tab : { ...tab, root, active: pane };
    }),
  };
}

function splitPart(part: Part, beside: string, direction: 'row' | 'column', pane: string): Part {
  if ('pane' in part) {
    if (part.pane !== beside) return part;
    return { split: direction, parts: [part, { pane }], sizes: [50, 50] };
  }
  const at = part.parts.findIndex((each) => 'pane' in each && each.pane === beside);
  if (at >= 0 && part.split === direction) {
    const half = (part.sizes[at] ?? 0) / 2;
    return {
      ...part,
      parts: part.parts.toSpliced(at + 1, 0, { pane }),
      sizes: part.sizes.toSpliced(at, 1, half, half),
    };
  }
  const parts = part.parts.map((each) => splitPart(each, beside, direction, pane));
  return parts.some((each, index) => each !== part.parts[index]) ? { ...part, parts } : part;
}

/** What was beside it takes its room. A tab without a pane goes. */
export function remove(layout: Layout, pane: string): Layout {
  const at = layout.tabs.findIndex(({ root }) => panesOf(root).includes(pane));
  if (at < 0) return layout;
  const tabs = layout.tabs.flatMap((tab) => {
    const root = removePart(tab.root, pane);
    if (root === null) return [];
    const left = panesOf(root);
    return [{ ...tab, root, active: left.includes(tab.active) ? tab.active : (left[0] ?? '') }];
  });
  const isThere = tabs.some(({ id }) => id === layout.shown);
  return { tabs, shown: isThere ? layout.shown : (tabs[Math.min(at, tabs.length - 1)]?.id ?? '') };
}

function removePart(part: Part, pane: string): Part | null {
  if ('pane' in part) return part.pane === pane ? null : part;
  const kept = part.parts.flatMap((each, index) => {
    const left = removePart(each, pane);
    return left === null ? [] : [{ left, size: part.sizes[index] ?? 0 }];
  });
  if (kept.length === 0) return null;
  const [first] = kept;
  if (kept.length === 1 && first !== undefined) return first.left;
  const whole = kept.reduce((sum, { size }) => sum + size, 0) || 1;
  return {
    ...part,
    parts: kept.map(({ left }) => left),
    sizes: kept.map(({ size }) => (size * 100) / whole),
  };
}

/** Puts a new pane in the place of another one. */
export function replace(layout: Layout, pane: string, by: string): Layout {
  const change = (part: Part): Part =>
    'pane' in part ? (part.pane === pane ? { pane: by } : part) : { ...part, parts: part.parts.map(change) };
  return {
    ...layout,
    tabs: layout.tabs.map((tab) => ({
      ...tab,
      root: change(tab.root),
      active: tab.active === pane ? by : tab.active,
    })),
  };
}

/** @param path which part of the tab, from the root down */
export function resize(layout: Layout, tab: string, path: readonly number[], sizes: number[]): Layout {
  const change = (part: Part, [first, ...rest]: readonly number[]): Part => {
    if ('pane' in part) return part;
    if (first === undefined) return { ...part, sizes };
    return {
      ...part,
      parts: part.parts.map((each, index) => (index === first ? change(each, rest) : each)),
    };
  };
  return {
    ...layout,
    tabs: layout.tabs.map((each) => (each.id === tab ? { ...each, root: change(each.root, path) } : each)),
  };
}

/** @returns null for what is no layout */
export function readLayout(text: string | null): Layout | null {
  try {
    const layout = JSON.parse(text ?? '') as Layout;
    const panes = allPanes(layout);
    const fits =
      panes.length > 0 &&
      new Set(panes).size === panes.length &&
      panes.every((pane) => /^[a-z0-9]{8,32}$/.test(pane)) &&
      layout.tabs.every(({ id, active, root }) => typeof id === 'string' && panesOf(root).includes(active)) &&
      layout.tabs.some(({ id }) => id === layout.shown);
    return fits ? layout : null;
  } catch {
    return null;
  }
}
