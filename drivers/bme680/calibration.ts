/** The factory calibration of one BME680: reading it out of the register bytes, and telling whether it can be true. */
import { CALIBRATION_BYTES } from './registers.ts';

/** Coefficients under the names of the data sheet (section 3.11 and table 11–16), as plain integers. */
export interface Calibration {
  readonly t1: number;
  readonly t2: number;
  readonly t3: number;
  readonly p1: number;
  readonly p2: number;
  readonly p3: number;
  readonly p4: number;
  readonly p5: number;
  readonly p6: number;
  readonly p7: number;
  readonly p8: number;
  readonly p9: number;
  readonly p10: number;
  readonly h1: number;
  readonly h2: number;
  readonly h3: number;
  readonly h4: number;
  readonly h5: number;
  readonly h6: number;
  readonly h7: number;
  readonly gh1: number;
  readonly gh2: number;
  readonly gh3: number;
  /** 0 to 3. */
  readonly heaterRange: number;
  readonly heaterValue: number;
  /** −8 to 7. */
  readonly rangeSwitchingError: number;
}

/** Something read from the chip, or why it cannot be believed. Nothing here throws on bytes from outside. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: 'garbage' | 'short-read'; readonly message: string };

/**
 * Reads the coefficients.
 *
 * @param bytes the 42 bytes of `CALIBRATION_RUNS`, joined in that order
 * @returns every coefficient as it stands in the bytes (`checkCalibration` judges them); `short-read` when bytes are
 * missing. Source: data sheet, tables 11 to 16; layout as in Bosch's BME68x Sensor API.
 */
export function parseCalibration(bytes: Uint8Array): Parsed<Calibration> {
  if (bytes.length !== CALIBRATION_BYTES) {
    const message = `calibration: expected ${CALIBRATION_BYTES} bytes, found ${bytes.length}`;
    return { ok: false, code: 'short-read', message };
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u16 = (at: number) => view.getUint16(at, true);
  const i16 = (at: number) => view.getInt16(at, true);
  const i8 = (at: number) => view.getInt8(at);
  const u8 = (at: number) => view.getUint8(at);
  const value: Calibration = {
    t1: u16(31),
    t2: i16(0),
    t3: i8(2),
    p1: u16(4),
    p2: i16(6),
    p3: i8(8),
    p4: i16(10),
    p5: i16(12),
    p6: i8(15),
    p7: i8(14),
    p8: i16(18),
    p9: i16(20),
    p10: u8(22),
    // 12-bit values: h1 and h2 share byte 24, h1 in the low and h2 in the high half.
    h1: (u8(25) << 4) | (u8(24) & 0x0f),
    h2: (u8(23) << 4) | (u8(24) >> 4),
    h3: i8(26),
    h4: i8(27),
    h5: i8(28),
    h6: u8(29),
    h7: i8(30),
    gh1: i8(35),
    gh2: i16(33),
    gh3: i8(36),
    heaterRange: (u8(39) >> 4) & 0x03,
    heaterValue: i8(37),
    rangeSwitchingError: i8(41) >> 4,
  };
  return { ok: true, value };
}

/**
 * Refuses calibrations that no factory wrote: every byte the same (a dead or shorted bus), or a leading coefficient of
 * zero, with which temperature, pressure or humidity would not depend on what is measured.
 *
 * @param bytes the same 42 bytes `calibration` was parsed from
 */
export function checkCalibration(bytes: Uint8Array, calibration: Calibration): Parsed<Calibration> {
  const first = bytes[0] ?? 0;
  if (bytes.every((byte) => byte === first)) {
    const message = `calibration: expected factory values, found every byte 0x${first.toString(16).padStart(2, '0')}`;
    return { ok: false, code: 'garbage', message };
  }
  for (const name of ['t1', 't2', 'p1', 'h1', 'h2'] as const) {
    const value = calibration[name];
    if (value === 0 || value === -1 || value === 0xffff) {
      return { ok: false, code: 'garbage', message: `calibration: ${name} cannot be ${value}` };
    }
  }
  return { ok: true, value: calibration };
}
