/** What is wrong with a bag, in one sentence with the place, and what to do about it. */

/** A fault of a file, or of the way to it. Kept as plain fields so that it crosses from the worker to the page. */
export interface BagFault {
  /** The file's name. */
  readonly file: string;
  /** Byte at which it was found; null where no place can be told. */
  readonly offset: number | null;
  /** Expected, found. */
  readonly message: string;
  /** What to do; empty when nothing can be done here. */
  readonly cure: string;
}

/** A fault that ends what was being done with the file. */
export class BagError extends Error {
  readonly fault: BagFault;

  constructor(file: string, offset: number | null, message: string, cure = '') {
    super(message);
    this.name = 'BagError';
    this.fault = { file, offset, message, cure };
  }
}

/** Any error as a fault of `file` at `offset`. */
export function faultOf(error: unknown, file: string, offset: number | null = null): BagFault {
  if (error instanceof BagError) return error.fault;
  return { file, offset, message: error instanceof Error ? error.message : String(error), cure: '' };
}
