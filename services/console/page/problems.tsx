import { RUNBOOK_PATH } from '../src/http/runbook-path.ts';
import { eventFilter, lookOf } from './event-strip.tsx';
import { duration, sinceWhen, timeOfDay } from './format.ts';
import { snapshot } from './live.ts';
import { lookAt } from './looking.ts';

/** What a card says before the console's first answer, which may bring anything. */
const NOTHING_KNOWN = 'Not known yet.';

/** What it says where no problem is known, because nothing is. */
const NOTHING_WRONG: Readonly<Record<string, string>> = {
  Empty:
    'There is no edge to judge. An edge tells its state once a second, as soon as it reaches the Redis of this console.',
  Blind: 'What nodes do is unknown while Redis does not answer.',
};

/** What is wrong now, the worst first, and since when. */
export function Problems() {
  const shown = snapshot.value;
  const problems = shown?.problems ?? [];
  const at = shown?.at ?? 0;
  const more = (shown?.problemsInAll ?? 0) - problems.length;
  return (
    <div class="card">
      <div class="card-head">
        <h2>What is wrong</h2>
      </div>
      {problems.length === 0 ? (
        <p class="nothing">
          {shown === undefined
            ? NOTHING_KNOWN
            : (NOTHING_WRONG[shown.verdict.word] ?? (
                <>
                  <span aria-hidden="true">✓</span> No threshold of an alert is passed.
                </>
              ))}
        </p>
      ) : (
        <ul class="problems">
          {problems.map((problem) => (
            <li key={`${problem.node} ${problem.alert}`} class={problem.severity}>
              <span class="badge">
                <span aria-hidden="true">{problem.severity === 'critical' ? '■' : '▲'}</span>{' '}
                {problem.severity}
              </span>
              <div>
                <p>
                  <button type="button" class="link" onClick={() => lookAt({ node: problem.node })}>
                    {problem.node}
                  </button>{' '}
                  {problem.sentence}
                </p>
                <p class="since">
                  <time dateTime={new Date(problem.since).toISOString()}>
                    since {sinceWhen(problem.since, at)}
                  </time>
                  {' · '}
                  {duration(at - problem.since)}
                  {' · '}
                  <a
                    href={`${RUNBOOK_PATH}#${problem.alert.toLowerCase()}`}
                    target="_blank"
                    rel="noreferrer"
                    title="What to do: its entry of the runbook, in a new tab"
                  >
                    {problem.alert}
                  </a>
                </p>
              </div>
            </li>
          ))}
          {more > 0 && <li>{more} more</li>}
        </ul>
      )}
    </div>
  );
}

/** What nodes told, and that they fell silent or are back, the latest first. */
export function Events() {
  const wanted = eventFilter.value;
  const all = snapshot.value?.events ?? [];
  const events = wanted === undefined ? all : all.filter(({ event }) => event === wanted);
  return (
    <div class="card">
      <div class="card-head">
        <h2>What happened</h2>
        {wanted !== undefined && (
          <button
            type="button"
            onClick={() => {
              eventFilter.value = undefined;
            }}
          >
            only {wanted} ✕
          </button>
        )}
      </div>
      {events.length === 0 ? (
        <p class="nothing">
          {snapshot.value === undefined
            ? NOTHING_KNOWN
            : 'No event of a node within the last hour.'}
        </p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keys.
        <ol class="events" tabIndex={0} aria-label="Events, the latest first">
          {events.map((event) => (
            <li key={`${event.node} ${event.at} ${event.event} ${event.detail}`}>
              <time>{timeOfDay(event.at)}</time>
              <span class="node">{event.node}</span>
              <span class={`state ${lookOf(event.event).tone}`}>
                <span aria-hidden="true">{lookOf(event.event).icon}</span> {event.event}
              </span>
              <span class="detail">{event.detail}</span>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}
