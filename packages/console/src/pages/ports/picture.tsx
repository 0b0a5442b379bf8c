/** The whole range as a picture: which ports are free, which are used and by whom, and which rest. */
import type { PortMap } from '@berth/contract';
import { NumberInput, Text } from '@mantine/core';
import { useElementSize } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import type { KeyboardEvent, PointerEvent, ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { portMapQuery } from '../../api/ports.ts';
import { Mono } from '../../components/facts.tsx';
import { AnchorLink } from '../../components/links.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Ago } from '../../components/time.tsx';
import { useFormat } from '../../i18n/format.ts';
import { gridOf, pathOfPorts, placeOf, portAt } from './grid.ts';
import type { Grid } from './grid.ts';
import classes from './ports.module.css';

const route = getRouteApi('/signed-in/ports');

type Used = PortMap['used'][number];
type Resting = PortMap['resting'][number];

/** What is known of one port. */
type Known = { state: 'free' | 'taken' } | { state: 'used'; by: Used } | { state: 'resting'; by: Resting };

interface Places {
  known: (port: number) => Known;
  free: number[];
  used: number[];
  resting: number[];
  /** Others', for who may not know whose. */
  taken: number[];
}

function placesOf({ first, last, used, resting, taken }: PortMap): Places {
  const inRange = ({ port }: { port: number }) => port >= first && port <= last;
  const users = new Map(used.filter(inRange).map((by) => [by.port, by]));
  const resters = new Map(resting.filter(inRange).map((by) => [by.port, by]));
  const others = new Set(taken);
  const all = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  return {
    known(port) {
      const [user, rester] = [users.get(port), resters.get(port)];
      if (user) return { state: 'used', by: user };
      if (rester) return { state: 'resting', by: rester };
      return { state: others.has(port) ? 'taken' : 'free' };
    },
    free: all.filter((port) => !users.has(port) && !resters.has(port) && !others.has(port)),
    used: [...users.keys()],
    resting: [...resters.keys()],
    taken,
  };
}

export function PortPicture() {
  const { data: map, error, refetch } = useQuery(portMapQuery);
  if (map === undefined) return <ProblemAlert error={error} retry={() => void refetch()} />;
  return <Picture map={map} />;
}

function Picture({ map }: { map: PortMap }) {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { ref, width } = useElementSize();
  const [hovered, setHovered] = useState<number | null>(null);
  const places = useMemo(() => placesOf(map), [map]);
  const grid = useMemo(() => gridOf(map, width), [map, width]);
  const { first, last } = map;
  const chosen = Math.min(last, Math.max(first, search.port ?? places.used[0] ?? first));
  const choose = (port: number) =>
    void navigate({
      search: (before) => ({ ...before, port: Math.min(last, Math.max(first, port)) }),
      replace: true,
      resetScroll: false,
    });
  const shown = hovered ?? chosen;
  const known = places.known(shown);
  const words = useWords();
  const pointed = ({ currentTarget, clientX, clientY }: PointerEvent) => {
    const { left, top } = currentTarget.getBoundingClientRect();
    return portAt(grid, clientX - left, clientY - top);
  };
  const outside = map.used.filter(({ port }) => port < first || port > last);
  return (
    <>
      <Legend places={places} />
      <div className={classes.told}>
        <NumberInput
          aria-label={t('ports.port')}
          w="7rem"
          size="xs"
          min={first}
          max={last}
          clampBehavior="blur"
          value={shown}
          onChange={(port) => typeof port === 'number' && port >= first && port <= last && choose(port)}
          styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
        />
        <Told known={known} port={shown} />
      </div>
      <div ref={ref}>
        {width > 0 && (
          <div
            className={classes.map}
            role="slider"
            tabIndex={0}
            aria-label={t('ports.pictureLabel', { first, last })}
            aria-valuemin={first}
            aria-valuemax={last}
            aria-valuenow={chosen}
            aria-valuetext={words(chosen, places.known(chosen))}
            aria-orientation="horizontal"
            onKeyDown={(event) => {
              const at = places.known(chosen);
              if (event.key === 'Enter' && at.state === 'used')
                void navigate({ to: '/environments/$id', params: { id: at.by.env_id } });
              const next = moved(event, chosen, grid, places);
              if (next === null) return;
              event.preventDefault();
              choose(next);
            }}
            onPointerMove={(event) => setHovered(pointed(event))}
            onPointerLeave={() => setHovered(null)}
            onClick={(event) => {
              const port = pointed(event as unknown as PointerEvent);
              if (port !== null) choose(port);
            }}
          >
            <Drawing grid={grid} places={places}>
              {hovered !== null && <Frame grid={grid} port={hovered} className={classes.hover} />}
              <Frame grid={grid} port={chosen} className={classes.cursor} />
            </Drawing>
          </div>
        )}
      </div>
      <Text size="sm" c="dimmed" mt="md">
        {t('ports.keys')}
      </Text>
      {outside.length > 0 && (
        <Text size="sm" mt="xs">
          {t('ports.outside', { count: outside.length })}{' '}
          {outside.map(({ port, env_id }) => `${port} (${env_id})`).join(', ')}
        </Text>
      )}
    </>
  );
}

/** Where a key leads from a port; null where it leads nowhere. */
function moved(
  { key }: KeyboardEvent,
  from: number,
  { columns, first, last }: Grid,
  { used }: Places,
): number | null {
  if (key === 'ArrowRight') return from + 1;
  if (key === 'ArrowLeft') return from - 1;
  if (key === 'ArrowDown') return from + columns > last ? null : from + columns;
  if (key === 'ArrowUp') return from - columns < first ? null : from - columns;
  if (key === 'Home') return first;
  if (key === 'End') return last;
  if (key === 'PageDown') return used.find((port) => port > from) ?? null;
  if (key === 'PageUp') return used.findLast((port) => port < from) ?? null;
  return null;
}

const states = ['used', 'resting', 'taken', 'free'] as const;

function Legend({ places }: { places: Places }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <ul className={classes.legend}>
      {states.map((state) =>
        // Administrators know whose each is.
        state === 'taken' && places.taken.length === 0 ? null : (
          <li key={state}>
            <Key state={state} />
            <span>
              <b>{format.number(places[state].length)}</b> {t(`ports.states.${state}`)}
            </span>
          </li>
        ),
      )}
    </ul>
  );
}

