/** Reads tensors, and the names, types and shapes of values, of an ONNX file. */
import { type FieldBudget, FieldReader } from './field-reader.ts';
import { expectAtMost, LIMITS, type OnnxTensor, type OnnxValue, shown } from './structure.ts';

/** One StringStringEntryProto. */
export function readProperty(bytes: Uint8Array, budget: FieldBudget): { key: string; value: string } {
  const fields = new FieldReader(bytes, 'metadata_props', budget);
  let [key, value] = ['', ''];
  while (fields.next()) {
    if (fields.number === 1) key = fields.once().text(LIMITS.keyBytes);
    else if (fields.number === 2) value = fields.once().text(LIMITS.valueBytes);
    else fields.unknown();
  }
  return { key, value };
}

/** Fields of typed values and how wide one is: 0 for whole numbers of any length. */
const TYPED = new Map<number, { readonly name: string; readonly size: 0 | 4 | 8 }>([
  [4, { name: 'float_data', size: 4 }],
  [5, { name: 'int32_data', size: 0 }],
  [7, { name: 'int64_data', size: 0 }],
  [10, { name: 'double_data', size: 8 }],
  [11, { name: 'uint64_data', size: 0 }],
]);

/** The values of int64_data are kept up to this many: shapes are shorter. */
const SHORT_INTS = 16;

/** One TensorProto; `at` names it in findings until it has a name. */
export function readTensor(bytes: Uint8Array, at: string, budget: FieldBudget): OnnxTensor {
  const fields = new FieldReader(bytes, at, budget);
  const dims: number[] = [];
  const typed = new Map<string, number>();
  const int64: number[] = [];
  let [name, elementType] = ['', 0];
  let raw: Uint8Array | null = null;
  let external: string | null = null;
  while (fields.next()) {
    const kind = TYPED.get(fields.number);
    if (kind !== undefined) {
      const kept = kind.name === 'int64_data' ? int64 : [];
      const more = kind.size === 0 ? fields.ints(kept, kept === int64 ? SHORT_INTS : 0) : fields.countFixed(kind.size);
      typed.set(kind.name, (typed.get(kind.name) ?? 0) + more);
      continue;
    }
    switch (fields.number) {
      case 1:
        expectAtMost(LIMITS.dims, 'dimensions', dims.length + fields.ints(dims, LIMITS.dims), at);
        break;
      case 2:
        elementType = fields.once().int();
        break;
      case 8:
        name = fields.once().text(LIMITS.nameBytes);
        break;
      case 9:
        raw = fields.once().bytes();
        break;
      case 12:
        fields.once().skip();
        break;
      case 13:
        external = locationOf(fields.bytes(), budget) ?? external ?? '';
        break;
      case 14:
        external = fields.once().int() === 0 ? external : (external ?? '');
        break;
      case 16:
        fields.skip();
        break;
      case 3:
        return fields.refuse('tensors in segments', 'Export the weights whole.');
      case 6:
        return fields.refuse('texts as weights', 'Export the model without operators on texts.');
      default:
        fields.unknown();
    }
  }
  const where = name === '' ? at : `${at} '${shown(name)}'`;
  return { where, name, dims, elementType, raw, typed, int64, external };
}

function locationOf(bytes: Uint8Array, budget: FieldBudget): string | null {
  const { key, value } = readProperty(bytes, budget);
  return key === 'location' ? value : null;
}

/** One ValueInfoProto. */
export function readValue(bytes: Uint8Array, where: string, budget: FieldBudget): OnnxValue {
  const fields = new FieldReader(bytes, where, budget);
  let name = '';
  let type: Pick<OnnxValue, 'elementType' | 'dims'> = { elementType: null, dims: null };
  while (fields.next()) {
    if (fields.number === 1) name = fields.once().text(LIMITS.nameBytes);
    else if (fields.number === 2) type = readType(fields.once().bytes(), where, budget);
    else if (fields.number === 3 || fields.number === 4) fields.skip();
    else fields.unknown();
  }
  return { name, ...type };
}

function readType(bytes: Uint8Array, where: string, budget: FieldBudget): Pick<OnnxValue, 'elementType' | 'dims'> {
  const fields = new FieldReader(bytes, where, budget);
  let type: Pick<OnnxValue, 'elementType' | 'dims'> = { elementType: null, dims: null };
  while (fields.next()) {
    if (fields.number === 1) type = readTensorType(fields.once().bytes(), where, budget);
    else if (fields.number === 6) fields.skip();
    else
      fields.refuse('values that are no tensors', 'Export the model with tensors only, for instance without ZipMap.');
  }
  return type;
}

/** One TensorProto; `at` names it in findings until it has a name. */
export function readTensorType(
  bytes: Uint8Array,
  where: string,
  budget: FieldBudget,
): Pick<OnnxValue, 'elementType' | 'dims'> {
  const fields = new FieldReader(bytes, where, budget);
  let elementType: number | null = null;
  let dims: (number | null)[] | null = null;
  while (fields.next()) {
    if (fields.number === 1) elementType = fields.once().int();
    else if (fields.number === 2) dims = readShape(fields.once().bytes(), where, budget);
    else fields.unknown();
  }
  return { elementType, dims };
}

function readShape(bytes: Uint8Array, where: string, budget: FieldBudget): (number | null)[] {
  const fields = new FieldReader(bytes, where, budget);
  const dims: (number | null)[] = [];
  while (fields.next()) {
    if (fields.number !== 1) fields.unknown();
    expectAtMost(LIMITS.dims, 'dimensions', dims.push(readDimension(fields.bytes(), where, budget)), where);
  }
  return dims;
}

function readDimension(bytes: Uint8Array, where: string, budget: FieldBudget): number | null {
  const fields = new FieldReader(bytes, where, budget);
  let value: number | null = null;
  while (fields.next()) {
    if (fields.number === 1) value = fields.once().int();
    else if (fields.number === 2) fields.once().text(LIMITS.nameBytes);
    else if (fields.number === 3) fields.skip();
    else fields.unknown();
  }
  return value;
}
