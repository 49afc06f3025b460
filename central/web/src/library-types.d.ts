/** What of compiled libraries without types of their own the dashboard uses. */
declare module '@foxglove/wasm-lz4/dist/wasm-lz4.js' {
  interface Lz4Module {
    readonly HEAPU8: Uint8Array;
    readonly ready: Promise<unknown>;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    _createDecompressionContext(): number;
    _decompressFrame(context: number, to: number, toBytes: number, from: number, fromBytes: number): number;
  }
  const factory: (options: { wasmBinary: Uint8Array }) => Promise<Lz4Module>;
  // biome-ignore lint/style/noDefaultExport: it is how the library exports
  export default factory;
}

declare module '@foxglove/wasm-zstd/dist/wasm-zstd.js' {
  interface ZstdModule {
    readonly HEAPU8: Uint8Array;
    readonly ready: Promise<unknown>;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    /** The bytes written, or -1. */
    _decompress(to: number, toBytes: number, from: number, fromBytes: number): number;
  }
  const factory: (options: { wasmBinary: Uint8Array }) => Promise<ZstdModule>;
  // biome-ignore lint/style/noDefaultExport: it is how the library exports
  export default factory;
}
