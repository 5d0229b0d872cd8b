import { batch, computed, signal } from '@preact/signals';
import type { NodeRow, Snapshot } from '../src/fleet/fleet.ts';
import type { HistoryColumns } from '../src/fleet/fleet-history.ts';

/** What the console sends: history once, and a snapshot a second. */
type Message =
  | ({ readonly kind: 'history'; readonly history: HistoryColumns } & Snapshot)
  | ({ readonly kind: 'tick' } & Snapshot);

/** Seconds that a chart of the last 15 minutes shows. */
const SECONDS = 900;

/** Waits between two attempts to reach the console, in ms. */
const RETRY_MS = 1_000;

/** A console that has said nothing for this time, in ms, is away. */
const SILENCE_MS = 4_000;

export const snapshot = signal<Snapshot | undefined>(undefined);
/** The columns of the last 15 minutes, by the second: `at` in s of the wall clock, then one column a figure. */
export const seconds = signal<Readonly<Record<string, readonly (number | null)[]>>>({});
export const isConnected = signal(false);
export const isFrozen = signal(false);
/** Snapshots that came while the page was frozen. */
export const missedWhileFrozen = signal(0);
export const loginNeeded = signal(false);
export const mayAct = signal(false);

/** Rates of deliveries of each node, for the line in its row. */
export const nodeLines = signal<ReadonlyMap<string, readonly number[]>>(new Map());

/** The length of a node's line, in seconds. */
const LINE_SECONDS = 60;

export const nodes = computed<readonly NodeRow[]>(() => snapshot.value?.nodes ?? []);

let socket: WebSocket | undefined;
let lastHeardAt = 0;

/** Listens while the page can be seen. */
export function listen(): void {
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) socket?.close();
    else connect();
  });
  setInterval(() => {
    if (performance.now() - lastHeardAt > SILENCE_MS) isConnected.value = false;
  }, RETRY_MS);
  connect();
}

function connect(): void {
  if (document.hidden || (socket !== undefined && socket.readyState <= WebSocket.OPEN)) return;
  void askSession().then((asked) => {
    if (!asked) setTimeout(connect, RETRY_MS);
    else if (!loginNeeded.value) open();
  });
}

/** Whether the console answered. */
async function askSession(): Promise<boolean> {
  try {
    const answer = await fetch('/v1/session');
    const { hasLogin, loggedIn } = (await answer.json()) as Record<string, boolean>;
    loginNeeded.value = hasLogin === true && loggedIn !== true;
    mayAct.value = loggedIn === true;
    return answer.ok;
  } catch {
    return false;
  }
}

function open(): void {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const opened = new WebSocket(`${scheme}://${location.host}/v1/live`);
  socket = opened;
  opened.onmessage = ({ data }) => {
    lastHeardAt = performance.now();
    take(JSON.parse(String(data)) as Message);
  };
  opened.onclose = () => {
    if (socket !== opened) return;
    isConnected.value = false;
    socket = undefined;
    setTimeout(connect, RETRY_MS);
  };
}

function take(message: Message): void {
  batch(() => {
    isConnected.value = true;
    if (message.kind === 'history') seconds.value = fromHistory(message.history);
    else appendPoint(message);
    appendLines(message.nodes);
    if (isFrozen.value) {
      missedWhileFrozen.value += 1;
      return;
    }
    snapshot.value = message;
  });
}

function fromHistory({ at, seconds: columns }: HistoryColumns): Record<string, (number | null)[]> {
  const newest = Math.floor(at / 1_000);
  const times = Array.from({ length: SECONDS }, (_, i) => newest - SECONDS + 1 + i);
  const own = Object.entries(columns).map(([name, values]) => [name, [...values]]);
  return { at: times, ...Object.fromEntries(own) };
}

function appendPoint({ at, point }: Snapshot): void {
  const before = seconds.value;
  const times = before.at ?? [];
  const time = Math.floor(at / 1_000);
  const next: Record<string, readonly (number | null)[]> = {};
  next.at = [...times.slice(-SECONDS + 1), time];
  for (const [name, value] of Object.entries(point)) {
    next[name] = [...(before[name] ?? []).slice(-SECONDS + 1), value ?? null];
  }
  seconds.value = next;
}

function appendLines(rows: readonly NodeRow[]): void {
  nodeLines.value = new Map(
    rows.map(({ node, deliveries }) => {
      const line = nodeLines.value.get(node) ?? [];
      return [node, [...line.slice(-LINE_SECONDS + 1), deliveries]];
    }),
  );
}

/** Stops or continues to draw. What comes meanwhile is kept. */
export function toggleFreeze(): void {
  isFrozen.value = !isFrozen.value;
  missedWhileFrozen.value = 0;
}

/** Logs an operator in. Returns what went wrong, or undefined. */
export async function login(token: string): Promise<string | undefined> {
  const answer = await fetch('/v1/login', {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  }).catch(() => undefined);
  if (answer === undefined) return 'The console does not answer.';
  if (!answer.ok) return await errorOf(answer);
  loginNeeded.value = false;
  mayAct.value = true;
  connect();
  return undefined;
}

/** Asks a node to do something. Returns one line that says what became of it. */
export async function act(node: string, verb: string): Promise<string> {
  const answer = await fetch(`/v1/nodes/${encodeURIComponent(node)}/${verb}`, {
    method: 'POST',
    headers: { 'x-tradewind-console': '1' },
  }).catch(() => undefined);
  if (answer === undefined) return 'The console does not answer.';
  const text = await answer.text();
  try {
    const body = JSON.parse(text);
    return body.message ?? body.error?.message ?? text;
  } catch {
    return text;
  }
}

async function errorOf(answer: Response): Promise<string> {
  const body = await answer.json().catch(() => undefined);
  return body?.error?.message ?? `The console answered ${answer.status}.`;
}
