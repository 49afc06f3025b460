/** Owns joining CRCs: what is summed up in parts is not read twice. */

/** x³² + x²⁶ + … + 1 of CRC-32 (ISO/IEC 8802-3, 3.2.9), lowest power in the highest bit, as zlib has it. */
const polynomial = 0xedb88320;
const one = 0x80000000;

/** The product of two polynomials modulo CRC-32's. */
function product(a: number, b: number): number {
  let sum = 0;
  let shifted = b;
  for (let power = one; power !== 0; power >>>= 1) {
    if ((a & power) !== 0) sum ^= shifted;
    shifted = (shifted & 1) === 0 ? shifted >>> 1 : (shifted >>> 1) ^ polynomial;
  }
  return sum >>> 0;
}

/** x to the power of 8 × 2ⁿ: what 2ⁿ bytes of zeros do to a CRC. */
const zeros: number[] = [];
for (let power = product(0x00800000, one); zeros.length < 53; power = product(power, power)) zeros.push(power);

/** The CRC-32 of bytes of which the first have the CRC `first`, and the last `lastBytes` (an integer) have the CRC `last`. */
export function joinCrc32(first: number, last: number, lastBytes: number): number {
  let shift = one;
  for (let left = lastBytes, bit = 0; left > 0; left = Math.floor(left / 2), bit += 1) {
    if (left % 2 === 1) shift = product(shift, zeros[bit] as number);
  }
  return (product(shift, first) ^ last) >>> 0;
}
