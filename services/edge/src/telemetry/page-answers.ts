import {
  type ChannelOrder,
  type ChannelPosition,
  type ChannelReading,
  type ConsoleWatch,
  MAX_LISTED_CHANNELS,
  type NodeAnswer,
} from '@tradewind/bus';
import { inTurns } from '../clients/time/turn-budget.ts';
import type { HeldChannel } from '../hub/hub.ts';
import type { ChannelRates } from './channel-rates.ts';
import { Largest } from './largest.ts';
import {
  addSearches,
  type ClientEnquiry,
  type ClientEnquiryAnswer,
  type CountedChannel,
} from './watched-clients.ts';

/** The sources of answers. */
export interface PageAnswerSources {
  readonly node: string;
  readonly rates: ChannelRates;
  /** All channels that the node holds. */
  readonly channels: () => Iterable<HeldChannel>;
  readonly channel: (name: string) => HeldChannel | undefined;
  /** Asks all workers. Those that do not answer in time are left out. */
  readonly askClients: (enquiry: ClientEnquiry) => Promise<readonly ClientEnquiryAnswer[]>;
}

/** The orders whose measure the main thread knows. The workers know the numbers of subscribers. */
type HubOrder = Exclude<ChannelOrder, 'subscribers'>;

/** Answers what pages of a console ask of this node. While no page asks, it does nothing. */
export class PageAnswers {
  readonly #sources: PageAnswerSources;

  constructor(sources: PageAnswerSources) {
    this.#sources = sources;
  }

  /**
   * Answers what pages ask for. The first answer has no lists, because no rate is known before a second has passed.
   *
   * @param watch undefined while no page asks.
   */
  async answer(watch: ConsoleWatch | undefined): Promise<NodeAnswer | undefined> {
    const { node, rates, askClients } = this.#sources;
    if (watch === undefined) {
      rates.stop();
      return undefined;
    }
    rates.beat(performance.now());
    // A page may take only one answer, which would show a list with rates of 0.
    const lists = rates.hasCounted ? watch.lists : [];
    const byHub = await Promise.all(
      lists.map(({ order, text }) =>
        order === 'subscribers' ? undefined : this.#list(order, text),
      ),
    );
    const texts = lists.filter(({ order }) => order === 'subscribers');
    const named = [...new Set([...watch.channels, ...byHub.flatMap((list) => list ?? [])])];
    const answers = await askClients({
      channels: named,
      mostSubscribed: texts.map(({ text }) => text),
      most: MAX_LISTED_CHANNELS,
      searches: watch.clients,
    });
    const counts = new Map(named.map((name, i) => [name, sumOf(answers, name, i)]));
    const countsOf = (name: string): CountedChannel => counts.get(name) ?? [name, 0, 0];
    const bySubscribers = texts.map((_, i) => mostSubscribed(answers, i));
    return {
      node,
      lists: lists.map((list, at) => {
        const names = byHub[at];
        const channels =
          names === undefined
            ? (bySubscribers[texts.indexOf(list)] ?? []).map((counted) => this.#reading(counted))
            : names.map((name) => this.#reading(countsOf(name)));
        return { ...list, channels };
      }),
      channels: watch.channels.flatMap((name) => this.#position(countsOf(name))),
      searches: watch.clients.map((text, i) =>
        addSearches(
          text,
          answers.map(({ searches }) => searches[i]),
        ),
      ),
    };
  }

  /** The names of the first channels of an order. */
  async #list(order: HubOrder, text: string): Promise<readonly string[]> {
    const { rates, channels } = this.#sources;
    const now = performance.now();
    const measure = ({ name, lastMessageAt }: HeldChannel): number =>
      order === 'rate' ? rates.of(name) : now - lastMessageAt;
    const largest = new Largest<HeldChannel>(MAX_LISTED_CHANNELS, measure);
    await inTurns(channels(), (channel) => {
      if (channel.name.includes(text)) largest.add(channel);
    });
    return largest.all.map(({ name }) => name);
  }

  #reading([channel, subscribers, saved]: CountedChannel): ChannelReading {
    const { rates, channel: held } = this.#sources;
    const rate = Math.round(rates.of(channel) * 100) / 100;
    const lastMessageAt = held(channel)?.lastMessageAt ?? 0;
    const ageMs = lastMessageAt === 0 ? -1 : Math.round(performance.now() - lastMessageAt);
    return { channel, rate, subscribers, ageMs, saved };
  }

  #position(counted: CountedChannel): readonly ChannelPosition[] {
    const held = this.#sources.channel(counted[0]);
    if (held === undefined) return [];
    const isStarting = held.state === 'subscribing' || held.state === 'positioning';
    return [
      {
        ...this.#reading(counted),
        ...held.position,
        state: held.state === 'lost' ? 'lost' : isStarting ? 'starting' : 'live',
      },
    ];
  }
}

function sumOf(
  answers: readonly ClientEnquiryAnswer[],
  channel: string,
  at: number,
): CountedChannel {
  const sum = (counts: (answer: ClientEnquiryAnswer) => readonly number[]): number =>
    answers.reduce((total, answer) => total + (counts(answer)[at] ?? 0), 0);
  return [channel, sum(({ subscribers }) => subscribers), sum(({ saved }) => saved)];
}

/** The channels that the workers found together. If only some workers listed a channel, only their clients count. */
function mostSubscribed(
  answers: readonly ClientEnquiryAnswer[],
  at: number,
): readonly CountedChannel[] {
  const sums = new Map<string, CountedChannel>();
  for (const answer of answers) {
    for (const [channel, count, saved] of answer.mostSubscribed[at] ?? []) {
      const [, before, savedBefore] = sums.get(channel) ?? [channel, 0, 0];
      sums.set(channel, [channel, before + count, savedBefore + saved]);
    }
  }
  return [...sums.values()].sort(([, a], [, b]) => b - a).slice(0, MAX_LISTED_CHANNELS);
}
