/** Opens compressed chunks: zstd by fzstd, lz4 frames by wasm-lz4; both loaded when the first such chunk is met. */

/** The most that one chunk may hold, as declared. */
export const maxChunkBytes = 128 * 1024 * 1024;

/** Turns the bytes of one chunk into `size` plain ones. */
export type Decompress = (packed: Uint8Array, size: number) => Uint8Array;

const loaded = new Map<string, Promise<Decompress>>();

/** @throws Error for a compression that nobody here knows. */
export function decompressor(compression: string): Promise<Decompress> {
  const known = loaded.get(compression);
  if (known) return known;
  const loading = load(compression);
  loaded.set(compression, loading);
  return loading;
}

async function load(compression: string): Promise<Decompress> {
  if (compression === '') return (packed) => packed;
  if (compression === 'zstd') {
    const { decompress } = await import('fzstd');
    // With a buffer of the declared size, what a frame itself declares allocates nothing.
    return (packed, size) => decompress(packed, new Uint8Array(size));
  }
  if (compression === 'lz4') return loadLz4();
  throw new Error(`expected compression zstd, lz4 or none, found '${compression.slice(0, 32)}'`);
}

/**
 * The compiled library itself: its wrapper needs Node.js's Buffer. A frame that is cut off leaves its context in the middle of it, in
 * which every later frame fails, and the library cannot set it back: the next frame gets a new one, and the next chunk a new library,
 * as the old context keeps its memory.
 */
async function loadLz4(): Promise<Decompress> {
  const [factory, wasm] = await Promise.all([
    import('@foxglove/wasm-lz4/dist/wasm-lz4.js'),
    import('@foxglove/wasm-lz4/dist/wasm-lz4.wasm?url'),
  ]);
  const response = await fetch(wasm.default);
  const library = await factory.default({ wasmBinary: new Uint8Array(await response.arrayBuffer()) });
  await library.ready;
  let context = library._createDecompressionContext();
  return (packed, size) => {
    const from = library._malloc(packed.byteLength);
    const to = library._malloc(size);
    try {
      if (from === 0 || to === 0) throw new Error(`no memory is left for a chunk of ${size} bytes`);
      library.HEAPU8.set(packed, from);
      const bytes = library._decompressFrame(context, to, size, from, packed.byteLength);
      if (bytes !== size) {
        loaded.delete('lz4');
        context = library._createDecompressionContext();
        throw new Error(`expected an lz4 frame of ${size} bytes, found damaged data`);
      }
      return library.HEAPU8.slice(to, to + bytes);
    } finally {
      library._free(from);
      library._free(to);
    }
  };
}
