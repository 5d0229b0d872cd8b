import { useEffect, useRef, useState } from 'preact/hooks';
import UPlot from 'uplot';
import { priceMark, timeOfDay } from './format.ts';
import { RANGES, range, shown, zoom } from './history.ts';
import { snapshot } from './live.ts';
import type { TapeRow } from './looking.ts';
import { useSeen } from './seen.ts';

/** What a chart shows over the range that is chosen. */
export interface ChartProps {
  readonly title: string;
  readonly figure: string;
  readonly format: (value: number) => string;
}

const HEIGHT = 132;
const PRICE_HEIGHT = 120;

/** Below this number of values points are drawn. */
const LINE_POINTS = 4;

/** Steps of figures, which are whole numbers: 1, 2, 5, 10 and so on. */
const WHOLE_STEPS = Array.from({ length: 14 }, (_, i) =>
  [1, 2, 5].map((digit) => digit * 10 ** i),
).flat();

/** Steps of times, in s, of which each label is another. */
const TIME_STEPS = [1, 2, 5, 10, 15, 30]
  .concat([1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60))
  .concat([1, 2, 3, 6, 12].map((hours) => hours * 3_600));

/** Rows of the table that a chart can be read as. */
const TABLE_ROWS = 15;

const CURSOR = UPlot.sync('charts');
const FONT = '11px system-ui, sans-serif';

