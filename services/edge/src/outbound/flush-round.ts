/** What can be flushed: a connection. */
export interface Flushable {
  /**
   * Reads a little of everything that a flush of it will need, and returns a sum that means nothing.
   * With thousands of clients none of it is in the processor's caches any more; asked for several of
   * them at once, memory answers in the time of one.
   */
  touch(): number;
  flush(): void;
}

/**
 * After this long, in ms, a flush makes way for what comes in, and goes on in the next turn of the event
 * loop. A flush of 5,000 clients takes 40 ms and more: were nothing read meanwhile, what is published
 * then would wait for nearly two rounds, and so would pings.
 */
const SLICE_MS = 5;

/**
 * A turn that brought so much has most likely left more to be read: a turn in which nothing else happens is over in 0.1 ms,
 * and so much does not come anew by then. So the next turn is given to what comes in too, until {@link SLICE_MS} have gone
 * by since the last slice. What one turn can bring depends on the kernel: its buffer for the link to Redis begins at 16 or 128 KiB
 * (`net.ipv4.tcp_rmem`), and is filled again between turns only. With a slice after each of them, what came in had a
 * constant part of the time, however little that was of what there was to read: an edge that was behind stayed behind,
 * and its writes did not become larger.
 */
const FULL_TURN_BYTES = 4 * 1024;

/**
 * When so much was queued since a round began, finishing it comes first. A publication waits until each of its
 * subscribers has had its turn, and is read once for each of them. The more of them wait, the fewer of those readings find
 * it in the processor's caches: so the further an edge was behind, the less it carried. docs/performance.md (*Wide*) has
 * the figures. What is not taken in meanwhile waits in the kernel, then in Redis up to its `client-output-buffer-limit`; of
 * a worker thread, in its port up to the hub's limit.
 */
const ROUND_INTAKE_BYTES = 2 * 1024 * 1024;

/**
 * From then on slices are so long at least, in ms, and so many times as long as what comes between. So what comes in has
 * a fifth of the time, if it needs that, and more where one turn of it takes more than a quarter of the longest slice.
 */
const PRESSED_SLICE_MS = 50;
const PRESSED_SLICE_SHARE = 4;

/** No slice is meant to be longer than this, in ms: pings and the admin port wait for its end. */
const LONGEST_SLICE_MS = 250;

/** Flushes between two looks at the clock; what they need is touched together, and fits into a core's first cache. */
const FLUSHES_PER_LOOK = 16;

/** Places at the head of the queue that were left are given up once there are so many. */
const COMPACT_AFTER = 4_096;

/** Publications whose way to the sockets is timed at once; more would measure the same delay. */
const MOST_MARKS = 64;

interface Mark {
  /** The place in the queue behind everyone that the publication waits for. */
  readonly index: number;
  readonly publishedAt: number;
}

/**
 * Who is to be flushed, in the order in which they came to wait. Those who wait when a round begins
 * are all flushed in it; whoever comes to wait meanwhile is flushed in the next. So each client is
 * written to once a round, and the longer a round takes, the more leaves in one write.
 */
export class FlushRound<S extends Flushable> {
  readonly #waiting: S[];
  readonly #flushed: (publishedAt: number) => void;
  readonly #marks: Mark[] = [];
  /** The next place in `#waiting`, and the one behind the round's last. */
  #next = 0;
  #roundEnd = 0;
  /** Places that were given up before `#waiting` begins. */
  #given = 0;
  #sliceEndedAt = 0;
  /** Bytes of publications that came in since the last turn, and that were queued since the round began. */
  #turnBytes = 0;
  #roundBytes = 0;
  /** Nobody reads it; that it is written to keeps the touching from being optimized away. */
  #touched = 0;

  /**
   * @param waiting where others put who is to be flushed, at the end; they do nothing else to it.
   * @param flushed called for each mark, once everyone who waited when it was made has been flushed.
   */
  constructor(waiting: S[], flushed: (publishedAt: number) => void) {
    this.#waiting = waiting;
    this.#flushed = flushed;
  }

  get isEmpty(): boolean {
    return this.#next === this.#waiting.length;
  }

  /**
   * Remembers that a publication has been queued for all who are to receive it; when it was published, only
   * while someone waits: a client that is behind says nothing about the node.
   *
   * @param publishedAt ms since the Unix epoch.
   * @param bytes of it, once however many are to receive it.
   * @param isQueued whether anyone is.
   */
  mark(publishedAt: number, bytes: number, isQueued: boolean): void {
    this.#turnBytes += bytes;
    if (isQueued) this.#roundBytes += bytes;
    if (this.isEmpty || this.#marks.length >= MOST_MARKS) return;
    this.#marks.push({ index: this.#given + this.#waiting.length, publishedAt });
  }

  /** Begins a round or goes on with it. Returns whether it is to go on in the next turn. */
  flushSome(): boolean {
    const startedAt = performance.now();
    const awayMs = startedAt - this.#sliceEndedAt;
    const isFullTurn = this.#turnBytes >= FULL_TURN_BYTES;
    this.#turnBytes = 0;
    const isNew = this.#next === this.#roundEnd;
    const isPressed = this.#roundBytes >= ROUND_INTAKE_BYTES;
    const readingMs = isPressed ? PRESSED_SLICE_MS / PRESSED_SLICE_SHARE : SLICE_MS;
    if (!isNew && isFullTurn && awayMs < readingMs) return true;
    if (isNew) {
      this.#roundEnd = this.#waiting.length;
      this.#roundBytes = 0;
    }
    const until = startedAt + (isNew ? SLICE_MS : sliceMs(awayMs, isPressed));
    while (this.#next < this.#roundEnd) {
      const lookAt = Math.min(this.#roundEnd, this.#next + FLUSHES_PER_LOOK);
      for (let i = this.#next; i < lookAt; i += 1) this.#touched += (this.#waiting[i] as S).touch();
      while (this.#next < lookAt) {
        const one = this.#waiting[this.#next] as S;
        this.#next += 1;
        one.flush();
      }
      if (performance.now() >= until) break;
    }
    this.#sliceEndedAt = performance.now();
    const goesOn = this.#next < this.#roundEnd;
    this.#giveUpPlaces();
    this.#tellMarks();
    return goesOn;
  }

  #giveUpPlaces(): void {
    if (this.isEmpty) this.#waiting.length = 0;
    else if (this.#next >= COMPACT_AFTER) this.#waiting.splice(0, this.#next);
    else return;
    this.#given += this.#next;
    this.#roundEnd -= this.#next;
    this.#next = 0;
  }

  #tellMarks(): void {
    const passed = this.#given + this.#next;
    let told = 0;
    for (const { index, publishedAt } of this.#marks) {
      if (index > passed) break;
      this.#flushed(publishedAt);
      told += 1;
    }
    this.#marks.splice(0, told);
  }
}

/** How long a slice in the middle of a round may take, in ms, after so long of other things. */
function sliceMs(awayMs: number, isPressed: boolean): number {
  const least = isPressed ? PRESSED_SLICE_MS : SLICE_MS;
  const share = isPressed ? PRESSED_SLICE_SHARE * awayMs : awayMs;
  return Math.min(LONGEST_SLICE_MS, Math.max(least, share));
}
