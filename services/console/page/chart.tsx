import { useEffect, useRef, useState } from 'preact/hooks';
import UPlot from 'uplot';
import { timeOfDay } from './format.ts';
import { seconds, snapshot } from './live.ts';

/** What a chart shows of the last 15 minutes. */
export interface ChartProps {
  readonly title: string;
  readonly figure: string;
  readonly format: (value: number) => string;
}

const HEIGHT = 132;

/** Rows of the table that a chart can be read as. */
const TABLE_ROWS = 15;

const CURSOR = UPlot.sync('charts');

/** A line over the last 15 minutes, with a mark for each event of a node. It can be read as a table, too. */
export function Chart({ title, figure, format }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | undefined>(undefined);
  const [asTable, setAsTable] = useState(false);
  const times = (seconds.value.at ?? []) as number[];
  const values = (seconds.value[figure] ?? []) as (number | null)[];

  useEffect(() => {
    const element = place.current;
    if (element === null || asTable) return;
    const made = new UPlot(options(element.clientWidth, format), [times, values], element);
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
    plot.current?.setData([times, values]);
  }, [times, values]);

  const known = values.filter((value) => value !== null);
  const newest = known.at(-1);
  const most = known.length === 0 ? 0 : Math.max(...known);
  const sentence =
    newest === undefined
      ? `${title}: nothing yet`
      : `${title}: ${format(newest)} now, ${format(most)} at most within 15 minutes`;
  return (
    <figure class="chart">
      <figcaption>
        <span>{title}</span>
        <button type="button" class="quiet" onClick={() => setAsTable(!asTable)}>
          {asTable ? 'as chart' : 'as table'}
        </button>
      </figcaption>
      {asTable ? (
        <ValueTable title={title} times={times} values={values} format={format} />
      ) : (
        <div ref={place} role="img" aria-label={sentence} />
      )}
    </figure>
  );
}

function ValueTable(props: {
  readonly title: string;
  readonly times: readonly number[];
  readonly values: readonly (number | null)[];
  readonly format: (value: number) => string;
}) {
  const step = 60;
  const rows = Array.from({ length: TABLE_ROWS }, (_, i) => props.times.length - 1 - i * step);
  return (
    <div class="scroll">
      <table>
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

function options(width: number, format: (value: number) => string): UPlot.Options {
  const axis = {
    stroke: () => token('--muted'),
    grid: { stroke: () => token('--line'), width: 1 },
  };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { sync: { key: CURSOR.key }, y: false },
    scales: { y: { range: (_plot, _least, most) => [0, (most || 1) * 1.1] } },
    axes: [
      {
        ...axis,
        size: 24,
        ticks: { show: false },
        font: FONT,
        values: (_plot, marks) => marks.map((mark) => timeOfDay(mark * 1_000).slice(0, 5)),
      },
      {
        ...axis,
        size: 56,
        ticks: { show: false },
        font: FONT,
        values: (_plot, marks) => marks.map((mark) => format(mark)),
      },
    ],
    series: [
      {},
      {
        stroke: () => token('--accent'),
        width: 1.5,
        fill: () => token('--accent-soft'),
        points: { show: false },
      },
    ],
    hooks: { draw: [drawEvents] },
  };
}

const FONT = '11px system-ui, sans-serif';

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
  const most = Math.max(1e-9, ...values.map((value) => value ?? 0));
  const width = 72;
  const height = 18;
  const step = width / Math.max(1, values.length - 1);
  const points = values.flatMap((value, i) =>
    value === null
      ? []
      : [`${(i * step).toFixed(1)},${(height - 1 - (value / most) * (height - 2)).toFixed(1)}`],
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
