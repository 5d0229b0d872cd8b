import type { openChromium } from '../../../test/support/clients/browser.ts';

/** A browser that is open. */
type Browser = NonNullable<Awaited<ReturnType<typeof openChromium>>>;

/** What the main thread of a page did. Times are those that the thread ran, so that other programs do not count. */
export interface PageTrace {
  /** What of the page was within the window. */
  readonly place: string;
  readonly longestTaskMs: number;
  /** Time in scripts, by the frames that were drawn. */
  readonly scriptMsPerFrame: number;
  /** The same in the frame with the most. */
  readonly longestScriptMs: number;
  readonly frames: number;
}

/** A page that is open, and can be traced. It ends with its browser. */
export interface TracedPage {
  /** Traces it for `ms` at each of {@link PLACES}. */
  trace(ms: number): Promise<readonly PageTrace[]>;
  /** Goes to one of {@link PLACES}, by its number. */
  show(place: number): Promise<void>;
  /** What its heap holds after a collection, in bytes. */
  held(): Promise<number>;
}

/** Where the page is looked at, and the key that leads there. */
export const PLACES = [
  ['charts', '1'],
  ['nodes', '3'],
  ['channels', '4'],
] as const;

interface TraceEvent {
  readonly name: string;
  readonly ts: number;
  /** On the wall, and of the thread, in µs. */
  readonly dur?: number;
  readonly tdur?: number;
  readonly tid: number;
  readonly pid: number;
}

const CATEGORIES = [
  'toplevel',
  'devtools.timeline',
  'devtools.timeline.frame',
  'disabled-by-default-devtools.timeline',
];

/** The events of a trace in which scripts run. One inside another is not counted again. */
const SCRIPTS: ReadonlySet<string> = new Set([
  'FunctionCall',
  'EvaluateScript',
  'FireAnimationFrame',
  'RunMicrotasks',
  'TimerFire',
  'EventDispatch',
]);

/** The event of a frame that was drawn. What scripts did since the one before belongs to it. */
const FRAME = 'Layerize';
const US_PER_MS = 1_000;

/** Time for a page to have all that it looks at, in ms. */
const SETTLE_MS = 5_000;

/** Opens the console. Between traces it looks at everything that is below its fold. */
export async function tracePage(browser: Browser, url: string): Promise<TracedPage> {
  const page = await browser.newPage({ viewport: { width: 1_440, height: 900 } });
  await page.goto(url);
  await page.getByRole('status').filter({ hasText: 'Healthy' }).waitFor();
  const session = await page.context().newCDPSession(page);

  async function traceAt(place: string, key: string, ms: number): Promise<PageTrace> {
    await page.keyboard.press(key);
    await page.waitForTimeout(SETTLE_MS);
    await browser.startTracing(page, { categories: CATEGORIES });
    await page.waitForTimeout(ms);
    const trace = JSON.parse(String(await browser.stopTracing())) as {
      readonly traceEvents: readonly TraceEvent[];
    };
    return { place, ...summarize(trace.traceEvents) };
  }

  return {
    async trace(ms) {
      const traces: PageTrace[] = [];
      for (const [place, key] of PLACES) traces.push(await traceAt(place, key, ms));
      return traces;
    },
    async show(place) {
      await page.keyboard.press(PLACES[place]?.[1] ?? '1');
    },
    async held() {
      await session.send('HeapProfiler.collectGarbage');
      const { usedSize } = await session.send('Runtime.getHeapUsage');
      return usedSize;
    },
  };
}

/** The thread that draws the page is the one that has the most frames. */
function summarize(events: readonly TraceEvent[]): Omit<PageTrace, 'place'> {
  const threadOf = ({ pid, tid }: TraceEvent): string => `${pid} ${tid}`;
  const main = mostOften(events.filter(({ name }) => name === FRAME).map(threadOf));
  const own = events.filter((event) => threadOf(event) === main).toSorted((a, b) => a.ts - b.ts);
  const frames = own.filter(({ name }) => name === FRAME).map(({ ts }) => ts);
  const byFrame = new Float64Array(frames.length + 1);
  let longestTaskMs = 0;
  let scriptedUntil = 0;
  let frame = 0;
  for (const { name, ts, dur = 0, tdur = dur } of own) {
    if (name.endsWith('RunTask')) longestTaskMs = Math.max(longestTaskMs, tdur / US_PER_MS);
    if (!SCRIPTS.has(name) || ts < scriptedUntil) continue;
    scriptedUntil = ts + dur;
    while ((frames[frame] ?? Number.POSITIVE_INFINITY) <= ts) frame += 1;
    byFrame[frame] = (byFrame[frame] ?? 0) + tdur / US_PER_MS;
  }
  const total = byFrame.reduce((sum, each) => sum + each, 0);
  return {
    longestTaskMs,
    scriptMsPerFrame: total / Math.max(1, frames.length),
    longestScriptMs: Math.max(...byFrame),
    frames: frames.length,
  };
}

function mostOften(names: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0];
}
