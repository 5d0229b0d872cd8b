import { useEffect, useRef, useState } from 'preact/hooks';
import type { Verdict } from '../src/fleet/verdict.ts';
import { login } from './actions.ts';
import { ChannelDrawer } from './channel-drawer.tsx';
import { ChannelTable } from './channel-table.tsx';
import { Chart, ColourProbes } from './chart.tsx';
import { ClientDrawer } from './client-drawer.tsx';
import { ClientTable } from './client-table.tsx';
import { EventStrip, eventFilter, lookOf } from './event-strip.tsx';
import { bytes, short, timeOfDay, whole } from './format.ts';
import { isFrozen, missedWhileFrozen, toggleFreeze } from './freeze.ts';
import { RANGES, type Range, range, zoom } from './history.ts';
import { isConnected, loginNeeded, snapshot } from './live.ts';
import { areListsSeen, lookAt, openChannel, openNode, openSession, search } from './looking.ts';
import { NodeDrawer } from './node-drawer.tsx';
import { NodeTable } from './node-table.tsx';
import { Tiles } from './tiles.tsx';

/** What each verdict looks like: a colour, an icon and its word, so that none of the three is needed alone. */
const VERDICTS = {
  Healthy: { tone: 'good', icon: '●' },
  Degraded: { tone: 'warn', icon: '▲' },
  Failing: { tone: 'bad', icon: '■' },
  Empty: { tone: 'muted', icon: '○' },
  Blind: { tone: 'bad', icon: '◌' },
} as const;

const KEYS = [
  ['/', 'search nodes, channels and clients'],
  ['j k', 'next and previous row'],
  ['Enter', 'open what the row names'],
  ['Esc', 'close'],
  ['Space', 'freeze the page, or continue'],
  ['1 2 3 4', 'go to a section'],
  ['← →', 'on a chart: tell its values'],
  ['?', 'this help'],
] as const;

/** What a card says before the console's first answer, which may bring anything. */
const NOTHING_KNOWN = 'Not known yet.';

/** What it says where no problem is known, because nothing is. */
const NOTHING_WRONG: Readonly<Record<string, string>> = {
  Empty: 'There is no edge to judge.',
  Blind: 'What nodes do is unknown while Redis does not answer.',
};

/** The verdict as the header shows it. A page that has just been opened has heard nothing, and that is no fault. */
function headline(verdict: Verdict | undefined, connected: boolean) {
  if (verdict === undefined) {
    return { ...VERDICTS.Empty, word: 'Waiting', sentence: 'The console has not answered yet.' };
  }
  if (connected) return { ...VERDICTS[verdict.word], ...verdict };
  const sentence = 'The console does not answer; these are its last figures.';
  return { ...VERDICTS.Blind, word: 'No console', sentence };
}

