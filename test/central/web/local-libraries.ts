/** Gives the viewer's code outside a browser the compiled libraries that its page asks the server for. */

import { readFile } from 'node:fs/promises';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = new URL('../../../node_modules/', import.meta.url);
const library = /@foxglove\/(wasm-lz4|wasm-zstd)\/dist\/\1\.wasm/;

/** From here on `fetch` reads these libraries from the disk, and Node.js knows what their URLs are, as the bundler does. */
export function readLibrariesFromDisk(): void {
  const fetchOthers = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const path = library.exec(String(input))?.[0];
    return path === undefined ? fetchOthers(input, init) : new Response(await readFile(new URL(path, root)));
  };
  registerHooks({
    resolve: (specifier, context, next) => {
      if (!specifier.endsWith('.wasm?url')) return next(specifier, context);
      const path = fileURLToPath(new URL(specifier.replace('?url', ''), root));
      return {
        url: `data:text/javascript,export default ${encodeURIComponent(JSON.stringify(path))}`,
        shortCircuit: true,
      };
    },
  });
}
