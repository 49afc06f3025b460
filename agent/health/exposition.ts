/**
 * Writes metrics in the text format of Prometheus (exposition format 0.0.4). A client library would cost the vehicle 8 MB of
 * memory for figures that are counted elsewhere already.
 */

/** The labels of one sample. */
export type Labels = Readonly<Record<string, string>>;

interface Family {
  readonly help: string;
  readonly type: 'gauge' | 'counter';
  readonly samples: string[];
}

/** Collects the samples of one scrape. */
export class Exposition {
  readonly #prefix: string;
  readonly #families = new Map<string, Family>();

  /** Every name begins with `prefix`. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** A figure that goes up and down. */
  gauge(name: string, help: string, value: number, labels: Labels = {}): void {
    this.#add('gauge', name, help, value, labels);
  }

  /** A figure that only grows; its name ends in `_total`. */
  counter(name: string, help: string, value: number, labels: Labels = {}): void {
    this.#add('counter', name, help, value, labels);
  }

  /** The scrape's body. */
  text(): string {
    const lines: string[] = [];
    for (const [name, { help, type, samples }] of this.#families) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples);
    }
    return `${lines.join('\n')}\n`;
  }

  #add(type: Family['type'], name: string, help: string, value: number, labels: Labels): void {
    const full = `${this.#prefix}${name}`;
    let family = this.#families.get(full);
    if (family === undefined) {
      family = { help, type, samples: [] };
      this.#families.set(full, family);
    }
    const pairs = Object.entries(labels).map(([label, each]) => `${label}="${escapeLabel(each)}"`);
    family.samples.push(`${full}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${formatValue(value)}`);
  }
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function formatValue(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}
