import { useEffect, useRef, useState } from 'preact/hooks';
import type { Verdict } from '../src/fleet/verdict.ts';
import { login } from './actions.ts';
import { ChannelDrawer } from './channel-drawer.tsx';
import { ChannelTable } from './channel-table.tsx';
import { Chart, ColourProbes } from './chart.tsx';
import { ChartHead } from './chart-head.tsx';
import { ClientDrawer } from './client-drawer.tsx';
import { ClientTable } from './client-table.tsx';
import { EventStrip } from './event-strip.tsx';
import { bytes, short, sinceWhen, whole } from './format.ts';
import { isFrozen, missedWhileFrozen, toggleFreeze } from './freeze.ts';
import { Help } from './help.tsx';
import { freezesAt, hasKeys } from './keys.ts';
import { isConnected, loginNeeded, snapshot } from './live.ts';
import { areListsSeen, lookAt, openChannel, openNode, openSession, search } from './looking.ts';
import { NodeDrawer } from './node-drawer.tsx';
import { NodeTable } from './node-table.tsx';
import { Events, Problems } from './problems.tsx';
import { Tiles } from './tiles.tsx';

/** What each verdict looks like: a colour, an icon and its word, so that none of the three is needed alone. */
const VERDICTS = {
  Healthy: { tone: 'good', icon: '●' },
  Degraded: { tone: 'warn', icon: '▲' },
  Failing: { tone: 'bad', icon: '■' },
  Empty: { tone: 'muted', icon: '○' },
  Blind: { tone: 'bad', icon: '◌' },
} as const;

/** The verdict as the header shows it. A page that has just been opened has heard nothing, and that is no fault. */
function headline(verdict: Verdict | undefined, connected: boolean) {
  const since = undefined;
  if (verdict === undefined) {
    const sentence = 'The console has not answered yet.';
    return { ...VERDICTS.Empty, word: 'Waiting', sentence, since };
  }
  if (connected) return { ...VERDICTS[verdict.word], since, ...verdict };
  const sentence = 'The console does not answer; these are its last figures.';
  return { ...VERDICTS.Blind, word: 'No console', sentence, since };
}

function Since({ at }: { readonly at: number }) {
  const now = snapshot.value?.at ?? at;
  return (
    <time class="since" dateTime={new Date(at).toISOString()}>
      {' '}
      Since {sinceWhen(at, now)}.
    </time>
  );
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
        // The browser closes it, and gives the focus back.
        if (document.querySelector('dialog') !== null) return;
        const isOpen = document.querySelector('aside') !== null;
        lookAt({});
        // What was open leaves the focus where it was opened; then keys are the page's again.
        if (!isOpen && document.activeElement instanceof HTMLElement) document.activeElement.blur();
      } else if (!hasKeys.value || document.querySelector('dialog') !== null) {
        // The browser's again, or the dialog's.
      } else if (!types && key === '/') {
        event.preventDefault();
        field.current?.focus();
      } else if (!types && key === ' ' && freezesAt(target)) {
        event.preventDefault();
        toggleFreeze();
      } else if (!types && key === '?') setHelps(true);
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
      <Header field={field} onHelp={() => setHelps(true)} />
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
          <Chart title="p99 to socket" figure="p99Ms" format={(value) => `${whole(value)} ms`} />
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

/**
 * How long lists are asked for after they were last seen, in ms. An edge that stops being asked counts
 * rates anew, so scrolling must not interrupt the question. A short look must still get an answer, which takes about two seconds.
 */
const LINGER_MS = 10_000;

/** Channels and clients, which edges are asked for only while they can be seen, and shortly after. */
function Lists() {
  const place = useRef<HTMLElement>(null);
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    let unseen: ReturnType<typeof setTimeout> | undefined;
    const observer = new IntersectionObserver((entries) => {
      clearTimeout(unseen);
      if (entries.at(-1)?.isIntersecting === true) {
        areListsSeen.value = true;
        return;
      }
      unseen = setTimeout(() => {
        areListsSeen.value = false;
      }, LINGER_MS);
    });
    observer.observe(element);
    return () => {
      clearTimeout(unseen);
      observer.disconnect();
    };
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

function Header(props: {
  readonly field: { current: HTMLInputElement | null };
  readonly onHelp: () => void;
}) {
  const verdict = snapshot.value?.verdict;
  const connected = isConnected.value;
  const { tone, icon, word, sentence, since } = headline(verdict, connected);
  useEffect(() => {
    document.title = `${icon} ${word} · Tradewind console`;
  }, [icon, word]);
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
          {since !== undefined && <Since at={since} />}
        </span>
      </p>
      <div class="tools">
        <input
          ref={props.field}
          type="search"
          placeholder={hasKeys.value ? 'Search  /' : 'Search'}
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
        <button type="button" class="quiet" onClick={props.onHelp}>
          Keys
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
