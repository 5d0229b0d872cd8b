import { batch, computed, signal } from '@preact/signals';
import { type Columns, toRows } from '../src/fleet/columns.ts';
import type { NodeRow, Snapshot } from '../src/fleet/fleet.ts';
import type { HistoryColumns } from '../src/fleet/fleet-history.ts';
import { draw } from './freeze.ts';
import { beginHistory, continueHistory, showHistory } from './history.ts';
import { type Answer, takeAnswer, whenLooking } from './looking.ts';

type Told = Omit<Snapshot, 'nodes'> & { readonly nodes: Partial<Columns<NodeRow>> };

/** What the console sends: history once, a snapshot a second and at once when a node changes, and what the page asked for. */
type Message =
  | ({ readonly kind: 'history'; readonly history: HistoryColumns } & Told)
  | ({ readonly kind: 'tick' | 'news' } & Told)
  | Answer;

/** Waits between two attempts to reach the console, in ms. */
const RETRY_MS = 1_000;

/** How long the console may take to say who this is, in ms: a question without an answer must not be the last one. */
const SESSION_DEADLINE_MS = 10_000;

/** A console that has said nothing for this time, in ms, is away. */
const SILENCE_MS = 4_000;

/** The length of a node's line, in seconds. */
const LINE_SECONDS = 60;

/** What this console can do beside showing figures. */
export interface Abilities {
  /** Whether it shows what comes on a channel. */
  readonly hasTape?: boolean;
  /** Whether it can end the connections of a subject. */
  readonly endsSubjects?: boolean;
  /** An edge, for command lines. */
  readonly edgeUrl?: string;
}

export const snapshot = signal<Snapshot | undefined>(undefined);
export const isConnected = signal(false);
export const loginNeeded = signal(false);
export const mayAct = signal(false);
export const abilities = signal<Abilities>({});

/** Rates of deliveries of each node, for the line in its row; null where the console did not see it. */
export const nodeLines = signal<ReadonlyMap<string, readonly (number | null)[]>>(new Map());

/** The rows of all nodes; undefined before the first. They are drawn in a frame of their own. */
export const nodeRows = signal<readonly NodeRow[] | undefined>(undefined);

export const nodes = computed<readonly NodeRow[]>(() => nodeRows.value ?? []);

let socket: WebSocket | undefined;
/** Whether the console is being asked who this is. */
let asking = false;
let lastHeardAt = 0;
/** See {@link nodeLines}; also while the page is frozen. */
let lines: ReadonlyMap<string, readonly (number | null)[]> = new Map();
let lookedAt: string | undefined;

/** Listens while the page can be seen. */
export function listen(): void {
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) socket?.close();
    else connect();
  });
  setInterval(() => {
    if (performance.now() - lastHeardAt > SILENCE_MS) isConnected.value = false;
  }, RETRY_MS);
  whenLooking((question) => {
    lookedAt = question;
    if (socket?.readyState === WebSocket.OPEN) socket.send(question);
  });
  connect();
}

/** Asks the console who this is, and listens if it may. */
export function connect(): void {
  if (asking || document.hidden || hasSocket()) return;
  asking = true;
  void askSession().then((asked) => {
    asking = false;
    if (!asked) setTimeout(connect, RETRY_MS);
    else if (!loginNeeded.value) open();
  });
}

function hasSocket(): boolean {
  return socket !== undefined && socket.readyState <= WebSocket.OPEN;
}

/** Whether the console answered. */
async function askSession(): Promise<boolean> {
  try {
    const answer = await fetch('/v1/session', {
      signal: AbortSignal.timeout(SESSION_DEADLINE_MS),
    });
    const { hasLogin, loggedIn, ...rest } = (await answer.json()) as Abilities & {
      readonly hasLogin?: boolean;
      readonly loggedIn?: boolean;
    };
    loginNeeded.value = hasLogin === true && loggedIn !== true;
    mayAct.value = loggedIn === true;
    abilities.value = rest;
    return answer.ok;
  } catch {
    return false;
  }
}

function open(): void {
  // It may have been hidden since it asked.
  if (document.hidden || hasSocket()) return;
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const opened = new WebSocket(`${scheme}://${location.host}/v1/live`);
  socket = opened;
  opened.onopen = () => {
    if (lookedAt !== undefined) opened.send(lookedAt);
  };
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
    if ('verdict' in message) takeSnapshot(message);
    else takeAnswer(message);
  });
}

function takeSnapshot(message: Extract<Message, Told>): void {
  const told: Snapshot = { ...message, nodes: toRows<NodeRow>(message.nodes) };
  const { history } = message as { readonly history?: HistoryColumns };
  draw('snapshot', () => {
    snapshot.value = told;
  });
  if (history !== undefined) beginHistory(history);
  else if (message.kind === 'tick') continueHistory(told);
  if (message.kind !== 'news') {
    lines = new Map(
      told.nodes.map(({ node, deliveries }) => {
        const line = lines.get(node) ?? [];
        return [node, [...line.slice(-LINE_SECONDS + 1), told.isSeen ? deliveries : null]];
      }),
    );
  }
  draw('history', showHistory);
  draw('nodes', () => {
    nodeRows.value = told.nodes;
    nodeLines.value = lines;
  });
}
