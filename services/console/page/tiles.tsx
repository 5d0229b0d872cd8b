import type { NodeRow } from '../src/fleet/fleet.ts';
import { Sparkline } from './chart.tsx';
import { bytes, percent, short, whole } from './format.ts';
import { seconds } from './history.ts';
import { snapshot } from './live.ts';

/** What a gigabyte from a virtual machine to the internet costs, in dollars: Google's first tier of Premium egress. */
const DOLLARS_PER_GIGABYTE = 0.12;

const SECONDS_A_DAY = 86_400;

/** Six figures, each with its line of 15 minutes and its limit. */
export function Tiles() {
  const shown = snapshot.value;
  if (shown === undefined) return <p class="nothing">Waiting for the console.</p>;
  const { point, connectionsLimit, lostLastHour, repairedLastHour } = shown;
  const full = connectionsLimit === 0 ? 0 : point.clients / connectionsLimit;
  const dollars = (point.sentBytes / 1e9) * DOLLARS_PER_GIGABYTE * SECONDS_A_DAY;
  const noEdge = connectionsLimit === 0 && point.clients === 0;
  const sum = (of: (row: NodeRow) => number) =>
    shown.nodes.reduce((total, row) => total + of(row), 0);
  const received = Math.round(sum((row) => row.received));
  const skipped = Math.round(sum((row) => row.skipped));
  const binary = sum((row) => row.binaryConnections);
  const saved = sum((row) => row.savedBytes);
  const slowShare = point.clients === 0 ? 0 : point.slow / point.clients;
  return (
    <div class="tiles">
      <Tile
        title="Clients"
        figure="clients"
        value={whole(point.clients)}
        limit={noEdge ? 'no edge is ready' : `${percent(full)} of ${short(connectionsLimit)}`}
        more={binary === 0 ? undefined : `${short(binary)} binary`}
        hint={`Edges that are ready may hold ${whole(connectionsLimit)} clients. ${whole(binary)} get binary frames (tradewind.v2). An edge that dies is seen to be silent after two to three seconds: until then its clients count there, and also where they connect again.`}
        isBad={full > 0.9}
      />
      <Tile
        title="Deliveries a second"
        figure="deliveries"
        value={short(point.deliveries)}
        limit={`${short(received)}/s in`}
        more={skipped === 0 ? undefined : `${short(skipped)}/s skipped`}
        hint="In: publications that edges received from Redis, each edge counted. Skipped: what clients that want only the latest were not sent."
      />
      <Tile
        title="p99 to socket"
        figure="p99Ms"
        value={
          point.p99Ms === null || Number.isNaN(point.p99Ms) ? '–' : `≤ ${whole(point.p99Ms)} ms`
        }
        limit="alert above 100 ms"
        hint="From the publication to the socket, the last five seconds of all edges. The alert takes five minutes of one edge."
        isBad={point.p99Ms > 100}
      />
      <Tile
        title="Losses told, 1 h"
        figure="lost"
        value={whole(lostLastHour)}
        limit={`${whole(repairedLastHour)} repaired`}
        hint="Losses that clients were told of within an hour, and publications that edges repaired from history, of which clients notice nothing."
        isBad={lostLastHour > 0}
      />
      <Tile
        title="Slow closes, 1 min"
        figure="slow"
        value={whole(point.slow)}
        limit={`${percent(slowShare)} of clients`}
        hint="Clients that were closed because they read more slowly than their channels publish."
        isBad={slowShare > 0.01}
      />
      <Tile
        title="Bytes out a second"
        figure="sentBytes"
        value={bytes(point.sentBytes)}
        limit={`≈ $${whole(dollars)} a day`}
        more={saved === 0 ? undefined : `${bytes(saved)}/s saved`}
        hint={`What egress from a cloud would cost, at $${DOLLARS_PER_GIGABYTE} a gigabyte. Saved: by binary frames (tradewind.v2).`}
      />
    </div>
  );
}

function Tile(props: {
  readonly title: string;
  readonly figure: string;
  readonly value: string;
  readonly limit: string;
  /** Left out where there is no room for it. */
  readonly more?: string | undefined;
  /** What the figures are, for those who point at them. */
  readonly hint?: string;
  readonly isBad?: boolean;
}) {
  return (
    <div class={`card tile${props.isBad === true ? ' bad' : ''}`} title={props.hint}>
      <h2>{props.title}</h2>
      <p class="figure">
        {props.isBad === true && <span aria-hidden="true">▲ </span>}
        {props.value}
      </p>
      <p class="limit">
        {props.limit}
        {props.more !== undefined && <span class="wide"> · {props.more}</span>}
      </p>
      <Line figure={props.figure} label={`${props.title} within 15 minutes`} />
    </div>
  );
}

/** Every tenth second, which is as much as its width can show. */
function Line(props: { readonly figure: string; readonly label: string }) {
  const values = (seconds.value[props.figure] ?? []).filter((_, i) => i % 10 === 9);
  return <Sparkline values={values} label={props.label} />;
}
