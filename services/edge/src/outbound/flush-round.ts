/** Something that can be flushed: a connection. */
export interface Flushable {
  /**
   * Prefetches what its flush will need first, and returns a meaningless number. With thousands of clients nothing of it is in the
   * processor's caches any more. If several clients are prefetched together, memory answers in the time of one.
   */
  touch(): number;
  flush(): void;
}

/**
 * How a round shares the thread with incoming data. A flush of 5,000 clients takes 40 ms and more. If nothing were read
 * meanwhile, publications would wait for nearly two rounds, and so would pings. So a round is cut into slices, and other events
 * get a turn of the event loop between two slices.
 */
interface Mode {
  /** The shortest slice, in ms. */
  readonly sliceMs: number;
  /** How many times as long a slice is as the time since the last one, if that is longer than {@link sliceMs}. */
  readonly share: number;
  /** How long full turns may delay the next slice, in ms since the last one; see {@link FULL_TURN_BYTES}. */
  readonly readingMs: number;
}

const NORMAL: Mode = { sliceMs: 5, share: 1, readingMs: 5 };

/**
 * Finishing the round comes first. Incoming data gets a fifth of the time if it needs that, and more if one turn of it takes more
 * than a quarter of the longest slice.
 */
const BEHIND: Mode = { sliceMs: 50, share: 4, readingMs: 12.5 };

/**
 * A round is behind once this many bytes of publications were queued since it began. A publication waits until each of its
 * subscribers was flushed, and is read once for each of them. The more publications wait, the fewer of those reads find them in
 * the processor's caches: the further an edge was behind, the less it carried. docs/performance.md (*Wide*) has the figures.
 * Data that is not read meanwhile waits in the kernel, then in Redis up to its `client-output-buffer-limit`. For a worker thread it
 * waits in its port, up to the hub's limit.
 */
const BEHIND_BYTES = 2 * 1024 * 1024;

/** The longest slice, in ms: pings and the admin port wait for its end. */
const LONGEST_SLICE_MS = 250;

/**
 * A turn that read this many bytes or more probably left more in the socket buffer: a turn in which nothing else happens takes
 * 0.1 ms, and fewer bytes arrive in that time. So the next turn reads too, until {@link Mode.readingMs} have passed since the last
 * slice. What one turn can read depends on the kernel: its buffer for the link to Redis begins at 16 or 128 KiB
 * (`net.ipv4.tcp_rmem`), and is refilled only between turns. With a slice after each turn, reading would get a constant part of the
 * time however much there is to read: an edge that was behind stayed behind, and its writes did not become larger.
 */
const FULL_TURN_BYTES = 4 * 1024;

/** Flushes between two reads of the clock. What they need is prefetched together, and fits into a core's first-level cache. */
const FLUSHES_PER_LOOK = 16;

/** Flushed entries at the head of the list are removed once there are this many. */
const COMPACT_AFTER = 4_096;

/** The most publications whose way to the sockets is timed at once. More would measure the same delay. */
const MOST_MARKS = 64;

interface Mark {
  /** The index after the last client that the publication waits for, counted from the first entry that the list ever had. */
  readonly index: number;
  readonly publishedAt: number;
}

/**
 * The clients that must be flushed, in the order in which they began to wait. A round flushes all that wait when it begins. Those
 * that begin to wait meanwhile are flushed in the next one. So each client is written to once a round, and the longer a round
 * takes, the more leaves in one write.
 */
export class FlushRound<S extends Flushable> {
  readonly #waiting: S[];
  readonly #flushed: (publishedAt: number) => void;
  readonly #marks: Mark[] = [];
  /** The index of the next client in `#waiting`, and the index after the round's last one. */
  #next = 0;
  #roundEnd = 0;
  /** How many flushed entries were removed in front of `#waiting`. */
  #removed = 0;
  #sliceEndedAt = 0;
  /** Bytes of publications that came in since the last turn, and bytes that were queued since the round began. */
  #turnBytes = 0;
  #roundBytes = 0;
  /** Never read: it only keeps V8 from removing the prefetching. */
  #touched = 0;

  /**
   * @param waiting the list to which others append what must be flushed. They must not change it otherwise.
   * @param flushed called for each mark, once all that waited when it was made were flushed.
   */
  constructor(waiting: S[], flushed: (publishedAt: number) => void) {
    this.#waiting = waiting;
    this.#flushed = flushed;
  }

  /** Whether nothing must be flushed. */
  get isEmpty(): boolean {
    return this.#next === this.#waiting.length;
  }

  /**
   * Counts a publication that was queued for all its subscribers. Remembers when it was published, but only while the list is
   * not empty: the lag of a client that is behind says nothing about the node.
   *
   * @param publishedAt in ms since the Unix epoch.
   * @param bytes of the publication, counted once whatever the number of its subscribers.
   * @param isQueued whether it waits for at least one subscriber.
   */
  mark(publishedAt: number, bytes: number, isQueued: boolean): void {
    this.#turnBytes += bytes;
    if (isQueued) this.#roundBytes += bytes;
    if (this.isEmpty || this.#marks.length >= MOST_MARKS) return;
    this.#marks.push({ index: this.#removed + this.#waiting.length, publishedAt });
  }

  /** Begins a round or continues it. Returns whether it must be called again in the next turn. */
  flushSome(): boolean {
    const startedAt = performance.now();
    const awayMs = startedAt - this.#sliceEndedAt;
    const isFullTurn = this.#turnBytes >= FULL_TURN_BYTES;
    this.#turnBytes = 0;
    let sliceMs = NORMAL.sliceMs;
    if (this.#next === this.#roundEnd) {
      this.#roundEnd = this.#waiting.length;
      this.#roundBytes = 0;
    } else {
      const mode = this.#roundBytes >= BEHIND_BYTES ? BEHIND : NORMAL;
      if (isFullTurn && awayMs < mode.readingMs) return true;
      sliceMs = Math.min(LONGEST_SLICE_MS, Math.max(mode.sliceMs, mode.share * awayMs));
    }
    this.#flushUntil(startedAt + sliceMs);
    this.#sliceEndedAt = performance.now();
    const isUnderWay = this.#next < this.#roundEnd;
    this.#removeFlushed();
    this.#tellMarks();
    return isUnderWay;
  }

  #flushUntil(endAt: number): void {
    while (this.#next < this.#roundEnd) {
      const lookAt = Math.min(this.#roundEnd, this.#next + FLUSHES_PER_LOOK);
      for (let i = this.#next; i < lookAt; i += 1) this.#touched += (this.#waiting[i] as S).touch();
      while (this.#next < lookAt) {
        const one = this.#waiting[this.#next] as S;
        this.#next += 1;
        one.flush();
      }
      if (performance.now() >= endAt) return;
    }
  }

  #removeFlushed(): void {
    if (this.isEmpty) this.#waiting.length = 0;
    else if (this.#next >= COMPACT_AFTER) this.#waiting.splice(0, this.#next);
    else return;
    this.#removed += this.#next;
    this.#roundEnd -= this.#next;
    this.#next = 0;
  }

  #tellMarks(): void {
    const passed = this.#removed + this.#next;
    let told = 0;
    for (const { index, publishedAt } of this.#marks) {
      if (index > passed) break;
      this.#flushed(publishedAt);
      told += 1;
    }
    this.#marks.splice(0, told);
  }
}
