import type { NodeEvent } from '@tradewind/bus';
import type { NodeRecord } from './node-record.ts';
import { hasEnded, SILENT_AFTER_MS } from './problems.ts';

/** An event of a node, for the strip. */
export interface FleetEvent extends NodeEvent {
  readonly node: string;
}

/** The most silences that are remembered, of all nodes together. */
const MAX_KEPT = 60;

/** What nodes cannot say of themselves: that they fell silent, and that they are back. */
export class Silences {
  readonly #silent = new Set<string>();
  #events: FleetEvent[] = [];

  get events(): readonly FleetEvent[] {
    return this.#events;
  }

  /**
   * Looks at all nodes that are remembered. Must be called once a second, but not while Redis does not answer.
   *
   * @param now ms of the monotonic clock.
   * @param at ms of the wall clock.
   */
  tick(records: readonly NodeRecord[], now: number, at: number): void {
    for (const record of records) {
      const { node, kind, figures } = record.state;
      const silentMs = record.silentMs(now);
      if (silentMs > SILENT_AFTER_MS === this.#silent.has(node)) continue;
      if (silentMs > SILENT_AFTER_MS) {
        this.#silent.add(node);
        const clients = kind === 'edge' ? `held ${figures.connections ?? 0} clients` : '';
        const [event, detail] = hasEnded(record, now) ? ['ended', ''] : ['silent', clients];
        this.#add({ node, at: Math.round(at - silentMs), event, detail });
      } else {
        this.#silent.delete(node);
        this.#add({ node, at, event: 'back', detail: '' });
      }
    }
    const known = new Set(records.map(({ state }) => state.node));
    for (const node of this.#silent) if (!known.has(node)) this.#silent.delete(node);
  }

  #add(event: FleetEvent): void {
    this.#events = [...this.#events, event].slice(-MAX_KEPT);
  }
}
