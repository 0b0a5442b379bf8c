/** Whether the page that is about to be drawn was gone to; the first one of a window was not, it is read by itself. */
import { useEffect, useRef } from 'react';
import type { RefObject } from 'react';

let arrives = false;

export function noteNavigation(): void {
  arrives = true;
}

/** For a page's heading: the keyboard and a screen reader are led to it, once. */
export function useArrival<T extends HTMLElement>(): RefObject<T | null> {
  const heading = useRef<T>(null);
  useEffect(() => {
    if (arrives) heading.current?.focus({ preventScroll: true });
    arrives = false;
  }, []);
  return heading;
}
