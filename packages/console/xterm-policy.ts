/**
 * Has xterm.js keep to the page's policy, as it is bundled: its style elements get the document's nonce, and what it writes into
 * style attributes goes by way of scripts' own objects, which the policy lets in. It has no option for either. The build
 * fails where another version of it is written in another way.
 */
import type { Plugin } from 'vite';

const changes: [what: RegExp, by: string, times: number][] = [
  [
    /([\w.]+)\.createElement\("style"\)/g,
    'Object.assign($1.createElement("style"),{nonce:document.querySelector("meta[property=csp-nonce]")?.nonce??""})',
    3,
  ],
  [
    /(\w+)\.setAttribute\("style",`\$\{\1\.getAttribute\("style"\)\|\|""\}\$\{(\w+)\};`\)/g,
    '$1.style.cssText+=`${$2};`',
    1,
  ],
];

export function xtermPolicy(): Plugin {
  return {
    name: 'xterm-policy',
    transform(code, file) {
      if (!file.endsWith('@xterm/xterm/lib/xterm.mjs')) return undefined;
      return changes.reduce((changed, [what, by, times]) => {
        const found = changed.match(what)?.length ?? 0;
        if (found !== times)
          this.error(`xterm.js has ${found} places like ${what.source}, where there were ${times}`);
        return changed.replaceAll(what, by);
      }, code);
    },
  };
}
