/** The samples of a `/metrics` page at one moment. */
export interface Metrics {
  /**
   * The sum of a metric's samples: of all, or of those that carry every one of `labels`. Undefined
   * when there is no such sample.
   */
  sum(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
}

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const SAMPLE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** Reads Prometheus' text format. Lines that are no samples are skipped. */
export function parseMetrics(text: string): Metrics {
  const samples = text.split('\n').flatMap((line) => parseSample(line) ?? []);
  return {
    sum(name, labels = {}) {
      const wanted = Object.entries(labels);
      const found = samples.filter(
        (sample) =>
          sample.name === name && wanted.every(([label, value]) => sample.labels[label] === value),
      );
      return found.length === 0
        ? undefined
        : found.reduce((total, sample) => total + sample.value, 0);
    },
  };
}

function parseSample(line: string): Sample | undefined {
  const match = SAMPLE.exec(line);
  if (!match) return undefined;
  const labels: Record<string, string> = {};
  for (const [, label, value] of (match[2] ?? '').matchAll(LABEL)) {
    labels[label!] = value!.replace(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped));
  }
  return { name: match[1]!, labels, value: Number(match[3]!.replace('Inf', 'Infinity')) };
}
