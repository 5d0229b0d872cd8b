import { type ClientState, connect, type Item } from '@tradewind/client';
import { describeFailure } from './describe-failure.ts';
import { keepNumbers } from './keep-numbers.ts';
import type { SubSettings } from './settings.ts';
import type { Terminal } from './terminal.ts';

/** For somebody whose edge is not where `sub` looks by default. */
const HINT = 'No --edge was given. If your edge has another address: --edge ws://HOST:PORT/ws';

/**
 * Prints what comes on channels until Ctrl-C, until `count` publications have come, or until no channel can be had any more.
 * Resolves with whether none of them failed.
 */
export async function followChannels(settings: SubSettings, terminal: Terminal): Promise<boolean> {
  const { channels, edgeUrls, isDefaultEdge, token, json, since, history, latest, count } =
    settings;
  const enough = new AbortController();
  const signal = AbortSignal.any([terminal.stopped, enough.signal]);
  let [edge] = edgeUrls;
  let turn = 0;
  const nextEdge = (): URL => {
    edge = edgeUrls[turn % edgeUrls.length]!;
    turn += 1;
    return edge;
  };
  await using client = connect(nextEdge, {
    reviver: keepNumbers,
    ...(token === undefined ? {} : { token }),
  });
  let mayHint = isDefaultEdge;
  client.on('state', ({ state }) => {
    const note = noteOf(state, edge.host);
    if (note !== undefined) terminal.complain(note);
    if (mayHint && state.name === 'waiting') terminal.complain(HINT);
    // Once, and never after an edge was there: then the address is right.
    if (state.name === 'waiting' || state.name === 'online') mayHint = false;
  });
  const options = {
    ...(since === undefined ? {} : { since }),
    ...(history === undefined ? {} : { history }),
    ...(latest === undefined ? {} : { latest }),
  };
  let left = count ?? Number.POSITIVE_INFINITY;
  const follow = async (name: string): Promise<boolean> => {
    try {
      for await (const item of client.channel(name, options).items({ signal })) {
        if (left === 0) break;
        if (item.kind === 'publication') left -= 1;
        terminal.print(json ? JSON.stringify(item) : lineOf(item));
        if (left === 0) enough.abort();
      }
    } catch (error) {
      if (signal.aborted) return true;
      terminal.complain(describeFailure(error));
      return false;
    }
    return true;
  };
  const followed = await Promise.all(channels.map(follow));
  return followed.every(Boolean);
}

/** What somebody who waits for trades must know about the connection. */
function noteOf(state: ClientState, edge: string): string | undefined {
  if (state.name === 'online' && state.degradedSince !== undefined)
    return `${state.session.node} is cut off from Redis`;
  if (state.name === 'online' && state.leaving === undefined)
    return `connected to ${state.session.node}`;
  if (state.name !== 'waiting') return undefined;
  const ms = Math.max(0, state.retryAt - Date.now());
  return `${edge}: ${state.cause.message} Trying again in ${(ms / 1_000).toFixed(1)} s.`;
}

/** One line of text: the channel, the offset, when it was published, what, and how many were skipped before it. */
export function lineOf(item: Item<unknown>): string {
  const { channel } = item;
  switch (item.kind) {
    case 'publication': {
      const at = new Date(item.ts).toISOString().slice(11, 23);
      const skipped = item.skipped === undefined ? '' : ` (${item.skipped} skipped)`;
      return `${channel} ${item.offset ?? '-'} ${at} ${JSON.stringify(item.data)}${skipped}`;
    }
    case 'gap': {
      const range = item.from === undefined ? 'publications' : `${item.from} to ${item.to}`;
      return `! ${channel} gap: ${range}, ${item.lost ?? 'unknown'} lost (${item.reason})`;
    }
    case 'resync':
      if (item.reason === 'started') return `! ${channel} begins: epoch ${item.epoch}`;
      return `! ${channel} resync: epoch ${item.epoch ?? 'none'} from ${item.offset ?? 'its history'} (${item.reason})`;
    case 'recovered':
      return `! ${channel} recovered: nothing was lost up to ${item.offset}`;
  }
}
