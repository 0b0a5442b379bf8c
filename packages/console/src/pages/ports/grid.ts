/** Where each port stands in the picture of the range: rows of so many that each begins with a round number. */

export interface Grid {
  first: number;
  last: number;
  columns: number;
  /** The port that the first place would have; it is below `first` where that is no round number. */
  origin: number;
  rows: number;
  /** Pixels from one place to the next, and of a place. */
  pitch: number;
  side: number;
  /** Pixels that the rows' numbers take. */
  margin: number;
  width: number;
  height: number;
}

const margin = 52;
/** The smallest that a finger or an eye finds. */
const smallestPitch = 8.5;
const largestPitch = 16;
const possibleColumns = [100, 50, 25, 20, 10];

export function gridOf({ first, last }: { first: number; last: number }, width: number): Grid {
  const room = Math.max(width - margin, 80);
  const columns = possibleColumns.find((each) => room / each >= smallestPitch) ?? 10;
  const origin = first - (first % columns);
  const rows = Math.floor((last - origin) / columns) + 1;
  const pitch = Math.min(room / columns, largestPitch);
  return {
    first,
    last,
    columns,
    origin,
    rows,
    pitch,
    side: pitch - Math.max(1.5, pitch * 0.16),
    margin,
    width: margin + columns * pitch,
    height: rows * pitch,
  };
}

export function placeOf(
  { origin, columns, pitch, margin: left }: Grid,
  port: number,
): { x: number; y: number } {
  const index = port - origin;
  return { x: left + (index % columns) * pitch, y: Math.floor(index / columns) * pitch };
}

/** The port under a point; null where there is none. */
export function portAt(
  { origin, columns, pitch, margin: left, first, last }: Grid,
  x: number,
  y: number,
): number | null {
  const column = Math.floor((x - left) / pitch);
  if (column < 0 || column >= columns || y < 0) return null;
  const port = origin + Math.floor(y / pitch) * columns + column;
  return port < first || port > last ? null : port;
}

/** All these ports' places as one path: a square each, or the half of one below its diagonal. */
export function pathOfPorts(grid: Grid, ports: Iterable<number>, shape: 'square' | 'half'): string {
  const { side } = grid;
  const size = short(side);
  const parts: string[] = [];
  for (const port of ports) {
    const { x, y } = placeOf(grid, port);
    const start = `M${short(x)} ${short(y)}`;
    parts.push(shape === 'square' ? `${start}h${size}v${size}h-${size}z` : `${start}v${size}h${size}z`);
  }
  return parts.join('');
}

/** A path of thousands of places needs no more digits than a screen shows. */
function short(pixels: number): string {
  return String(Math.round(pixels * 10) / 10);
}