/** A line over the last 15 minutes or 24 hours, with a mark for each event of a node. It can be read as a table, too. */
export function Chart({ title, figure, format }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | undefined>(undefined);
  const [asTable, setAsTable] = useState(false);
  const [hasFocus, setFocus] = useState(false);
  const [pointed, setPointed] = useState<number | undefined>(undefined);
  // Drawing a hidden canvas would be wasted work.
  const frame = useRef<HTMLElement>(null);
  const isSeen = useSeen(frame);
  const history = isSeen || asTable ? shown.value : shown.peek();
  const times = (history.at ?? []) as number[];
  const values = (history[figure] ?? []) as (number | null)[];
  const { words } = RANGES[range.value];
  const zoomed = zoom.value;

  useEffect(() => {
    const element = place.current;
    if (element === null || asTable) return;
    const made = new UPlot(
      {
        ...options(element.clientWidth, HEIGHT, format, WHOLE_STEPS),
        cursor: {
          sync: { key: CURSOR.key },
          y: false,
          drag: { x: true, y: false, setScale: false },
        },
        scales: { y: { range: (_plot, _least, most) => [0, (most || 1) * 1.1] } },
        hooks: {
          draw: [drawEvents],
          setCursor: [({ cursor }) => setPointed(cursor.idx ?? undefined)],
          setSelect: [zoomIn],
        },
      },
      [times, values],
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => {
      made.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [asTable]);

  useEffect(() => {
    const { current } = plot;
    if (current === undefined) return;
    const [min = 0, max = 0] = zoomed ?? [times[0], times.at(-1)];
    current.batch(() => {
      current.setData([times, values], false);
      current.setScale('x', { min, max });
    });
  }, [times, values, zoomed]);

  const known = values.filter((value) => value !== null);
  const newest = known.at(-1);
  let most = 0;
  for (const value of known) most = Math.max(most, value);
  const sentence =
    newest === undefined
      ? `${title}: nothing yet`
      : `${title}: ${format(newest)} now, ${format(most)} at most within ${words}`;
  const value = pointed === undefined ? undefined : values[pointed];
  const spoken =
    pointed === undefined || value === undefined
      ? ''
      : `${timeOfDay((times[pointed] ?? 0) * 1_000)}  ${value === null ? 'unknown' : format(value)}`;
  return (
    <figure ref={frame} class="chart">
      <figcaption>
        <span>{title}</span>
        {/* Of the charts whose cursors move together, the one with the focus speaks. */}
        <output aria-live={hasFocus ? 'polite' : 'off'}>{spoken}</output>
        <button type="button" class="quiet" onClick={() => setAsTable(!asTable)}>
          {asTable ? 'as chart' : 'as table'}
        </button>
      </figcaption>
      {asTable ? (
        <ValueTable title={title} times={times} values={values} format={format} />
      ) : (
        <div
          ref={place}
          class={newest === undefined ? 'plot unknown' : 'plot'}
          role="img"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys move the cursor, and its value is told.
          tabIndex={0}
          aria-label={`${sentence}. Arrow keys tell values.`}
          onFocus={() => setFocus(true)}
          onBlur={() => setFocus(false)}
          onKeyDown={(event) => {
            const { current } = plot;
            const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
            if (step === undefined || current === undefined) return;
            event.preventDefault();
            const wide = step * Math.max(1, Math.round(times.length / 90));
            const to = Math.min(
              times.length - 1,
              Math.max(0, (pointed ?? times.length - 1) + wide),
            );
            current.setCursor({ left: current.valToPos(times[to] ?? 0, 'x'), top: 10 });
          }}
          onDblClick={() => {
            zoom.value = undefined;
          }}
        />
      )}
    </figure>
  );
}

/** The prices of a tape. */
export function PriceChart({ rows }: { readonly rows: readonly TapeRow[] }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | undefined>(undefined);
  const points = rows.flatMap((row) =>
    row.kind === 'publication' && row.price !== undefined ? [[row.ts / 1_000, row.price]] : [],
  );
  const times = points.map(([time]) => time ?? 0);
  const prices = points.map(([, price]) => price ?? 0);

  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const made = new UPlot(
      {
        ...options(element.clientWidth, PRICE_HEIGHT, priceMark),
        cursor: { show: false },
      },
      [times, prices],
      element,
    );
    plot.current = made;
    return () => made.destroy();
  }, []);

  useEffect(() => {
    plot.current?.setData([times, prices]);
  }, [rows]);

  const latest = prices.at(-1) ?? 0;
  return (
    <div
      ref={place}
      class="plot"
      role="img"
      aria-label={`Price of the last ${prices.length} publications: ${priceText(latest)} now`}
    />
  );
}

/** As many digits as tell prices of one market apart. */
function priceText(value: number): string {
  return value.toLocaleString('en-US', { maximumSignificantDigits: 6 });
}

function ValueTable(props: {
  readonly title: string;
  readonly times: readonly number[];
  readonly values: readonly (number | null)[];
  readonly format: (value: number) => string;
}) {
  const step = Math.max(1, Math.floor(props.times.length / TABLE_ROWS));
  const rows = Array.from({ length: TABLE_ROWS }, (_, i) => props.times.length - 1 - i * step);
  return (
    <div class="scroll" tabIndex={-1}>
      <table class="dense">
        <thead>
          <tr>
            <th>Time</th>
            <th class="number">{props.title}</th>
          </tr>
        </thead>
        <tbody>
          {rows
            .filter((at) => at >= 0)
            .map((at) => {
              const value = props.values[at];
              return (
                <tr key={props.times[at]}>
                  <td>{timeOfDay((props.times[at] ?? 0) * 1_000)}</td>
                  <td class="number">
                    {value === null || value === undefined ? 'unknown' : props.format(value)}
                  </td>
                </tr>
              );
            })}
        </tbody>
      </table>
    </div>
  );
}

function knownOf(values: readonly unknown[] | ArrayLike<unknown> | undefined): number {
  let count = 0;
  for (let i = 0; i < (values?.length ?? 0); i += 1) {
    if (values?.[i] !== null && values?.[i] !== undefined) count += 1;
  }
  return count;
}

/** @param steps between two marks of the vertical axis; by default any. */
function options(
  width: number,
  height: number,
  format: (value: number, step: number) => string,
  steps?: number[],
): Omit<UPlot.Options, 'cursor'> {
  const axis = {
    stroke: () => token('--muted'),
    grid: { stroke: () => token('--line'), width: 1 },
    ticks: { show: false },
    font: FONT,
  };
  return {
    width,
    height,
    legend: { show: false },
    padding: [8, null, null, null],
    axes: [
      {
        ...axis,
        size: 24,
        incrs: TIME_STEPS,
        // As wide as a time with seconds, and a gap.
        space: 70,
        values: (_plot, marks, _axis, _space, step) =>
          marks.map((mark) => timeOfDay(mark * 1_000).slice(0, step < 60 ? 8 : 5)),
      },
      {
        ...axis,
        size: 60,
        ...(steps === undefined ? {} : { incrs: steps }),
        // Half a line above the next one.
        space: 24,
        // Where nothing is known, the scale means nothing.
        values: (plot, marks, _axis, _space, step) =>
          marks.map((mark) => (knownOf(plot.data[1]) === 0 ? '' : format(mark, step))),
      },
    ],
    series: [
      {},
      {
        stroke: () => token('--accent'),
        width: 1.5,
        fill: () => token('--accent-soft'),
        // A line needs two points.
        points: { show: (plot, series) => knownOf(plot.data[series]) < LINE_POINTS },
      },
    ],
  };
}

/** Shows the stretch that was dragged over, on all charts. A click is no stretch. */
function zoomIn(plot: UPlot): void {
  const { left, width } = plot.select;
  if (width < 4) return;
  zoom.value = [plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x')];
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
}

/** A dashed line for each event of a node within the time that is shown. */
function drawEvents(plot: UPlot): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = token('--mark');
  ctx.setLineDash([3, 3]);
  for (const { at } of snapshot.peek()?.events ?? []) {
    const x = plot.valToPos(at / 1_000, 'x', true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** The present value of a colour: it depends on whether the page is light or dark. */
function token(name: string): string {
  const probe = document.getElementById(`colour${name}`);
  return probe === null ? 'gray' : getComputedStyle(probe).color;
}

/** Elements whose colours {@link token} reads, because a canvas does not know `light-dark()`. */
export function ColourProbes() {
  return (
    <div hidden>
      {['--accent', '--accent-soft', '--muted', '--line', '--mark'].map((name) => (
        <span key={name} id={`colour${name}`} style={{ color: `var(${name})` }} />
      ))}
    </div>
  );
}

/** A small line without axes. It begins where something is known. */
export function Sparkline(props: {
  readonly values: readonly (number | null)[];
  readonly label: string;
}) {
  const { values, label } = props;
  let most = 1e-9;
  for (const value of values) most = Math.max(most, value ?? 0);
  const width = 72;
  const height = 18;
  const step = width / Math.max(1, values.length - 1);
  const points = values.flatMap((value, i) =>
    value === null
      ? []
      : [`${tenths(i * step)},${tenths(height - 1 - (value / most) * (height - 2))}`],
  );
  return (
    <svg
      class="spark"
      preserveAspectRatio="none"
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={label}
    >
      <polyline points={points.join(' ')} />
    </svg>
  );
}

/** Rounds to one decimal. A table of nodes rounds thousands of values, and `toFixed` takes several times as long. */
function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
