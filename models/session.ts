/** Runs a model with ONNX Runtime on the CPU. `run` blocks the event loop while it computes: keep it out of the recorder. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { ModelError } from './error.ts';
import type { Model } from './package.ts';
import { lengthsInSamples } from './windows.ts';

export interface ModelSessionOptions {
  /** Threads of one run; 1 on the vehicle, so that the recorder keeps its core. */
  readonly threads: number;
}

/** What scores windows: the real session, or a stand-in with known scores. */
export interface Scorer {
  /** Scores of `batch` windows laid end to end in `audio`; result [batch × labels], probabilities. */
  run(audio: Float32Array, batch: number): Promise<Float32Array>;
}

/** One loaded model. Loading and releasing leaks in ONNX Runtime: load once a process. */
export class ModelSession implements Scorer {
  readonly #session: InferenceSession;
  readonly #window: number;
  readonly #labels: number;

  private constructor(session: InferenceSession, window: number, labels: number) {
    this.#session = session;
    this.#window = window;
    this.#labels = labels;
  }

  /** Throws ModelError `session` when ONNX Runtime refuses the graph. */
  static async open(model: Model, options: ModelSessionOptions): Promise<ModelSession> {
    // ONNX Runtime sends usage data to its maker, and keeps a database for that, unless this is set before the first session.
    process.env.ORT_DISABLE_TELEMETRY = '1';
    let session: InferenceSession;
    try {
      session = await InferenceSession.create(model.bytes, {
        executionProviders: ['cpu'],
        graphOptimizationLevel: 'all',
        executionMode: 'sequential',
        intraOpNumThreads: options.threads,
        interOpNumThreads: 1,
        logSeverityLevel: 3,
      });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ModelError('session', `${model.path}: ONNX Runtime cannot load the graph: ${reason}`, { cause });
    }
    return new ModelSession(session, lengthsInSamples(model.description.input).window, model.description.labels.length);
  }

  /**
   * `audio`: [batch × window samples] float32, −1..1, mono at the model's rate; read only during the call. Returns
   * [batch × labels] probabilities, owned by the caller. Throws ModelError `invalid-audio` or `session`.
   */
  async run(audio: Float32Array, batch: number): Promise<Float32Array> {
    if (audio.length !== batch * this.#window || batch < 1) {
      const expected = `${batch} × ${this.#window}`;
      throw new ModelError('invalid-audio', `expected ${expected} samples for ${batch} windows, found ${audio.length}`);
    }
    let output: Tensor | undefined;
    try {
      const outputs = await this.#session.run({ audio: new Tensor('float32', audio, [batch, this.#window]) });
      output = outputs.scores;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ModelError('session', `the model failed on ${batch} windows: ${reason}`, { cause });
    }
    if (!(output?.data instanceof Float32Array) || output.data.length !== batch * this.#labels) {
      const found = `${output?.type} [${output?.dims.join(', ')}]`;
      throw new ModelError('session', `expected scores float32 [${batch}, ${this.#labels}], found ${found}`);
    }
    return Float32Array.from(output.data);
  }

  /** Frees the native session. */
  async close(): Promise<void> {
    await this.#session.release();
  }
}
