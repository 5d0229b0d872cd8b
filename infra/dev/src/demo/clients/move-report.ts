/** How long after a move its trades of the meantime are counted, in ms: they come within the first second. */
const REPORT_AFTER_MS = 1_500;

/** A client that is on another node now. */
export interface Move {
  readonly to: string;
  /** How long it had no connection, in ms; undefined if the old one stayed until the new one had everything. */
  readonly awayMs: number | undefined;
}

/** Sums of all clients. */
export interface MoveTotals {
  /** Trades that came from history after a move. */
  readonly recovered: number;
  readonly missing: number;
}

interface Group {
  readonly before: MoveTotals;
  clients: number;
  longestMs: number | undefined;
  timer: NodeJS.Timeout;
}

/** Says of all clients that move to one node within a moment, in one line, what that cost. */
export class MoveReport implements Disposable {
  readonly #totals: () => MoveTotals;
  readonly #say: (tone: 'good' | 'bad', text: string) => void;
  readonly #groups = new Map<string, Group>();

  constructor(totals: () => MoveTotals, say: (tone: 'good' | 'bad', text: string) => void) {
    this.#totals = totals;
    this.#say = say;
  }

  /** Must be called before the trades of the meantime come. */
  take({ to, awayMs }: Move): void {
    const timer = setTimeout(() => this.#report(to), REPORT_AFTER_MS);
    const group = this.#groups.get(to);
    if (group === undefined) {
      const before = this.#totals();
      this.#groups.set(to, { before, clients: 1, longestMs: awayMs, timer });
      return;
    }
    clearTimeout(group.timer);
    group.timer = timer;
    group.clients += 1;
    if (awayMs !== undefined) group.longestMs = Math.max(awayMs, group.longestMs ?? 0);
  }

  [Symbol.dispose](): void {
    for (const { timer } of this.#groups.values()) clearTimeout(timer);
    this.#groups.clear();
  }

  #report(to: string): void {
    const { before, clients, longestMs } = this.#groups.get(to)!;
    this.#groups.delete(to);
    const { recovered, missing } = this.#totals();
    const lost = missing - before.missing;
    const who = `${clients} ${clients === 1 ? 'client' : 'clients'} to ${to}`;
    const took = longestMs === undefined ? '' : ` in ${(longestMs / 1_000).toFixed(1)} s`;
    const came = recovered - before.recovered;
    // Those that kept the old connection until the new one had everything had nothing to recover.
    const cost = came === 0 && lost === 0 ? 'nothing missed' : `recovered ${came}, lost ${lost}`;
    this.#say(lost === 0 ? 'good' : 'bad', `${who}${took}: ${cost}`);
  }
}
