import { useEffect, useRef, useState } from 'preact/hooks';
import type { ChannelOnNode } from '../src/asked/merge-answers.ts';
import { rateOf } from './channel-table.tsx';
import { PriceChart } from './chart.tsx';
import { Drawer } from './drawer.tsx';
import { ago, timeOfDayMs, whole } from './format.ts';
import { abilities, snapshot } from './live.ts';
import { channelNodes, type TapeRow, tape, tapeState } from './looking.ts';

/** How long "copied" is said, in ms. */
const COPIED_MS = 2_000;

/** What is known of one channel: on each edge, and as a client of the tier sees it. */
export function ChannelDrawer(props: { readonly channel: string; readonly onClose: () => void }) {
  return (
    <Drawer title={props.channel} label={`Channel ${props.channel}`} isWide onClose={props.onClose}>
      <CopyLine channel={props.channel} />
      <h3>On each edge</h3>
      <Positions rows={channelNodes.value} />
      {abilities.value.hasTape === true ? (
        <LiveTape />
      ) : (
        <p class="nothing">
          The tape needs an edge to read from: start the console with CONSOLE_EDGE_URLS.
        </p>
      )}
    </Drawer>
  );
}

function CopyLine({ channel }: { readonly channel: string }) {
  const [copied, setCopied] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const { edgeUrl } = abilities.value;
  const name = /^[\w.:-]+$/.test(channel) ? channel : `'${channel.replaceAll("'", "'\\''")}'`;
  const line = `npx tradewind sub ${name}${edgeUrl === undefined ? '' : ` --edge ${edgeUrl}`}`;
  return (
    <div class="copy">
      <code>{line}</code>
      <button
        type="button"
        onClick={() => {
          void navigator.clipboard?.writeText(line).then(() => setCopied(true));
          clearTimeout(timer.current);
          timer.current = setTimeout(() => setCopied(false), COPIED_MS);
        }}
      >
        <span role="status">{copied ? 'Copied' : 'Copy'}</span>
      </button>
    </div>
  );
}

function Positions({ rows }: { readonly rows: readonly ChannelOnNode[] | undefined }) {
  if (rows === undefined || rows.length === 0) {
    return (
      <p class="nothing">
        {rows === undefined ? 'The edges are being asked.' : 'No edge holds this channel.'}
      </p>
    );
  }
  const epochs = new Set(rows.flatMap(({ epoch }) => epoch ?? []));
  const most = Math.max(0, ...rows.map(({ offset }) => offset ?? 0));
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keys. */}
      <section class="scroll" tabIndex={0} aria-label="Positions">
        <table class="dense">
          <thead>
            <tr>
              <th>Edge</th>
              <th>Epoch</th>
              <th class="number">Offset</th>
              <th class="number">Behind</th>
              <th class="number">Clients</th>
              <th class="number wide">Rate/s</th>
              <th class="number wide">Last trade</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.node}>
                <td>
                  {row.node}
                  {row.state !== 'live' && (
                    <span class="kind">
                      {row.state === 'lost' ? '■ cut off from Redis' : '▲ starting'}
                    </span>
                  )}
                </td>
                <td>
                  <code title={row.epoch}>{row.epoch?.slice(0, 8) ?? '–'}</code>
                </td>
                <td class="number">{row.offset === undefined ? '–' : whole(row.offset)}</td>
                <td class="number">
                  {row.offset === undefined || epochs.size > 1 ? '–' : whole(most - row.offset)}
                </td>
                <td class="number">{whole(row.subscribers)}</td>
                <td class="number wide">{rateOf(row)}</td>
                <td class="number wide">{row.ageMs < 0 ? 'never' : ago(row.ageMs)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <p class="note">
        {epochs.size > 1
          ? `▲ The edges are in ${epochs.size} epochs: one has not entered the latest yet.`
          : 'Edges answer within a second of each other, so a busy channel differs by up to that much.'}
      </p>
    </>
  );
}

function LiveTape() {
  const rows = tape.value;
  const state = tapeState.value;
  const priced = rows.filter((row) => row.kind === 'publication' && row.price !== undefined);
  return (
    <>
      <h3>
        What a client sees{' '}
        <span class="kind">
          {state === undefined
            ? 'connecting'
            : state.name === 'online'
              ? `over ${state.node}`
              : `${state.name}${state.error === undefined ? '' : `: ${state.error}`}`}
        </span>
      </h3>
      {priced.length > 1 && <PriceChart rows={priced} />}
      <Latency rows={rows} node={state?.node} />
      {rows.length > 0 && (
        <p class="tape-head" aria-hidden="true">
          <span>Published</span>
          <span class="offset">Offset</span>
          <span class="lag">Lag</span>
          <span>Payload</span>
        </p>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keys. */}
      <ol class="tape" tabIndex={0} aria-label="Tape, the latest first">
        {rows.toReversed().map((row) => (
          <TapeLine key={row.number} row={row} />
        ))}
      </ol>
      {rows.length === 0 && <p class="nothing">Nothing has come yet, and history has nothing.</p>}
    </>
  );
}

/** Where the time goes between a publication and a client. */
function Latency({
  rows,
  node,
}: {
  readonly rows: readonly TapeRow[];
  readonly node?: string | undefined;
}) {
  const lags = rows
    .flatMap((row) => (row.kind === 'publication' && row.lagMs !== undefined ? row.lagMs : []))
    .toSorted((a, b) => a - b);
  const edge = snapshot.value?.nodes.find((each) => each.node === node);
  if (lags.length === 0 && edge?.p99Ms === undefined) return null;
  return (
    <p class="note">
      {edge?.p99Ms !== undefined && (
        <>
          Publication → sockets of {node}: p99 ≤ {whole(edge.p99Ms)}&nbsp;ms.{' '}
        </>
      )}
      {lags.length > 0 && (
        <>
          Publication → console over {node ?? 'an edge'}: median {whole(at(lags, 0.5))}&nbsp;ms, p99{' '}
          {whole(at(lags, 0.99))}&nbsp;ms.
        </>
      )}
    </p>
  );
}

function at(sorted: readonly number[], share: number): number {
  return Math.max(0, sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
}

function TapeLine({ row }: { readonly row: TapeRow }) {
  if (row.kind === 'publication') {
    return (
      <li data-offset={row.offset}>
        <time>{timeOfDayMs(row.ts)}</time>
        <span class="offset">{row.offset === undefined ? '–' : whole(row.offset)}</span>
        <span class="lag">
          {row.lagMs === undefined ? 'past' : `${whole(Math.max(0, row.lagMs))} ms`}
        </span>
        <code>{row.text}</code>
      </li>
    );
  }
  return <li class="hole">▲ {wordsOf(row)}</li>;
}

function wordsOf(row: Exclude<TapeRow, { readonly kind: 'publication' }>): string {
  switch (row.kind) {
    case 'gap': {
      const which = row.from === undefined ? '' : `: offsets ${row.from} to ${row.to}`;
      return `${row.lost ?? 'an unknown number'} lost (${row.reason})${which}`;
    }
    case 'resync':
      return `the channel begins anew (${row.reason})`;
    case 'skipped':
      return `${row.count} not shown: they came faster than the tape moves`;
  }
}
