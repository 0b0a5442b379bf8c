/** The browser's side begins here: the language is loaded, then the pages are shown. */
import { setNonce } from 'get-nonce';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app/app.tsx';
import { styleNonce } from './app/nonce.ts';
import { showLanguage, preferredLanguage } from './i18n/i18n.ts';
import './app/styles.css';

// Mantine's overlays lock the page's scrolling with a style element of a library that asks here.
setNonce(styleNonce());

const root = document.getElementById('root');
if (root === null) throw new Error('the document has no place for the console');
await showLanguage(preferredLanguage());
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
