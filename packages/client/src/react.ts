import { createContext, useContext, useMemo, useSyncExternalStore } from 'react';
import { type ChannelSnapshot, EMPTY, type StoreOptions, toStore } from './store.ts';
import type { Client, Latest } from './types.ts';

/** The client of a part of the page. Make it outside of components: an effect would make one for each render. */
export const TradewindContext = createContext<Client | undefined>(undefined);

/** Options of `useChannel`. */
export interface UseChannelOptions extends StoreOptions {
  /** The client that has the channel [the client of `TradewindContext`]. */
  readonly client?: Client;
  /** Begin with this many of the latest publications. */
  readonly history?: number;
  /** The newest publication of each interval instead of all of them. */
  readonly latest?: Latest;
}

/**
 * A channel as a snapshot that holds every publication, at most one a frame. The channel is subscribed to while the component
 * is mounted; `lingerMs` of the client covers the double mount of StrictMode.
 */
export function useChannel<T = unknown>(
  name: string,
  { client: own, history, latest, limit, everyMs }: UseChannelOptions = {},
): ChannelSnapshot<T> {
  const shared = useContext(TradewindContext);
  const client = own ?? shared;
  if (client === undefined) throw new Error('useChannel needs a client, or a TradewindContext.');
  // A component makes a new object for each render.
  const latestMs = latest?.everyMs;
  const store = useMemo(
    () =>
      toStore(
        client.channel<T>(name, {
          ...(history !== undefined && { history }),
          ...(latestMs !== undefined && { latest: { everyMs: latestMs } }),
        }),
        {
          ...(limit !== undefined && { limit }),
          ...(everyMs !== undefined && { everyMs }),
        },
      ),
    [client, name, history, latestMs, limit, everyMs],
  );
  return useSyncExternalStore<ChannelSnapshot<T>>(store.subscribe, store.get, () => EMPTY);
}
