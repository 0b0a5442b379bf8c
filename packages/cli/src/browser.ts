/** The desktop's own way to open an address: BROWSER, else `open` (macOS) or `xdg-open`. */
import { spawn } from 'node:child_process';

/** @returns whether something took it; without a display nothing does */
export async function openInBrowser(address: string): Promise<boolean> {
  const program = opener();
  if (program === undefined) return false;
  const child = spawn(program, [address], { stdio: 'ignore', detached: true });
  const started = await new Promise<boolean>((resolve) => {
    child.once('error', () => resolve(false));
    child.once('spawn', () => resolve(true));
  });
  child.unref();
  return started;
}

function opener(): string | undefined {
  const { BROWSER, DISPLAY, WAYLAND_DISPLAY } = process.env;
  if (BROWSER) return BROWSER;
  if (process.platform === 'darwin') return 'open';
  return DISPLAY || WAYLAND_DISPLAY ? 'xdg-open' : undefined;
}
