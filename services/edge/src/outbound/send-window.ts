import { readFileSync } from 'node:fs';

/** A ping follows the write after which this many bytes were written since the last ping: nearly two full writes. */
export const MARK_BYTES = 120 * 1024;

/**
 * How many pings may be unanswered before writing stops. At most 368 KiB of frames are then in flight to one client, usually
 * 256 KiB. Over a link with a round trip of 100 ms the client still gets 2.4 MB/s.
 */
export const MOST_UNANSWERED = 2;

/** After this many answers in a row, a client has read a megabyte. From then on the age of the oldest ping bounds what it is sent. */
const PROVEN_ANSWERS = 8;

/** How long a proven client may leave a ping unanswered, in ms. 1,000 clients at 5 MB/s each take up to a second. */
export const ANSWER_DEADLINE_MS = 2_000;

/** The least time between two pings to a proven client, in ms. Otherwise pings to 1,000 of them would take a part of a core. */
const PING_APART_MS = 250;

/** The most memory of the kernel that one client may use for what it has not acknowledged, in bytes. */
const MOST_KERNEL_BYTES = 512 * 1024;

/** The smallest, first and largest size of a TCP socket's send buffer, in bytes. */
const TCP_WMEM = '/proc/sys/net/ipv4/tcp_wmem';

const MARK_LENGTH = 2;
const MARKS = 2 ** 16;

/**
 * Whether clients need a {@link SendWindow}, because the kernel may hold more than {@link MOST_KERNEL_BYTES} for one of them. Returns
 * true if the kernel's setting cannot be read.
 *
 * @param path of the kernel's setting.
 */
export function needsSendWindow(path: string = TCP_WMEM): boolean {
  try {
    const largest = Number(readFileSync(path, 'utf8').trim().split(/\s+/).at(-1));
    return !(largest > 0 && largest <= MOST_KERNEL_BYTES);
  } catch {
    return true;
  }
}

/** The part of a `ws` connection that a window needs. */
export interface Pinger {
  ping(payload?: Uint8Array): void;
}

/**
 * Bounds what the kernel holds for one client that does not read. The kernel's own bound is the socket's send buffer, which
 * grows to 4 MiB by default, and Node cannot set it. So a WebSocket ping follows every 120 KiB, and nothing more is written
 * while two pings are unanswered. WebSocket implementations answer pings by themselves (RFC 6455, section 5.5.2), in the order
 * in which they read. So an answer shows that everything before its ping has left the kernel.
 *
 * A client is proven after {@link PROVEN_ANSWERS} answers. It may have more in flight, and gets fewer pings, until it is late
 * with an answer.
 */
export class SendWindow {
  readonly #webSocket: Pinger;
  /** Whether nothing more may be written until the client has answered. */
  isShut = false;
  /** How many bytes were written after the latest ping. */
  #bytes = 0;
  /** The numbers of the latest ping, and of the latest that was answered. */
  #sent = 0;
  #answered = 0;
  /** How many answers came since the window last shut. */
  #answersInRow = 0;
  /** When the latest ping was sent, and when the oldest unanswered one becomes late, in ms on the monotonic clock. */
  #pingedAt = 0;
  #answerDueAt = 0;

  /** @param webSocket sends pings after all that was written. Its owner must pass pongs to {@link answer}. */
  constructor(webSocket: Pinger) {
    this.#webSocket = webSocket;
  }

  /** Counts bytes that were written. Returns whether nothing more may be written. */
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
   * Takes the payload of a pong. Returns whether it answers one of the unanswered pings. If it does, it answers the pings before
   * that one too, because a client may answer only the latest.
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
   * Sends a ping for another purpose. A client may answer only the latest ping, so this one has the number of the ping before it,
   * and its answer counts for that one too.
   */
  pingAgain(): void {
    this.#send();
  }

  #ping(now: number): void {
    if (this.#sent === this.#answered) this.#answerDueAt = now + ANSWER_DEADLINE_MS;
    // For a client that is not proven, a write of several times MARK_BYTES counts as that many pings.
    const isProven = this.#answersInRow >= PROVEN_ANSWERS;
    this.#sent += isProven ? 1 : Math.floor(this.#bytes / MARK_BYTES);
    this.#bytes = 0;
    this.#pingedAt = now;
    this.#send();
  }

  /** Sends a ping with the number of the window's latest one. */
  #send(): void {
    const mark = Buffer.allocUnsafe(MARK_LENGTH);
    mark.writeUInt16BE(this.#sent % MARKS);
    this.#webSocket.ping(mark);
  }
}
