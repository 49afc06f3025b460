/** Run with the paths of an int8 and an fp32 model: measures both and prints what was found as one line of JSON. */
import { measurePair, type PairFigures } from '../../models/measure-pair.ts';
import { readModel } from '../../models/package.ts';
import { type CheckedModel, checkModelFile } from './checked-model.ts';

/** What it prints; the fp32 file as it was checked, so that nobody need check it again. */
export interface MeasuredPair extends PairFigures {
  readonly fp32: CheckedModel | null;
}

if (import.meta.main) {
  const [int8 = '', fp32 = ''] = process.argv.slice(2);
  const figures = await measurePair(await readModel(int8), await readModel(fp32));
  const measured: MeasuredPair = { ...figures, fp32: await checkModelFile(fp32) };
  process.stdout.write(JSON.stringify(measured));
}
