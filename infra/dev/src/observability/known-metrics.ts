import { readFile } from 'node:fs/promises';
import { WORKSPACE_ROOT } from '../processes/service-process.ts';

/** A metric that rules and panels may read. */
export interface KnownMetric {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
}

/** The list of all metrics, which tests of the services hold to their code. */
const DOCUMENT = `${WORKSPACE_ROOT}docs/metrics.md`;

const ROW = /^\| `(\w+)` \| (counter|gauge|histogram) \|([^|]*)\|/gm;

/** What a histogram is scraped as. */
const HISTOGRAM_SERIES = ['_bucket', '_sum', '_count'];

/** Every metric that docs/metrics.md lists, by its name. */
export async function readDocumentedMetrics(): Promise<ReadonlyMap<string, KnownMetric>> {
  const text = await readFile(DOCUMENT, 'utf8');
  return new Map(
    [...text.matchAll(ROW)].map(([, name, type, labels]) => [
      name!,
      {
        type: type as KnownMetric['type'],
        labels: [...labels!.matchAll(/`(\w+)`/g)].map(([, label]) => label!),
      },
    ]),
  );
}

/** The labels of every series that the metrics are scraped as: a histogram is three. */
export function seriesOf(
  metrics: ReadonlyMap<string, KnownMetric>,
): ReadonlyMap<string, readonly string[]> {
  return new Map(
    [...metrics].flatMap(([name, { type, labels }]): [string, readonly string[]][] =>
      type === 'histogram'
        ? HISTOGRAM_SERIES.map((ending) => [`${name}${ending}`, [...labels, 'le']])
        : [[name, labels]],
    ),
  );
}
