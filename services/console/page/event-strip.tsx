import { signal } from '@preact/signals';
import type { FleetEvent } from '../src/fleet/silences.ts';
import { timeOfDay } from './format.ts';
import { shown, zoom } from './history.ts';
import { snapshot } from './live.ts';

/** The event that the list shows alone; undefined for all. */
export const eventFilter = signal<string | undefined>(undefined);

/** How bad an event is, and its sign. What is not listed is neither good nor bad. */
const LOOKS: readonly (readonly [beginning: string, tone: string, icon: string])[] = [
  ['lost', 'bad', '■'],
  ['silent', 'bad', '■'],
  ['degraded', 'bad', '■'],
  ['worker_lost', 'bad', '■'],
  ['epoch_started', 'warn', '▲'],
  ['drain', 'warn', '▽'],
  ['shed', 'warn', '▽'],
  ['ended', 'muted', '▽'],
  ['restored', 'good', '●'],
  ['back', 'good', '●'],
];

export function lookOf(event: string): { readonly tone: string; readonly icon: string } {
  const [, tone = 'muted', icon = '◆'] = LOOKS.find(([begin]) => event.startsWith(begin)) ?? [];
  return { tone, icon };
}

/** Events on the time axis of the charts. A mark filters the list of events. */
export function EventStrip() {
  const times = shown.value.at ?? [];
  const [from, to] = zoom.value ?? [times[0] ?? 0, times.at(-1) ?? 0];
  const span = (to ?? 0) - (from ?? 0);
  const events = (snapshot.value?.events ?? []).filter(({ at }) => {
    return at / 1_000 >= (from ?? 0) && at / 1_000 <= (to ?? 0);
  });
  return (
    <fieldset class="strip" aria-label="Events on the time axis of the charts">
      {span > 0 && (
        <>
          <time>{timeOfDay((from ?? 0) * 1_000).slice(0, 5)}</time>
          <div class="marks">
            {joined(events, span).map(({ event, at, count }) => {
              const { tone, icon } = lookOf(event);
              return (
                <button
                  key={`${event} ${at}`}
                  type="button"
                  class={`mark state ${tone}`}
                  style={{ left: `${((at / 1_000 - (from ?? 0)) / span) * 100}%` }}
                  title={`${timeOfDay(at)} ${event}${count > 1 ? ` × ${count}` : ''}`}
                  aria-label={`${event} at ${timeOfDay(at)}, ${count}`}
                  onClick={() => {
                    eventFilter.value = eventFilter.value === event ? undefined : event;
                  }}
                >
                  {icon}
                </button>
              );
            })}
            {events.length === 0 && <span class="nothing">No event in this time.</span>}
          </div>
          <time>{timeOfDay((to ?? 0) * 1_000).slice(0, 5)}</time>
        </>
      )}
    </fieldset>
  );
}

/** Room for a mark, and what stands beside the strip, in CSS pixels. */
const MARK_WIDTH = 28;
const BESIDE_STRIP = 170;
const WIDEST_PAGE = 1_680;

/** Events that come before the mark of those before them has ended share it: marks do not lie on one another. */
function joined(
  events: readonly FleetEvent[],
  span: number,
): readonly { readonly event: string; readonly at: number; readonly count: number }[] {
  const pixels = Math.max(MARK_WIDTH, Math.min(innerWidth, WIDEST_PAGE) - BESIDE_STRIP);
  const width = (span * 1_000 * MARK_WIDTH) / pixels;
  const marks: { event: string; at: number; count: number }[] = [];
  for (const { event, at } of events.toSorted((one, other) => one.at - other.at)) {
    const mark = marks.at(-1);
    if (mark === undefined || at - mark.at >= width) marks.push({ event, at, count: 1 });
    else {
      mark.count += 1;
      if (rank(event) < rank(mark.event)) mark.event = event;
    }
  }
  return marks;
}

/** The worst first. */
function rank(event: string): number {
  const at = LOOKS.findIndex(([begin]) => event.startsWith(begin));
  return at === -1 ? LOOKS.length : at;
}
