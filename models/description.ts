/**
 * What a model file says about itself: one schema for the `metadata_props` of the ONNX file, from which the types and
 * the error messages come. Keys are snake_case; a value that is not a string is JSON.
 */
import { z } from 'zod';
import { lengthsInSamples } from './windows.ts';

const ratio = z.number().min(0).max(1);

const histogram = z
  .object({
    feature: z.string().min(1).describe('an input feature of a window, as in features.ts, or `score:<label>`'),
    edges: z.array(z.number()).min(2).max(257).describe('ascending bin edges, one more than counts'),
    counts: z.array(z.number().int().nonnegative()).min(1).max(256).describe('windows per bin'),
  })
  .refine((h) => h.edges.length === h.counts.length + 1, 'edges must be one more than counts')
  .refine((h) => h.edges.every((edge, i) => i === 0 || edge > (h.edges[i - 1] ?? edge)), 'edges must ascend');

const input = z.object({
  topic: z.string().startsWith('/', 'a topic that begins with /').describe('graph topic the sound comes from'),
  channels: z.number().int().min(1).max(64).describe('channels of that topic, before the downmix'),
  sample_rate_hz: z.number().int().min(8000).max(192_000),
  window_s: z.number().min(0.1).max(30),
  hop_s: z.number().min(0.01).max(30),
  downmix: z.literal('mean'),
});

const trainingRun = z.looseObject({
  seed: z.number().int(),
  commit: z.string().min(7),
  data: z.string().min(1).describe('which clips and generated sound it learned from'),
  folds: z.array(z.number().int().positive()).optional().describe('folds of the clips that it learned from'),
});

const driftReference = z.object({
  histograms: z.array(histogram).min(1).max(128),
  thresholds: z
    .strictObject({
      hellinger: ratio.optional(),
      kullback_leibler: z.number().nonnegative().optional(),
      average_pairwise: z.number().nonnegative().optional(),
    })
    .optional()
    .describe(
      "distance from which a feature has drifted, as drift.ts tells it, average_pairwise in shares of the feature's range",
    ),
});

const seconds = z.number().min(0).max(60);

const events = z
  .strictObject({
    release_ratio: ratio.describe('a window stays part of an event down to this share of the threshold'),
    sure_after_s: seconds.describe('an event is raised this long after its onset at the latest'),
    shown_after_s: seconds.describe('a window first shows an event when at most this much of it has been heard'),
    merge_s: seconds.describe('blows that follow each other faster are one event'),
    longest_s: seconds.describe('however long it rattles, after this a blow is another event'),
    ambience: z
      .strictObject({
        weight: ratio.describe('share of the ambience that is taken off the log-odds of an impact'),
        usual: z
          .number()
          .min(-30)
          .max(30)
          .describe('ambience in log-odds of an impact at which scores stay as they are'),
        span_s: z.number().min(0.1).max(60).describe('the ambience of a stream is that of this much sound'),
        assumed_s: seconds.describe('and of this much of what is usual'),
      })
      .describe('scores count beside those of the sound around them, as in ambience.ts'),
  })
  .partial();

const calibration = z.object({
  method: z.literal('temperature'),
  temperature: z.number().positive().describe('already in the graph: its scores are the calibrated ones'),
  background_shift: z
    .number()
    .optional()
    .describe("added to the logarithm of background's score, before the temperature"),
  expected_calibration_error: ratio.optional(),
  brier: z.number().min(0).max(2).optional(),
  data: z.string().min(1).describe('what the temperature was fitted on'),
});

export const modelDescriptionSchema = z
  .object({
    format: z.literal('fender-model/1'),
    name: z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'lower-case letters, digits and dashes'),
    version: z.string().regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/, 'a semantic version, for instance 1.2.0'),
    task: z.literal('sound-events'),
    author: z.string().min(1),
    dataset_tag: z.string().min(1),
    input,
    labels: z
      .array(z.string().regex(/^[a-z0-9_]+$/))
      .min(2)
      .refine((labels) => labels[0] === 'background', 'the first label must be background')
      .refine((labels) => new Set(labels).size === labels.length, 'labels must differ'),
    thresholds: z
      .record(z.string(), ratio)
      .describe(
        'sureness of any impact, beside the ambience, from which a window counts when this label is the likeliest',
      ),
    metrics: z.array(z.string().min(1)).describe('metrics that a benchmark of this model computes'),
    drift_reference: driftReference,
    training_run: trainingRun,
    precision: z.enum(['fp32', 'int8']).optional().describe('what most of the graph computes in'),
    events: events.optional().describe('how scores become events; what is absent is as in detector.ts'),
    false_alarm_budget_per_hour: z.number().positive().optional().describe('what the thresholds were set for'),
    calibration: calibration.optional(),
    evaluation: z.looseObject({}).optional().describe('figures of the model card'),
  })
  .superRefine((d, context) => {
    for (const { path, message } of disagreements(d)) context.addIssue({ code: 'custom', path: [...path], message });
  });

/** Keys of a description that have to agree with each other; those that are not known yet are absent. */
export interface PartialDescription {
  readonly labels?: readonly string[];
  readonly thresholds?: Readonly<Record<string, number>>;
  readonly input?: { readonly window_s?: number; readonly hop_s?: number };
  readonly drift_reference?: { readonly histograms: readonly { readonly feature: string }[] };
}

/** Where keys that are each valid do not agree: the one to correct, and what is expected there. */
export function disagreements({
  labels,
  thresholds,
  input: lengths,
  drift_reference: reference,
}: PartialDescription): { readonly path: readonly (string | number)[]; readonly message: string }[] {
  const found: { path: (string | number)[]; message: string }[] = [];
  if (labels !== undefined && thresholds !== undefined) {
    for (const label of labels.slice(1)) {
      if (thresholds[label] === undefined) {
        found.push({ path: ['thresholds', label], message: 'a threshold for every label' });
      }
    }
    for (const label of Object.keys(thresholds).filter((each) => !labels.includes(each))) {
      found.push({
        path: ['thresholds', label],
        message: `thresholds of the labels ${labels.slice(1).join(', ')} only`,
      });
    }
  }
  const { window_s: window, hop_s: hop } = lengths ?? {};
  if (window !== undefined && hop !== undefined && hop > window) {
    found.push({ path: ['input', 'hop_s'], message: 'at most input.window_s' });
  }
  if (labels === undefined) return found;
  for (const [i, { feature }] of (reference?.histograms ?? []).entries()) {
    if (feature.startsWith(SCORE_OF) && !labels.includes(feature.slice(SCORE_OF.length))) {
      const path = ['drift_reference', 'histograms', i, 'feature'];
      found.push({ path, message: `the score of one of the labels ${labels.join(', ')}` });
    }
  }
  return found;
}

/** Histograms of drift_reference whose feature begins so are of a label's scores. */
const SCORE_OF = 'score:';

export type ModelDescription = z.infer<typeof modelDescriptionSchema>;

/** Samples (mono, at `sample_rate_hz`) of one window and of one hop. */
export function windowSamples(description: ModelDescription): { window: number; hop: number } {
  return lengthsInSamples(description.input);
}
