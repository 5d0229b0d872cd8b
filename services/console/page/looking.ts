import { batch, effect, signal } from '@preact/signals';
import type { ChannelOrder } from '@tradewind/bus';
import type { ChannelOnNode, ChannelRow, ClientOnNode } from '../src/asked/merge-answers.ts';
import type { Question } from '../src/asked/questions.ts';
import type { TapeItem, TapeMessage, TapeState } from '../src/tape/tape.ts';
import { draw, forget } from './freeze.ts';

/** What edges answer to the page. */
export type Answer =
  | {
      readonly kind: 'channels';
      readonly order: ChannelOrder;
      readonly text: string;
      readonly channels: readonly ChannelRow[];
    }
  | { readonly kind: 'channel'; readonly channel: string; readonly nodes: readonly ChannelOnNode[] }
  | { readonly kind: 'clients'; readonly text: string; readonly clients: readonly ClientOnNode[] }
  | TapeMessage;

/** Items that a tape shows at most. */
const TAPE_ROWS = 200;

/** An item with its number since the tape began. */
export type TapeRow = TapeItem & { readonly number: number };

/** What is searched for: nodes, channels and clients at once. */
export const search = signal('');
/** Whether the lists of channels and clients can be seen: only then edges are asked for them. */
export const areListsSeen = signal(false);
export const order = signal<ChannelOrder>('rate');
/** The node, the channel or the session whose drawer is open: one of them at a time. */
export const openNode = signal<string | undefined>(undefined);
export const openChannel = signal<string | undefined>(undefined);
export const openSession = signal<string | undefined>(undefined);

/** The latest answers; undefined before the first. */
export const channels = signal<
  | { readonly text: string; readonly order: ChannelOrder; readonly rows: readonly ChannelRow[] }
  | undefined
>(undefined);
export const clients = signal<
  { readonly text: string; readonly rows: readonly ClientOnNode[] } | undefined
>(undefined);
/** The session whose drawer is open, wherever it was found. */
export const openClient = signal<readonly ClientOnNode[] | undefined>(undefined);
export const channelNodes = signal<readonly ChannelOnNode[] | undefined>(undefined);
export const tape = signal<readonly TapeRow[]>([]);
export const tapeState = signal<TapeState | undefined>(undefined);

/** The rows of the tape, also while the page is frozen. */
let rows: readonly TapeRow[] = [];
let nextNumber = 0;
/** See `TapeMessage`. */
let begunAt: number | undefined;

/** What the page looks at now. */
function question(): Question {
  const text = search.value.trim();
  const looks = areListsSeen.value || text !== '';
  const channel = openChannel.value;
  const client = openSession.value ?? (looks ? text : undefined);
  return {
    ...(looks ? { list: { order: order.value, text } } : {}),
    ...(channel === undefined ? {} : { channel }),
    ...(client === undefined ? {} : { client }),
  };
}

/** How long a search text must stay unchanged before it is sent, in ms, so that not every letter is a question. */
const SETTLED_MS = 250;

/** Calls `ask` with what the page looks at, whenever that changes. */
export function whenLooking(ask: (text: string) => void): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  effect(() => {
    const text = JSON.stringify(question());
    clearTimeout(timer);
    timer = setTimeout(() => ask(text), SETTLED_MS);
  });
}

/** Opens one drawer, and closes the others; without a name it closes all. */
export function lookAt(name: {
  readonly node?: string;
  readonly channel?: string;
  readonly session?: string;
}): void {
  batch(() => {
    openNode.value = name.node;
    lookAtChannel(name.channel);
    lookAtClient(name.session);
  });
}

function lookAtChannel(channel: string | undefined): void {
  if (channel === openChannel.value) return;
  forget('channel', 'tape');
  openChannel.value = channel;
  channelNodes.value = undefined;
  rows = [];
  nextNumber = 0;
  tape.value = rows;
  tapeState.value = undefined;
}

function lookAtClient(session: string | undefined): void {
  if (session === openSession.value) return;
  forget('client');
  openSession.value = session;
  openClient.value = clients.value?.rows.filter((row) => row.session === session);
}

/** Takes an answer in. */
export function takeAnswer(answer: Answer): void {
  switch (answer.kind) {
    case 'channels': {
      const { text, order: by, channels: listed } = answer;
      draw('channels', () => {
        channels.value = { text, order: by, rows: listed };
      });
      break;
    }
    case 'channel':
      if (answer.channel !== openChannel.value) return;
      draw('channel', () => {
        channelNodes.value = answer.nodes;
      });
      break;
    case 'clients':
      takeClients(answer.text, answer.clients);
      break;
    case 'tape':
      if (answer.channel === openChannel.value) takeTape(answer);
      break;
  }
}

function takeClients(text: string, found: readonly ClientOnNode[]): void {
  if (text === openSession.value) {
    draw('client', () => {
      openClient.value = found;
    });
    return;
  }
  draw('clients', () => {
    clients.value = { text, rows: found };
  });
}

/** Items are told apart by their number: what a page has already is not shown twice, and what it lacks is told. */
function takeTape(message: TapeMessage): void {
  const { before, items, state } = message;
  // The console has started again, or began another tape while the page was hidden.
  if (message.begunAt !== begunAt) {
    rows = [];
    nextNumber = 0;
    begunAt = message.begunAt;
  }
  const isFirst = rows.length === 0;
  const lacks = isFirst ? 0 : Math.max(0, before - nextNumber);
  const news = items
    .map((item, i) => ({ ...item, number: before + i }))
    .filter(({ number }) => isFirst || number >= nextNumber);
  const hole: readonly TapeRow[] =
    lacks === 0 ? [] : [{ kind: 'skipped', count: lacks, number: before - 0.5 }];
  nextNumber = Math.max(nextNumber, before + items.length);
  rows = [...rows, ...hole, ...news].slice(-TAPE_ROWS);
  draw('tape', () => {
    tape.value = rows;
    tapeState.value = state;
  });
}
