/** The part of node-record-lpcm16 1.0 that is used here; the package has no types of its own. */
declare module 'node-record-lpcm16' {
  import type { ChildProcess } from 'node:child_process';
  import type { Readable } from 'node:stream';

  interface RecordOptions {
    readonly sampleRate: number | string;
    readonly channels: number | string;
    readonly audioType: 'raw' | 'wav';
    readonly recorder: 'arecord' | 'rec' | 'sox';
    readonly device?: string | null;
  }

  export class Recording {
    readonly process: ChildProcess;
    readonly cmd: string;
    readonly args: readonly (string | number)[];
    stream(): Readable;
    stop(): void;
  }

  export function record(options: RecordOptions): Recording;
}
