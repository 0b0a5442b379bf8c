/**
 * How the console is bundled. `vite packages/console` serves it with hot reload for who works on it, in front of the Berth that
 * BERTH_URL names.
 */
import react from '@vitejs/plugin-react';
import subsetFont from 'subset-font';
import { defineConfig } from 'vite';
import type { Plugin } from 'vite';
import { noncePlaceholder } from './build.ts';
import { xtermPolicy } from './xterm-policy.ts';

const target = process.env['BERTH_URL'] ?? 'http://127.0.0.1:8080';
// The server takes a cookie's changes from its own origin only, which is what the proxy speaks for.
const proxied = { target, changeOrigin: true, ws: true, headers: { origin: new URL(target).origin } };

/** The text's face comes with all weights from 100 to 700; the pages use 400 to 600, which are a third less to load. */
const narrowFont: Plugin = {
  name: 'narrow-font',
  apply: 'build',
  async generateBundle(_options, bundle) {
    for (const file of Object.values(bundle)) {
      if (file.type !== 'asset' || !/ibm-plex-sans.*\.woff2$/.test(file.fileName)) continue;
      const variationAxes = { wght: { min: 400, max: 600 } };
      file.source = await subsetFont(Buffer.from(file.source), latin, {
        targetFormat: 'woff2',
        variationAxes,
      });
    }
  },
};

/** ASCII, Latin-1, and the marks of typography that the file has beside them. */
const latin =
  Array.from({ length: 0x100 }, (_, code) => String.fromCodePoint(code)).join('') + '–—‘’‚“”„†•…‹›⁄€™−↑↓';

const alwaysNeeded =
  /node_modules\/(react|react-dom|scheduler|@tanstack|i18next|react-i18next|use-sync-external-store|get-nonce|clsx|@mantine\/core\/esm\/core)\//;
/** What stands around each page, and what says that one cannot be shown. */
const frame =
  /console\/src\/(app\/[\w-]+\.tsx?|api\/(client|session)|i18n\/(format|i18n|sentences|server-words)|components\/(problem-alert|links|page-header|empty-state)|shell\/(not-found|page-failed|word-mark))|@mantine\/core\/esm\/components\/(Alert|Anchor|Button|CloseButton|Group|Loader|Stack|Text|Title|Transition|UnstyledButton)\/|@tabler\/icons-react\/dist\/esm\/(createReactComponent|defaultAttributes)/;

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react(), narrowFont, xtermPolicy()],
  html: { cspNonce: noncePlaceholder },
  build: {
    // The first that know light-dark() in styles.
    target: ['chrome123', 'firefox120', 'safari17.5'],
    // The policy has no place for "data:" but in images, and a font is better cached by itself.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // The terminal's page, which is loaded by itself.
    chunkSizeWarningLimit: 650,
    manifest: 'manifest.json',
    rolldownOptions: {
      output: {
        // What every page needs is one file: fewer requests, and it is compressed as a whole.
        codeSplitting: {
          groups: [
            { name: 'libraries', test: alwaysNeeded, priority: 2 },
            { name: 'frame', test: frame, priority: 1 },
          ],
        },
      },
    },
  },
  server: { proxy: { '/api': proxied } },
});
