import type { NodeEvent } from '@tradewind/bus';
import { counted } from './counted.ts';
import type { NodeRecord } from './node-record.ts';
import { hasEnded, isSilent } from './problems.ts';

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
   * Looks at all nodes that are remembered.
   *
   * @param seenMs see `NodeRecord`.
   * @param at ms of the wall clock.
   */
  look(records: readonly NodeRecord[], seenMs: number, at: number): void {
    for (const record of records) {
      const { node, kind, figures } = record.state;
      const silent = isSilent(record, seenMs);
      if (silent === this.#silent.has(node)) continue;
      if (silent) {
        this.#silent.add(node);
        const clients =
          kind === 'edge' ? `held ${counted(figures.connections ?? 0, 'client')}` : '';
        const [event, detail] = hasEnded(record, seenMs) ? ['ended', ''] : ['silent', clients];
        this.#add({ node, at: Math.round(at - record.silentMs(seenMs)), event, detail });
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
