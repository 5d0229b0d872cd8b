import type { LoadShape, Subject } from './arena/arena.ts';
import { type ContenderName, isCheckout } from './arena/contenders.ts';
import type { BenchArguments } from './arguments.ts';
import { FINE_SEARCH, type SearchTerms, USUAL_SEARCH } from './speed/saturation.ts';
import { subjectOf } from './speed/subjects.ts';

const DEFAULT_SECONDS = 30;
const IDLE_SERVERS = 3;
/** Pairs against another checkout. Fewer give no verdict, or let the luck of one pair hide a slow side. */
const CHECKOUT_PAIRS = 10;
const CHECKOUT_SECONDS = 8;
/** Limits every command to at most five minutes, on two cores that nobody else uses. */
export const SHORT = {
  pairs: 2,
  seconds: 8,
  /** Where the search begins, for an edge and for bun, which carries nearly as much. */
  search: { firstRate: 4_000, resolution: 1.1 },
  /** The final rate is tried this long; a rate that fails costs three times that. */
  saturatedSeconds: 5,
  /** The duration of a search varies: on a busy machine two pairs took six and a half minutes. */
  saturationPairs: 1,
  idleServers: 1,
};
/** Shows only that a command works. */
export const QUICK = {
  seconds: 3,
  idleSeconds: 1,
  clients: 100,
  pairs: 1,
};

/** The load of a command, with what the options say of it. */
export function shapeOf(shape: LoadShape, asked: BenchArguments): LoadShape {
  return {
    ...shape,
    clients: asked.clients ?? (asked.quick ? QUICK.clients : shape.clients),
    payloadBytes: asked.payloadBytes ?? shape.payloadBytes,
  };
}

/** In the short form, at most one of the usual opponents, because each takes time. */
export function opponentsOf(
  asked: BenchArguments,
  usual: readonly ContenderName[],
): readonly Subject[] {
  const chosen = asked.short ? usual.filter((name) => name === 'bun') : usual;
  return (asked.against ?? chosen).map(subjectOf);
}

/** Whether an opponent is the edge of another checkout. */
export function meetsCheckout({ against = [] }: BenchArguments): boolean {
  return against.some(isCheckout);
}

/** How exactly a rate is searched for. */
export function searchOf(asked: BenchArguments): SearchTerms {
  if (asked.short) return SHORT.search;
  return meetsCheckout(asked) ? FINE_SEARCH : USUAL_SEARCH;
}

/** For memory, `--pairs` sets the rounds, and idle edges follow it only if they are compared in pairs. */
export function serversOf(asked: BenchArguments): number {
  if (asked.short) return asked.pairs ?? SHORT.idleServers;
  if (meetsCheckout(asked)) return pairsOf(asked, CHECKOUT_PAIRS);
  return asked.quick ? QUICK.pairs : IDLE_SERVERS;
}

/** The number of pairs. `usual` holds without an option that says otherwise. */
export function pairsOf(asked: BenchArguments, usual: number): number {
  if (asked.pairs !== undefined) return asked.pairs;
  if (asked.quick) return QUICK.pairs;
  if (asked.short) return SHORT.pairs;
  return meetsCheckout(asked) ? CHECKOUT_PAIRS : usual;
}

/** The length of a measured run, in s. */
export function secondsOf(asked: BenchArguments, usual: number = DEFAULT_SECONDS): number {
  if (asked.seconds !== undefined) return asked.seconds;
  if (asked.quick) return QUICK.seconds;
  if (asked.short) return SHORT.seconds;
  return meetsCheckout(asked) ? CHECKOUT_SECONDS : usual;
}
