/** What the detector process hears with: a model's session, the detector that makes events of its scores, and what is counted. */
import { ImpactDetector } from '../../models/detector.ts';
import { ModelSession, type Scorer } from '../../models/session.ts';
import { lengthsInSamples } from '../../models/windows.ts';
import { loadModel } from './checked-model.ts';
import type { DetectorSetup } from './protocol.ts';
import type { Hearing } from './serve.ts';
import { WindowCounts } from './window-counts.ts';

/** Loads the model of `setup` and has it score silence. Rejects with a ModelError when it cannot be used. */
export async function openHearing(setup: DetectorSetup): Promise<Hearing> {
  const model = await loadModel(setup.modelPath, setup.checkedModel);
  const { sampleRateHz, channels } = setup;
  const thresholds = { ...model.description.thresholds, ...setup.thresholds };
  const description = { ...model.description, thresholds };
  const session = await ModelSession.open(model, { threads: 1 });
  const counts = new WindowCounts(description);
  const timed: Scorer = {
    run: async (audio, batch) => {
      const startMs = performance.now();
      const scores = await session.run(audio, batch);
      counts.ran(performance.now() - startMs);
      return scores;
    },
  };
  const detector = new ImpactDetector(timed, description, {
    sampleRateHz,
    channels,
    onScores: (scores, startNs, samples) => counts.count(scores, startNs, samples),
  });
  // A model that cannot score is found out here, and the first run, which is slow, is over before sound comes.
  await session.run(new Float32Array(lengthsInSamples(description.input).window), 1);
  const { name, version, precision, input, drift_reference } = description;
  return {
    about: { model: { name, version }, precision, window_s: input.window_s, hop_s: input.hop_s, drift_reference },
    push: (pcm, firstSampleNs) => detector.push(pcm, firstSampleNs),
    flush: () => detector.flush(),
    takeWindows: () => counts.takeWindows(),
    takeSummary: () => counts.takeSummary(),
  };
}