function Key({ state }: { state: Known['state'] }) {
  return (
    <svg className={classes.key} viewBox="0 0 10 10" aria-hidden>
      {(state === 'free' || state === 'resting') && <path className={classes.free} d="M0 0h10v10h-10z" />}
      {state === 'taken' && <path className={classes.taken} d="M0 0h10v10h-10z" />}
      {state === 'used' && <path className={classes.used} d="M0 0h10v10h-10z" />}
      {state === 'resting' && <path className={classes.resting} d="M0 0v10h10z" />}
    </svg>
  );
}

interface DrawingProps {
  grid: Grid;
  places: Places;
  children: ReactNode;
}

function Drawing({ grid, places, children }: DrawingProps) {
  const { origin, rows, columns, pitch, width, height } = grid;
  const paths = useMemo(
    () => ({
      free: pathOfPorts(grid, [...places.free, ...places.resting], 'square'),
      used: pathOfPorts(grid, places.used, 'square'),
      taken: pathOfPorts(grid, places.taken, 'square'),
      resting: pathOfPorts(grid, places.resting, 'half'),
    }),
    [grid, places],
  );
  // So many that the numbers do not touch.
  const every = Math.ceil(14 / pitch);
  return (
    <svg width={width} height={height} aria-hidden>
      {Array.from({ length: Math.ceil(rows / every) }, (_, index) => index * every).map((row) => (
        <text
          key={row}
          className={classes.number}
          x={0}
          y={row * pitch + pitch / 2}
          dominantBaseline="central"
        >
          {String(origin + row * columns)}
        </text>
      ))}
      <path className={classes.free} d={paths.free} />
      <path className={classes.taken} d={paths.taken} />
      <path className={classes.used} d={paths.used} />
      <path className={classes.resting} d={paths.resting} />
      {children}
    </svg>
  );
}

function Frame({ grid, port, className }: { grid: Grid; port: number; className: string | undefined }) {
  const { x, y } = placeOf(grid, port);
  const { side } = grid;
  return <rect className={className} x={x - 1.5} y={y - 1.5} width={side + 3} height={side + 3} rx={1.5} />;
}

/** One port in a sentence, for who cannot see the picture. */
function useWords(): (port: number, known: Known) => string {
  const { t } = useTranslation();
  const format = useFormat();
  return (port, known) => {
    if (known.state === 'used') {
      const { name, env_id, customer } = known.by;
      return t('ports.usedBy', { port, name, id: env_id, customer });
    }
    if (known.state === 'resting') {
      const { env_id, until } = known.by;
      return t('ports.restingUntil', { port, id: env_id, until: format.moment(until) });
    }
    return known.state === 'taken' ? t('ports.takenOne', { port }) : t('ports.freeOne', { port });
  };
}

function Told({ known, port }: { known: Known; port: number }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <>
      <span className={classes.state}>
        <Key state={known.state} />
        {t(`ports.states.${known.state}`)}
      </span>
      {known.state === 'used' && (
        <>
          <span>
            <AnchorLink to="/environments/$id" params={{ id: known.by.env_id }} fw={500} size="sm">
              {known.by.name}
            </AnchorLink>{' '}
            <Mono dimmed>{known.by.env_id}</Mono>
          </span>
          <span>{known.by.customer}</span>
          <Text span size="sm" c="dimmed">
            <Ago at={known.by.since} />
          </Text>
        </>
      )}
      {known.state === 'resting' && (
        <>
          <span>{t('ports.until', { moment: format.moment(known.by.until) })}</span>
          <span>
            {t('ports.before')} <Mono>{known.by.env_id}</Mono>
          </span>
        </>
      )}
      <AnchorLink to="/ports" search={{ view: 'table', port }} size="sm">
        {t('ports.history')}
      </AnchorLink>
    </>
  );
}
