/** Owns what a check of a bag finds. */

/** One thing that is wrong, or worth knowing. */
export interface Finding {
  /** Path of the file. */
  readonly file: string;
  /** Bytes from the start of the file; null where it is about the whole. */
  readonly offset: number | null;
  /** `error`: it breaks the format or loses data. `note`: the format allows it. */
  readonly severity: 'error' | 'note';
  /** Stable name of the kind: `chunk-index`. */
  readonly code: string;
  readonly message: string;
}

/** More of one kind are counted only. */
const listedOfAKind = 20;

/** Findings of one file, bounded: of each kind the first are kept and the others counted. */
export class FindingList {
  readonly #file: string;
  readonly #kept: Finding[] = [];
  readonly #counts = new Map<string, number>();
  errors = 0;

  constructor(file: string) {
    this.#file = file;
  }

  error(code: string, offset: number | null, message: string): void {
    this.errors += 1;
    this.#add('error', code, offset, message);
  }

  note(code: string, offset: number | null, message: string): void {
    this.#add('note', code, offset, message);
  }

  /** What was found, with a last line for each kind of which not all are listed. */
  list(): Finding[] {
    const more = [...this.#counts].filter(([, count]) => count > listedOfAKind);
    return [
      ...this.#kept,
      ...more.map(([key, count]): Finding => {
        const [severity = 'error', code = ''] = key.split(' ');
        const message = `${count - listedOfAKind} more of this kind`;
        return { file: this.#file, offset: null, severity: severity as Finding['severity'], code, message };
      }),
    ];
  }

  #add(severity: Finding['severity'], code: string, offset: number | null, message: string): void {
    const key = `${severity} ${code}`;
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    if (count <= listedOfAKind) this.#kept.push({ file: this.#file, offset, severity, code, message });
  }
}
