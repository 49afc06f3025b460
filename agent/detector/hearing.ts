/** What the detector process hears with: a model's session, the detector that makes events of its scores, and what is counted. */
import { type Detection, ImpactDetector } from '../../models/detector.ts';
import { ModelSession, type Scorer } from '../../models/session.ts';
import { lengthsInSamples } from '../../models/windows.ts';
import { DirectionFinder } from '../direction/direction-finder.ts';
import { loadModel } from './checked-model.ts';
import type { DetectorSetup, HeardImpact } from './protocol.ts';
import type { Hearing } from './serve.ts';
import { WindowCounts } from './window-counts.ts';

/** Loads the model of `setup` and has it score silence. Rejects with a ModelError when it cannot be used. */
export async function openHearing(setup: DetectorSetup): Promise<Hearing> {
  const model = await loadModel(setup.modelPath, setup.checkedModel, setup.maxModelBytes);
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
    onScores: (scores, startNs, samples, relative) => counts.count(scores, startNs, samples, relative),
  });
  const finder = setup.mount === null ? null : new DirectionFinder({ sampleRateHz, channels, mount: setup.mount });
  // A model that cannot score is found out here, and the first run, which is slow, is over before sound comes.
  await session.run(new Float32Array(lengthsInSamples(description.input).window), 1);
  const { name, version, precision, input, events, drift_reference } = description;
  const { window_s, hop_s } = input;
  return {
    about: {
      model: { name, version },
      precision,
      window_s,
      hop_s,
      ambience_s: events?.ambience?.span_s,
      drift_reference,
    },
    push: async (pcm, firstSampleNs) => {
      finder?.push(pcm, firstSampleNs);
      return located(await detector.push(pcm, firstSampleNs), finder);
    },
    flush: async () => located(await detector.flush(), finder),
    takeWindows: () => counts.takeWindows(),
    takeSummary: () => counts.takeSummary(),
  };
}

function located(detections: readonly Detection[], finder: DirectionFinder | null): HeardImpact[] {
  return detections.map((detection) => {
    const direction = finder?.at(detection.onsetNs) ?? null;
    return direction === null ? detection : { ...detection, direction };
  });
}