/** The one page of the console. */
export function App() {
  const [helps, setHelps] = useState(false);
  const field = useRef<HTMLInputElement>(null);

  useEffect(() => {
    function onKey(event: KeyboardEvent): void {
      // These are the browser's.
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { target, key } = event;
      const types = target instanceof HTMLInputElement;
      if (key === 'Escape') {
        const isOpen = document.querySelector('aside, dialog') !== null;
        lookAt({});
        setHelps(false);
        // What was open leaves the focus where it was opened; then keys are the page's again.
        if (!isOpen && document.activeElement instanceof HTMLElement) document.activeElement.blur();
      } else if (!types && key === '/') {
        event.preventDefault();
        field.current?.focus();
      } else if (!types && key === ' ' && !(target instanceof HTMLButtonElement)) {
        event.preventDefault();
        toggleFreeze();
      } else if (!types && key === '?') setHelps((before) => !before);
      else if (!types && '1234'.includes(key)) {
        document.getElementById(`section-${key}`)?.scrollIntoView({ block: 'start' });
        document.getElementById(`section-${key}`)?.focus();
      } else if (!types && (key === 'j' || key === 'k')) moveFocus(key === 'j' ? 1 : -1);
    }
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);

  if (loginNeeded.value) return <Login />;
  return (
    <>
      <ColourProbes />
      <Header field={field} onHelp={() => setHelps(!helps)} />
      <main>
        <section id="section-1" tabIndex={-1} aria-label="Is it healthy">
          <Tiles />
        </section>
        <section id="section-2" tabIndex={-1} aria-label="What is wrong" class="wrong">
          <Problems />
          <Events />
        </section>
        <section aria-label="What it did">
          <ChartHead />
          <EventStrip />
        </section>
        <section class="charts" aria-label="Charts">
          <Chart title="Deliveries a second" figure="deliveries" format={short} />
          <Chart
            title="p99, publication to socket"
            figure="p99Ms"
            format={(value) => `${whole(value)} ms`}
          />
          <Chart title="Clients" figure="clients" format={short} />
          <Chart title="Bytes out a second" figure="sentBytes" format={(value) => bytes(value)} />
        </section>
        <section id="section-3" tabIndex={-1} aria-label="Nodes">
          <NodeTable filter={search.value.trim()} />
        </section>
        <Lists />
      </main>
      {openNode.value !== undefined && (
        <NodeDrawer key={openNode.value} node={openNode.value} onClose={() => lookAt({})} />
      )}
      {openChannel.value !== undefined && (
        <ChannelDrawer
          key={openChannel.value}
          channel={openChannel.value}
          onClose={() => lookAt({})}
        />
      )}
      {openSession.value !== undefined && (
        <ClientDrawer
          key={openSession.value}
          session={openSession.value}
          onClose={() => lookAt({})}
        />
      )}
      {helps && <Help onClose={() => setHelps(false)} />}
    </>
  );
}

/** Channels and clients, which edges are asked for only while they can be seen. */
function Lists() {
  const place = useRef<HTMLElement>(null);
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const observer = new IntersectionObserver((entries) => {
      areListsSeen.value = entries.at(-1)?.isIntersecting === true;
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return (
    <section
      ref={place}
      id="section-4"
      tabIndex={-1}
      class="lists"
      aria-label="Channels and clients"
    >
      <ChannelTable />
      <ClientTable />
    </section>
  );
}

/** What time the charts show. */
function ChartHead() {
  return (
    <div class="card-head">
      <h2>What it did</h2>
      <fieldset class="choice" aria-label="Time that charts show">
        {zoom.value !== undefined && (
          <button
            type="button"
            onClick={() => {
              zoom.value = undefined;
            }}
          >
            Show all of it
          </button>
        )}
        {Object.entries(RANGES).map(([each, { name }]) => (
          <button
            key={each}
            type="button"
            aria-pressed={range.value === each}
            onClick={() => {
              range.value = each as Range;
              zoom.value = undefined;
            }}
          >
            {name}
          </button>
        ))}
      </fieldset>
    </div>
  );
}

function Header(props: {
  readonly field: { current: HTMLInputElement | null };
  readonly onHelp: () => void;
}) {
  const verdict = snapshot.value?.verdict;
  const connected = isConnected.value;
  const { tone, icon, word, sentence } = headline(verdict, connected);
  return (
    <header>
      <h1>Tradewind</h1>
      <p class="spoken" role="status">
        {useSpoken(word, sentence)}
      </p>
      <p class={`verdict ${tone}`}>
        <strong>
          <span aria-hidden="true">{icon}</span> {word}
        </strong>
        <span>
          {isFrozen.value && 'This page is frozen. '}
          {sentence}
        </span>
      </p>
      <div class="tools">
        <input
          ref={props.field}
          type="search"
          placeholder="Search  /"
          aria-label="Search nodes, channels and clients"
          maxLength={200}
          value={search.value}
          onInput={({ currentTarget }) => {
            search.value = currentTarget.value;
          }}
        />
        <button type="button" aria-pressed={isFrozen.value} onClick={toggleFreeze}>
          {isFrozen.value ? `Continue (${missedWhileFrozen.value})` : 'Freeze page'}
        </button>
        <button type="button" class="quiet" aria-label="Help" onClick={props.onHelp}>
          ?
        </button>
      </div>
    </header>
  );
}

/** Time between two announcements of a verdict, in ms: one that flickers must not talk without end. */
const SPEAK_AFTER_MS = 5_000;

/** What a screen reader is told: the verdict when its word changes, and not the seconds that it counts. */
function useSpoken(word: string, sentence: string): string {
  const [spoken, setSpoken] = useState('');
  const spokenAt = useRef(Number.NEGATIVE_INFINITY);
  useEffect(() => {
    const waitMs = Math.max(0, spokenAt.current + SPEAK_AFTER_MS - performance.now());
    const timer = setTimeout(() => {
      spokenAt.current = performance.now();
      setSpoken(`${word}: ${sentence}`);
    }, waitMs);
    return () => clearTimeout(timer);
  }, [word]);
  return spoken;
}

function Problems() {
  const shown = snapshot.value;
  const problems = shown?.problems ?? [];
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
              <span>
                <button type="button" class="link" onClick={() => lookAt({ node: problem.node })}>
                  {problem.node}
                </button>{' '}
                {problem.sentence}
              </span>
              <code title="The entry of docs/runbook.md">{problem.alert}</code>
            </li>
          ))}
          {more > 0 && <li>{more} more</li>}
        </ul>
      )}
    </div>
  );
}

function Events() {
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
        <ol class="events">
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

function Help({ onClose }: { readonly onClose: () => void }) {
  return (
    <dialog open class="help" aria-label="Keys">
      <h2>Keys</h2>
      <dl>
        {KEYS.map(([key, meaning]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
      <button type="button" onClick={onClose}>
        Close
      </button>
    </dialog>
  );
}

function Login() {
  const [fault, setFault] = useState<string | undefined>(undefined);
  return (
    <main class="login">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          const field = event.currentTarget.elements.namedItem('token');
          if (field instanceof HTMLInputElement) void login(field.value).then(setFault);
        }}
      >
        <h1>Tradewind console</h1>
        <label>
          Token
          <input name="token" type="password" autocomplete="current-password" required />
        </label>
        {fault !== undefined && <p role="alert">{fault}</p>}
        <button type="submit">Log in</button>
      </form>
    </main>
  );
}

/** Moves the focus from one row of a table to the next, over all tables. */
function moveFocus(step: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-row]')];
  const at = rows.indexOf(document.activeElement as HTMLElement);
  rows[Math.min(rows.length - 1, Math.max(0, at + step))]?.focus();
}
