import { readFileSync } from 'node:fs';

/** A ping follows as many bytes as this, at the end of the write that makes them full: two of the largest, nearly. */
export const MARK_BYTES = 120 * 1024;

/**
 * So many pings may be unanswered. At most 368 KiB of frames are then on their way to one client, 256 KiB as a rule, and over
 * a link with a round trip of 100 ms it still gets 2.4 MB/s.
 */
export const MOST_UNANSWERED = 2;

/** A client that has answered so many pings in a row has read a megabyte: from then on time bounds what it is sent. */
export const PROVEN_ANSWERS = 8;

/** How long a client that reads may leave pings unanswered, in ms: 1,000 clients at 5 MB/s each take up to a second. */
export const ANSWER_DEADLINE_MS = 2_000;

/** Between two pings to such a client, in ms at least: pings of 1,000 of them would otherwise take a part of a core. */
const PING_APART_MS = 250;

/** Memory of the kernel for what one client has not acknowledged yet, in bytes: more it is not to have. */
const MOST_KERNEL_BYTES = 512 * 1024;

/** The smallest, first and largest size of a TCP socket's send buffer, in bytes. */
const TCP_WMEM = '/proc/sys/net/ipv4/tcp_wmem';

const MARK_LENGTH = 2;
const MARKS = 2 ** 16;

/**
 * Whether clients need a {@link SendWindow}: the kernel may hold more for one of them than it should. Where that cannot be
 * read, it may.
 *
 * @param path where the sizes are kept.
 */
export function needsSendWindow(path: string = TCP_WMEM): boolean {
  try {
    const largest = Number(readFileSync(path, 'utf8').trim().split(/\s+/).at(-1));
    return !(largest > 0 && largest <= MOST_KERNEL_BYTES);
  } catch {
    return true;
  }
}

/** As much of a `ws` connection as it needs. */
export interface Pinger {
  ping(payload?: Uint8Array): void;
}

/**
 * Bounds what the kernel holds for one client that does not read. The kernel's own bound is its send buffer, which
 * grows to 4 MiB by default, and Node cannot set it. So a WebSocket ping follows every 120 KiB, and while two of them are
 * unanswered nothing more is written. Clients answer pings by themselves (RFC 6455, section 5.5.2), in the order in which
 * they read: an answer says that all before it has left the kernel.
 *
 * A client that has shown that it reads may have more on its way, and gets fewer pings, until it is late with an answer.
 */
export class SendWindow {
  readonly #webSocket: Pinger;
  /** Whether nothing more may be written until the client has answered. */
  isShut = false;
  /** Bytes behind the latest ping. */
  #bytes = 0;
  /** The numbers of the latest ping and of the latest that was answered. */
  #sent = 0;
  #answered = 0;
  /** Answers since the window was last shut. */
  #answersInRow = 0;
  /** When the latest ping was sent, and until when the oldest without an answer has time, in ms on the monotonic clock. */
  #pingedAt = 0;
  #answerDueAt = 0;

  /** @param webSocket sends pings behind all that was written; its owner tells of the pongs. */
  constructor(webSocket: Pinger) {
    this.#webSocket = webSocket;
  }

  /** So many bytes were written. Returns whether nothing more may be. */
  wrote(bytes: number): boolean {
    this.#bytes += bytes;
    if (this.#bytes < MARK_BYTES) return false;
    const now = performance.now();
    const isProven = this.#answersInRow >= PROVEN_ANSWERS;
    const isLate = this.#sent > this.#answered && now > this.#answerDueAt;
    if (!isProven || isLate || now - this.#pingedAt >= PING_APART_MS) this.#ping(now);
    const isFull = this.#sent - this.#answered >= MOST_UNANSWERED;
    if (!isFull || (isProven && !isLate)) return false;
    this.isShut = true;
    this.#answersInRow = 0;
    return true;
  }

  /**
   * A pong came with this payload. Returns whether it answers one of the pings that wait, and with it those before: a client
   * may answer the latest only.
   */
  answer(payload: Buffer): boolean {
    if (payload.length !== MARK_LENGTH) return false;
    const ahead = (payload.readUInt16BE() - (this.#answered % MARKS) + MARKS) % MARKS;
    const number = this.#answered + ahead;
    if (ahead === 0 || number > this.#sent) return false;
    this.#answered = number;
    this.#answersInRow += 1;
    this.#answerDueAt = performance.now() + ANSWER_DEADLINE_MS;
    if (this.#sent - this.#answered < MOST_UNANSWERED) this.isShut = false;
    return true;
  }

  /**
   * Sends a ping for another reason. A client may answer the latest ping only, so it says as much as those before it:
   * what waits for their answers goes on with its.
   */
  pingAgain(): void {
    this.#send();
  }

  #ping(now: number): void {
    if (this.#sent === this.#answered) this.#answerDueAt = now + ANSWER_DEADLINE_MS;
    // To a client that has yet to show that it reads, a write that is larger by itself uses up as much of the window.
    const isProven = this.#answersInRow >= PROVEN_ANSWERS;
    this.#sent += isProven ? 1 : Math.floor(this.#bytes / MARK_BYTES);
    this.#bytes = 0;
    this.#pingedAt = now;
    this.#send();
  }

  /** A ping with the number of the latest of this window. */
  #send(): void {
    const mark = Buffer.allocUnsafe(MARK_LENGTH);
    mark.writeUInt16BE(this.#sent % MARKS);
    this.#webSocket.ping(mark);
  }
}
