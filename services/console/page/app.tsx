import { useEffect, useRef, useState } from 'preact/hooks';
import type { Verdict } from '../src/fleet/verdict.ts';
import { Chart, ColourProbes } from './chart.tsx';
import { bytes, duration, short, timeOfDay, whole } from './format.ts';
import {
  isConnected,
  isFrozen,
  login,
  loginNeeded,
  missedWhileFrozen,
  snapshot,
  toggleFreeze,
} from './live.ts';
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
  ['/', 'search nodes'],
  ['j k', 'next and previous node'],
  ['Enter', 'open a node'],
  ['Esc', 'close'],
  ['Space', 'freeze'],
  ['1 2 3', 'go to a section'],
  ['?', 'this help'],
] as const;

/** What a card says before the console's first answer, which may bring anything. */
const NOTHING_KNOWN = 'Not known yet.';

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
  const [opened, setOpened] = useState<string | undefined>(undefined);
  const [filter, setFilter] = useState('');
  const [helps, setHelps] = useState(false);
  const search = useRef<HTMLInputElement>(null);

  useEffect(() => {
    function onKey(event: KeyboardEvent): void {
      const { target, key } = event;
      const types = target instanceof HTMLInputElement;
      if (key === 'Escape') {
        const isOpen = document.querySelector('aside, dialog') !== null;
        setOpened(undefined);
        setHelps(false);
        // What was open leaves the focus where it was opened; then keys are the page's again.
        if (!isOpen && document.activeElement instanceof HTMLElement) document.activeElement.blur();
      } else if (!types && key === '/') {
        event.preventDefault();
        search.current?.focus();
      } else if (!types && key === ' ' && !(target instanceof HTMLButtonElement)) {
        event.preventDefault();
        toggleFreeze();
      } else if (!types && key === '?') setHelps((before) => !before);
      else if (!types && '123'.includes(key)) {
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
      <Header
        search={search}
        filter={filter}
        onFilter={setFilter}
        onHelp={() => setHelps(!helps)}
      />
      <main>
        <section id="section-1" tabIndex={-1} aria-label="Is it healthy">
          <Tiles />
        </section>
        <section id="section-2" tabIndex={-1} aria-label="What is wrong" class="wrong">
          <Problems onOpen={setOpened} />
          <Events />
        </section>
        <section class="charts" aria-label="The last 15 minutes">
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
          <NodeTable filter={filter} onOpen={setOpened} />
        </section>
      </main>
      {opened !== undefined && <NodeDrawer node={opened} onClose={() => setOpened(undefined)} />}
      {helps && <Help onClose={() => setHelps(false)} />}
    </>
  );
}

function Header(props: {
  readonly search: { current: HTMLInputElement | null };
  readonly filter: string;
  readonly onFilter: (text: string) => void;
  readonly onHelp: () => void;
}) {
  const verdict = snapshot.value?.verdict;
  const connected = isConnected.value;
  const { tone, icon, word, sentence } = headline(verdict, connected);
  return (
    <header>
      <h1>Tradewind</h1>
      <p class={`verdict ${tone}`} role="status">
        <strong>
          <span aria-hidden="true">{icon}</span> {word}
        </strong>
        <span>{sentence}</span>
      </p>
      <div class="tools">
        <input
          ref={props.search}
          type="search"
          placeholder="Search nodes  /"
          aria-label="Search nodes"
          value={props.filter}
          onInput={({ currentTarget }) => props.onFilter(currentTarget.value)}
        />
        <button type="button" aria-pressed={isFrozen.value} onClick={toggleFreeze}>
          {isFrozen.value ? `Continue (${missedWhileFrozen.value})` : 'Freeze'}
        </button>
        <button type="button" class="quiet" aria-label="Help" onClick={props.onHelp}>
          ?
        </button>
      </div>
    </header>
  );
}

function Problems({ onOpen }: { readonly onOpen: (node: string) => void }) {
  const shown = snapshot.value;
  const problems = shown?.problems ?? [];
  const more = (shown?.problemsInAll ?? 0) - problems.length;
  return (
    <div class="card">
      <h2>What is wrong</h2>
      {problems.length === 0 ? (
        <p class="nothing">
          {shown === undefined ? (
            NOTHING_KNOWN
          ) : (
            <>
              <span aria-hidden="true">✓</span> Nothing passes a threshold of the alerts.
            </>
          )}
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
                <button type="button" class="link" onClick={() => onOpen(problem.node)}>
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
  const events = snapshot.value?.events ?? [];
  return (
    <div class="card">
      <h2>What happened</h2>
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
              <code>{event.event}</code>
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

/** Moves the focus from one row of the node table to the next. */
function moveFocus(step: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-row]')];
  const at = rows.indexOf(document.activeElement as HTMLElement);
  rows[Math.min(rows.length - 1, Math.max(0, at + step))]?.focus();
}

/** How long something has lasted. */
export function since(at: number): string {
  return duration(Date.now() - at);
}
