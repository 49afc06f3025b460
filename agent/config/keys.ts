/** How a key of the configuration is written down: its meaning, its unit, and sections that refuse what they do not know. */
import { z } from 'zod';

/** What a key is measured in; `none` for names, paths and choices. */
export type Unit = 'none' | 's' | 'ms' | 'Hz' | 'B' | '°C' | 'ratio' | 'µg/m³' | 'count' | 'port' | 'deg';

declare module 'zod' {
  interface GlobalMeta {
    /** The unit of the key's value. */
    unit?: Unit;
  }
}

/** Adds a key's documentation; every key of the schema goes through here or through `section`. */
export function key<Schema extends z.ZodType>(schema: Schema, unit: Unit, description: string): Schema {
  return schema.meta({ description, unit });
}

/** A mapping of keys that refuses others and is filled with defaults when absent. */
export function section<Shape extends z.ZodRawShape>(description: string, shape: Shape) {
  // `{}` is a valid input of the mapping because every key in it has a default.
  return z
    .strictObject(shape)
    .prefault({} as never)
    .meta({ description });
}

/** A file or folder. */
export const path = z.string().min(1);
