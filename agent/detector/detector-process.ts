/** The detector process: loads the model named by its setup and hears impacts in the sound it is sent. Imports models/ only. */
import { ImpactDetector } from '../../models/detector.ts';
import { ModelSession } from '../../models/session.ts';
import { loadModel } from './checked-model.ts';
import type { DetectorSetup } from './protocol.ts';
import { type Hearing, serveDetector } from './serve.ts';

async function openHearing(setup: DetectorSetup): Promise<Hearing> {
  const model = await loadModel(setup.modelPath, setup.checkedModel);
  const session = await ModelSession.open(model, { threads: 1 });
  const thresholds = { ...model.description.thresholds, ...setup.thresholds };
  const { sampleRateHz, channels } = setup;
  const detector = new ImpactDetector(session, { ...model.description, thresholds }, { sampleRateHz, channels });
  const { name, version } = model.description;
  return {
    model: { name, version },
    push: (pcm, firstSampleNs) => detector.push(pcm, firstSampleNs),
    flush: () => detector.flush(),
  };
}

// Being imported to be compiled ahead, it does nothing.
if (import.meta.main) {
  // The agent ends this process by closing the socket; a Ctrl-C in its terminal must not end it before the agent is done.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  process.exit(await serveDetector(openHearing));
}
