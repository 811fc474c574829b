import { defineConfig, type Plugin } from 'vite';

// House rule: no path from a string to markup. Libraries carry code for it that we never call; here it is turned into plain text
// assignment, so that the files we ship do not even contain the word and a grep can prove it.
export function noMarkup(): Plugin {
  return {
    name: 'no-markup',
    transform(code, id) {
      if (!id.includes('node_modules') || !code.includes('innerHTML')) return null;
      return { code: code.replaceAll('innerHTML', 'textContent'), map: null };
    },
  };
}

// Names of chunks carry a hash of what is in them, nothing else: the same sources give the same files.
export default defineConfig({
  base: './',
  plugins: [noMarkup()],
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: true,
    chunkSizeWarningLimit: 400,
    rolldownOptions: {
      output: {
        entryFileNames: 'assets/[name]-[hash].js',
        chunkFileNames: 'assets/[name]-[hash].js',
        assetFileNames: 'assets/[name]-[hash][extname]',
        // What the late chunks share with the page, apart: else every change of the page would rename them too.
        codeSplitting: { groups: [{ name: 'base', test: /src[\\/]md[\\/]dom\.ts|rolldown[\\/]runtime|commonjsHelpers|preload-helper/ }] },
      },
    },
  },
});
