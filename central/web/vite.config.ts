/**
 * How the dashboard is built: one static folder, `central/web/dist`, that the central service serves. In development
 * (`npx vite central/web`) the API of a running central service is proxied.
 */
import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/** The decompression libraries ask for their binaries by a `require` that no bundler knows; the viewer hands them the bytes instead. */
const noBinaries = (): Plugin => ({
  name: 'no-binaries',
  enforce: 'pre',
  resolveId: (source, importer) =>
    /^\.\/wasm-(lz4|zstd)\.wasm$/.test(source) && /wasm-(lz4|zstd)\.js$/.test(importer ?? '') ? '\0no-binary' : null,
  load: (id) => (id === '\0no-binary' ? "export default ''" : null),
});

export default defineConfig(({ command }) => {
  // Whatever environment starts a build (a test runner sets NODE_ENV=test), it is the one that users get.
  if (command === 'build') process.env.NODE_ENV = 'production';
  return {
    root: fileURLToPath(new URL('.', import.meta.url)),
    plugins: [react()],
    worker: { format: 'es', plugins: () => [noBinaries()] },
    build: {
      outDir: 'dist',
      emptyOutDir: true,
      target: 'es2022',
      // The chart library is one lazily loaded chunk of about 550 kB before compression.
      chunkSizeWarningLimit: 700,
    },
    server: {
      host: '127.0.0.1',
      proxy: { '/api': 'http://127.0.0.1:8080' },
    },
  };
});
