// Runs before all else, and stands alone: it must work where nothing else came.
'use strict';

// Before anything is painted: light or dark as this browser was told. The name of the entry is Mantine's.
const chosen = localStorage.getItem('mantine-color-scheme-value');
const dark = chosen === 'dark' || (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
document.documentElement.dataset.mantineColorScheme = dark ? 'dark' : 'light';

// A file that did not come leaves the window empty: the network changed just then, as when a laptop wakes or a container's
// interface appears, or a newer Berth has other files. The window begins anew, a few times.
const remembered = 'berth-began-anew';
const mostTimes = 4;
const withinMs = 60_000;

let begins = false;

function beginAnew() {
  // More than one file may fail.
  if (begins) return;
  const times = (sessionStorage.getItem(remembered) ?? '')
    .split(' ')
    .filter((time) => time !== '' && Date.now() - Number(time) < withinMs);
  if (times.length >= mostTimes) return;
  begins = true;
  sessionStorage.setItem(remembered, [...times, Date.now()].join(' '));
  setTimeout(() => location.reload(), 250 * 2 ** times.length);
}

addEventListener(
  'error',
  ({ target }) => {
    if (target instanceof HTMLScriptElement || target instanceof HTMLLinkElement) beginAnew();
  },
  true,
);
// Of a page that is loaded when somebody goes there (Vite).
addEventListener('vite:preloadError', beginAnew);
