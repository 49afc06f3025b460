/** Opens compressed chunks: zstd by wasm-zstd, lz4 frames by wasm-lz4; both loaded when the first such chunk is met. */

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
  // A library that could not be had may be there the next time.
  loading.catch(() => loaded.delete(compression));
  return loading;
}

async function load(compression: string): Promise<Decompress> {
  if (compression === '') return (packed) => packed;
  if (compression === 'zstd') return loadZstd();
  if (compression === 'lz4') return loadLz4();
  throw new Error(`expected compression zstd, lz4 or none, found '${compression.slice(0, 32)}'`);
}

/** The compiled library itself, as of lz4. Decoders in JavaScript are smaller, and one of them never ended on some damaged frames. */
async function loadZstd(): Promise<Decompress> {
  const [factory, wasm] = await Promise.all([
    import('@foxglove/wasm-zstd/dist/wasm-zstd.js'),
    import('@foxglove/wasm-zstd/dist/wasm-zstd.wasm?url'),
  ]);
  const library = await factory.default({ wasmBinary: await bytesOf(wasm.default) });
  await library.ready;
  return (packed, size) =>
    withRoom(library, packed, size, (from, to) => {
      if (library._decompress(to, size, from, packed.byteLength) === size) return;
      throw new Error(`expected a zstd frame of ${size} bytes, found damaged data`);
    });
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
  const library = await factory.default({ wasmBinary: await bytesOf(wasm.default) });
  await library.ready;
  let context = library._createDecompressionContext();
  return (packed, size) =>
    withRoom(library, packed, size, (from, to) => {
      if (library._decompressFrame(context, to, size, from, packed.byteLength) === size) return;
      loaded.delete('lz4');
      context = library._createDecompressionContext();
      throw new Error(`expected an lz4 frame of ${size} bytes, found damaged data`);
    });
}

async function bytesOf(url: string): Promise<Uint8Array> {
  const response = await fetch(url);
  return new Uint8Array(await response.arrayBuffer());
}

/** What compiled libraries share. */
interface Library {
  readonly HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(pointer: number): void;
}

/** A copy of the `size` bytes that `decompress` leaves at `to`, made from those of `packed` at `from`. */
function withRoom(
  library: Library,
  packed: Uint8Array,
  size: number,
  decompress: (from: number, to: number) => void,
): Uint8Array {
  const from = library._malloc(packed.byteLength);
  const to = library._malloc(size);
  try {
    if (from === 0 || to === 0) throw new Error(`no memory is left for a chunk of ${size} bytes`);
    library.HEAPU8.set(packed, from);
    decompress(from, to);
    return library.HEAPU8.slice(to, to + size);
  } finally {
    library._free(from);
    library._free(to);
  }
}
