/** A piece of recorded sound on its way to the detector. */
export interface ReplayedBlock {
  /** Interleaved [frames × channels]; valid until the next block. */
  readonly pcm: Int16Array;
  readonly channels: number;
  readonly sampleRateHz: number;
  /** Time of the first frame in ns: UTC where `hasClock`, else from the start of the input. */
  readonly firstSampleNs: bigint;
  readonly hasClock: boolean;
  /** How much of the input is read, 0 to 1. */
  readonly share: number;
}
