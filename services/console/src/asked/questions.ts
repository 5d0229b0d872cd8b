import {
  CHANNEL_ORDERS,
  type ConsoleWatch,
  isSearchText,
  MAX_CLIENT_SEARCHES,
  MAX_WATCHED_CHANNELS,
  MAX_WATCHED_LISTS,
  type WatchedList,
} from '@tradewind/bus';

/** What one page looks at. What it leaves out it does not look at. */
export interface Question {
  readonly list?: WatchedList;
  readonly channel?: string;
  /** See `ConsoleWatch.clients`. */
  readonly client?: string;
}

/** Reads what a page sends. Undefined if it is no question. */
export function readQuestion(text: string): Question | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { list, channel, client } = value as Record<string, unknown>;
  const { order, text: wanted } = (list ?? {}) as Record<string, unknown>;
  const known = CHANNEL_ORDERS.find((each) => each === order);
  const isList = list === undefined || (known !== undefined && isSearchText(wanted));
  const isQuestion =
    isList &&
    (channel === undefined || (isSearchText(channel) && channel !== '')) &&
    (client === undefined || isSearchText(client));
  if (!isQuestion) return undefined;
  return {
    ...(known === undefined ? {} : { list: { order: known, text: String(wanted) } }),
    ...(channel === undefined ? {} : { channel }),
    ...(client === undefined ? {} : { client }),
  };
}

/** What all pages that are open ask. A question that several ask is one, and there are few at a time: those that came first. */
export class Questions<Page> {
  readonly #questions = new Map<Page, Question>();

  set(page: Page, question: Question): void {
    this.#questions.set(page, question);
  }

  /** What a page looks at; undefined if it has not said so. */
  of(page: Page): Question | undefined {
    return this.#questions.get(page);
  }

  delete(page: Page): void {
    this.#questions.delete(page);
  }

  /** What edges are asked; undefined while no page asks anything. */
  get watch(): ConsoleWatch | undefined {
    const questions = [...this.#questions.values()];
    const lists = new Map(
      questions.flatMap(({ list }) => (list === undefined ? [] : [[keyOf(list), list] as const])),
    );
    const channels = new Set(questions.flatMap(({ channel }) => channel ?? []));
    const clients = new Set(questions.flatMap(({ client }) => client ?? []));
    if (lists.size + channels.size + clients.size === 0) return undefined;
    return {
      lists: [...lists.values()].slice(0, MAX_WATCHED_LISTS),
      channels: [...channels].slice(0, MAX_WATCHED_CHANNELS),
      clients: [...clients].slice(0, MAX_CLIENT_SEARCHES),
    };
  }

  /** The pages that look at a list. */
  ofList(list: WatchedList): readonly Page[] {
    const key = keyOf(list);
    return this.#pages((asked) => asked.list !== undefined && keyOf(asked.list) === key);
  }

  ofChannel(channel: string): readonly Page[] {
    return this.#pages((asked) => asked.channel === channel);
  }

  ofClient(text: string): readonly Page[] {
    return this.#pages(({ client }) => client === text);
  }

  #pages(asks: (question: Question) => boolean): readonly Page[] {
    return [...this.#questions].filter(([, question]) => asks(question)).map(([page]) => page);
  }
}

function keyOf({ order, text }: WatchedList): string {
  return `${order} ${text}`;
}
