import type { ConsoleWatch, NodeAnswer } from '@tradewind/bus';
import type { TapeMessage, TapeSources } from '../tape/tape.ts';
import { Tapes } from '../tape/tapes.ts';
import { isListAnswered, mergeChannel, mergeList, mergeSearch } from './merge-answers.ts';
import { Questions, readQuestion } from './questions.ts';

/** A page, as far as it is answered. */
export interface AskingPage {
  send(text: string | Buffer): void;
}

/** How edges are asked. Both reject while Redis does not answer. */
export interface EdgeQuestions {
  writeConsoleWatch(watch: ConsoleWatch): Promise<void>;
  readNodeAnswers(nodes: readonly string[]): Promise<readonly NodeAnswer[]>;
}

/**
 * What pages look at beside the figures of all nodes: a list of channels, one channel with its tape, clients. All edges are asked
 * once for all pages that ask the same, and the answer is encoded once.
 */
export class PageQuestions {
  readonly #questions = new Questions<AskingPage>();
  readonly #edges: EdgeQuestions;
  readonly #tapes: Tapes;

  constructor(edges: EdgeQuestions, tape: TapeSources) {
    this.#edges = edges;
    this.#tapes = new Tapes(tape, (message) => {
      this.#sendTo(this.#questions.ofChannel(message.channel), message);
    });
  }

  /** Whether the console knows where edges serve clients. */
  get hasTape(): boolean {
    return this.#tapes.canRead;
  }

  /** Takes what a page looks at from now on. What is no question is ignored: a page of another release may ask more. */
  asked(page: AskingPage, text: string): void {
    const question = readQuestion(text);
    if (question === undefined) return;
    const before = this.#questions.of(page)?.channel;
    this.#questions.set(page, question);
    this.#followTapes();
    const { channel } = question;
    if (channel !== undefined && channel !== before) {
      const past = this.#tapes.past(channel);
      if (past !== undefined) this.#sendTo([page], past);
    }
    const { watch } = this.#questions;
    // The first answers come a second earlier by it. If it fails, the next tick asks again.
    if (watch !== undefined) this.#edges.writeConsoleWatch(watch).catch(() => undefined);
  }

  left(page: AskingPage): void {
    this.#questions.delete(page);
    this.#followTapes();
  }

  /** Asks the edges of these names, and sends the answers. Must be called once a second. Rejects while Redis does not answer. */
  async tick(edges: readonly string[]): Promise<void> {
    const { watch } = this.#questions;
    if (watch === undefined) return;
    await this.#edges.writeConsoleWatch(watch);
    const answers = await this.#edges.readNodeAnswers(edges);
    for (const list of watch.lists) {
      // An empty list would say that no edge holds a channel.
      if (!isListAnswered(list, answers, edges.length)) continue;
      const channels = mergeList(list, answers, edges.length);
      this.#sendTo(this.#questions.ofList(list), { kind: 'channels', ...list, channels });
    }
    for (const channel of watch.channels) {
      const nodes = mergeChannel(channel, answers);
      this.#sendTo(this.#questions.ofChannel(channel), { kind: 'channel', channel, nodes });
    }
    for (const text of watch.clients) {
      const clients = mergeSearch(text, answers);
      this.#sendTo(this.#questions.ofClient(text), { kind: 'clients', text, clients });
    }
  }

  async stop(): Promise<void> {
    await this.#tapes.stop();
  }

  #followTapes(): void {
    this.#tapes.follow(this.#questions.watch?.channels ?? []);
  }

  #sendTo(pages: readonly AskingPage[], message: TapeMessage | object): void {
    if (pages.length === 0) return;
    const bytes = Buffer.from(JSON.stringify(message));
    for (const page of pages) page.send(bytes);
  }
}
