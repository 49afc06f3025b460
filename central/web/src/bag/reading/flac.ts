/** Decodes sound compressed by FLAC, by libFLAC compiled to WebAssembly; loaded when the first such message is met. */

type Flac = typeof import('libflacjs/dist/libflac.min.wasm.js');

/** Interleaved samples of one whole FLAC stream of 16 bits. @throws Error for anything else. */
export type DecodeFlac = (stream: Uint8Array) => { readonly samples: Int16Array; readonly channels: number };

let loading: Promise<DecodeFlac> | null = null;

export function flacDecoder(): Promise<DecodeFlac> {
  loading ??= load();
  return loading;
}

async function load(): Promise<DecodeFlac> {
  const { default: url } = await import('libflacjs/dist/libflac.min.wasm.wasm?url');
  const before = globalThis.fetch;
  (globalThis as { FLAC_SCRIPT_LOCATION?: object }).FLAC_SCRIPT_LOCATION = { 'libflac.min.wasm.wasm': url };
  const module = (await import('libflacjs/dist/libflac.min.wasm.js')) as Flac & { default?: Flac };
  const flac = module.default ?? module;
  if (!flac.isReady()) await new Promise<void>((ready) => flac.on('ready', () => ready()));
  // The library puts its own way to files over it.
  globalThis.fetch = before;
  return (stream) => decode(flac, stream);
}

function decode(flac: Flac, stream: Uint8Array): { samples: Int16Array; channels: number } {
  const decoder = flac.create_libflac_decoder(false);
  if (decoder === 0) throw new Error('no memory is left for a FLAC decoder');
  const blocks: { channels: number; data: Uint8Array[] }[] = [];
  let offset = 0;
  let fault = '';
  try {
    const started = flac.init_decoder_stream(
      decoder,
      (bytes) => {
        const end = Math.min(stream.byteLength, offset + bytes);
        const buffer = stream.subarray(offset, end);
        offset = end;
        if (buffer.byteLength === 0) return { buffer: undefined, readDataLength: 0, error: false };
        return { buffer: buffer as Uint8Array<ArrayBuffer>, readDataLength: buffer.byteLength, error: false };
      },
      (data, header) => {
        if (header.bitsPerSample !== 16) fault ||= `expected 16 bits a sample, found ${header.bitsPerSample}`;
        blocks.push({ channels: header.channels, data: data.map((bytes) => bytes.slice()) });
      },
      (_code, message) => {
        fault ||= `expected a FLAC stream, found ${message}`;
      },
    );
    if (started !== 0) throw new Error(`the FLAC decoder does not start: status ${started}`);
    flac.FLAC__stream_decoder_process_until_end_of_stream(decoder);
  } finally {
    flac.FLAC__stream_decoder_finish(decoder);
    flac.FLAC__stream_decoder_delete(decoder);
  }
  const channels = blocks[0]?.channels ?? 0;
  if (channels === 0) fault ||= 'expected a FLAC stream, found no sound in it';
  if (fault !== '') throw new Error(fault);
  return { samples: interleave(blocks, channels), channels };
}

function interleave(blocks: readonly { readonly data: readonly Uint8Array[] }[], channels: number): Int16Array {
  const frames = blocks.reduce((sum, { data }) => sum + (data[0]?.byteLength ?? 0) / 2, 0);
  const samples = new Int16Array(frames * channels);
  let start = 0;
  for (const { data } of blocks) {
    const count = (data[0]?.byteLength ?? 0) / 2;
    data.forEach((bytes, channel) => {
      const one = new Int16Array(bytes.buffer, bytes.byteOffset, count);
      for (let frame = 0; frame < count; frame += 1) samples[(start + frame) * channels + channel] = one[frame] ?? 0;
    });
    start += count;
  }
  return samples;
}
