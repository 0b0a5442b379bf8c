/** One or two curves over time by uPlot. What they say stands in words beside them; the drawing is for the eye. */
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { formatIn } from '../../i18n/format.ts';
import classes from './curve.module.css';

interface Props {
  label: string;
  /** Seconds since 1970. */
  at: number[];
  columns: (number | null)[][];
  /** What the axis goes up to at least, if there is such a thing. */
  limit: number | null;
  /** How long before its last moment it begins. */
  spanSeconds: number;
  format: (value: number) => string;
  onPoint: (index: number | null) => void;
}

const height = 120;
/** All curves show the same moment. */
const together = uPlot.sync('usage');

export default function Curve({ label, at, columns, limit, spanSeconds, format, onPoint }: Props) {
  const { i18n } = useTranslation();
  const scheme = useComputedColorScheme();
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  // What the callbacks need, as it is when they are called.
  const current = useRef({ format, onPoint });
  const data: uPlot.AlignedData = [at, ...columns];
  const shown = useRef(data);
  useEffect(() => {
    current.current = { format, onPoint };
    shown.current = data;
    plot.current?.setData(data);
  });

  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const color = (name: string) => getComputedStyle(element).getPropertyValue(name).trim() || 'gray';
    const words = formatIn(i18n.language);
    const axis: uPlot.Axis = {
      stroke: colorOf(element, '--berth-quiet'),
      grid: { stroke: colorOf(element, '--berth-line'), width: 1 },
      ticks: { show: false },
      font: `11px ${color('--mantine-font-family') || 'sans-serif'}`,
    };
    const drawn = new uPlot(
      {
        width: element.clientWidth,
        height,
        padding: [8, 8, 0, 0],
        legend: { show: false },
        cursor: { sync: { key: together.key }, drag: { x: false, y: false }, points: { size: 6 } },
        scales: {
          x: { range: (_plot, _first, last) => [last - spanSeconds, last] },
          y: { range: (_plot, _least, most) => [0, Math.max(limit ?? 0, most * 1.1, Number.EPSILON)] },
        },
        axes: [
          {
            ...axis,
            size: 26,
            values: (_plot, moments) => moments.map((each) => words.hourMinute(each * 1000)),
          },
          {
            ...axis,
            size: 64,
            splits: (_plot, _axis, least, most) => [least, (least + most) / 2, most],
            values: (_plot, values) => values.map((each) => current.current.format(each)),
          },
        ],
        series: [
          {},
          ...columns.map((_, index): uPlot.Series => ({
            stroke: colorOf(element, index === 0 ? '--berth-accent' : '--berth-signal'),
            width: 1.5,
            points: { size: 4 },
            spanGaps: false,
          })),
        ],
        hooks: {
          setCursor: [({ cursor }) => current.current.onPoint(cursor.idx ?? null)],
        },
      },
      shown.current,
      element,
    );
    plot.current = drawn;
    const watcher = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height }));
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      drawn.destroy();
      plot.current = null;
    };
    // A colour scheme has colours of its own, which a canvas does not take over by itself.
  }, [scheme, i18n.language, columns.length, limit, spanSeconds]);

  return <div ref={place} role="img" aria-label={label} className={classes.curve} />;
}

/** A colour as a canvas takes it; custom properties may hold `light-dark()`. */
function colorOf(element: HTMLElement, name: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
