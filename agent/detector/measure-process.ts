/** Run with the paths of an int8 and an fp32 model and the most bytes of either: measures both and prints what was found as one line of JSON. */
import { measurePair, type PairFigures } from '../../models/measure-pair.ts';
import { readModel } from '../../models/package.ts';
import { type CheckedModel, checkedModel } from './checked-model.ts';

/** What it prints; the fp32 file as it was checked, so that nobody need check it again. */
export interface MeasuredPair extends PairFigures {
  readonly fp32: CheckedModel | null;
}

if (import.meta.main) {
  const [int8Path = '', fp32Path = '', maxBytes] = process.argv.slice(2);
  const limit = maxBytes === undefined ? {} : { maxBytes: Number(maxBytes) };
  const fp32 = await readModel(fp32Path, limit);
  const figures = await measurePair(await readModel(int8Path, limit), fp32);
  const measured: MeasuredPair = { ...figures, fp32: checkedModel(fp32) };
  process.stdout.write(JSON.stringify(measured));
}
