import { defineConfig } from 'vite';
import { noMarkup } from './vite.config';

// The Markdown part of the page alone, for tests that feed it thousands of pieces; never shipped.
export default defineConfig({
  root: 'tests',
  base: './',
  publicDir: false,
  plugins: [noMarkup()],
  build: { target: 'es2022', outDir: '../.harness', emptyOutDir: true, modulePreload: false, assetsInlineLimit: 0, rolldownOptions: { input: 'tests/harness.html' } },
});
