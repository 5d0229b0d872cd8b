import { useState } from 'preact/hooks';
import { counted } from '../src/fleet/counted.ts';
import type { NodeRow } from '../src/fleet/fleet.ts';
import { actOnNode } from './actions.ts';
import { ConfirmForm } from './confirm-form.tsx';
import { Drawer, Figures } from './drawer.tsx';
import { bytes, duration, percent, rate, timeOfDay, whole } from './format.ts';
import { mayAct, nodes, snapshot } from './live.ts';

/** Time over which the clients of a shed move, in s: so long that the other nodes accept them without a queue. */
const SHED_SECONDS = 30;

/** The share of a node's clients that one shed moves. */
const SHED_SHARE = 0.1;

/** All that is known of one node, and what an operator may do with it. */
export function NodeDrawer(props: { readonly node: string; readonly onClose: () => void }) {
  const row = nodes.value.find(({ node }) => node === props.node);
  if (row === undefined) return null;
  const events = (snapshot.value?.events ?? []).filter(({ node }) => node === row.node);
  return (
    <Drawer title={row.node} label={`Node ${row.node}`} onClose={props.onClose}>
      <Figures rows={figuresOf(row)} />
      <h3>Its last events</h3>
      {events.length === 0 ? (
        <p class="nothing">None.</p>
      ) : (
        <ol class="events">
          {events.map((event) => (
            <li key={`${event.at} ${event.event} ${event.detail}`}>
              <time>{timeOfDay(event.at)}</time>
              <code>{event.event}</code>
              <span class="detail">{event.detail}</span>
            </li>
          ))}
        </ol>
      )}
      {row.kind === 'edge' && <Actions row={row} />}
    </Drawer>
  );
}

function figuresOf(row: NodeRow): readonly (readonly [string, string])[] {
  const up = duration(Date.now() - row.startedAt);
  const common = [
    ['State', row.health === 'silent' ? `silent for ${duration(row.silentMs)}` : row.health],
    ['Release', row.release],
    ['Runs for', up],
    ['Admin port', row.admin],
  ] as const;
  if (row.kind === 'ingest') {
    return [
      ...common,
      ['Accepted', `${whole(row.accepted)} a second`],
      ['Refused', `${whole(row.refused)} a second`],
      ['Waiting for Redis', whole(row.queued)],
    ];
  }
  return [
    ...common,
    ['Clients', `${whole(row.connections)} of ${whole(row.connectionsLimit)}`],
    ['Subscriptions', `${whole(row.subscriptions)} on ${counted(row.channels, 'channel')}`],
    ['Publications in', `${whole(row.received)} a second`],
    ['Deliveries', `${whole(row.deliveries)} a second`],
    ['Bytes out', `${bytes(row.sentBytes)} a second`],
    [
      'p99 to socket',
      row.p99Ms === undefined ? 'nothing measured' : `at most ${whole(row.p99Ms)} ms`,
    ],
    ['Fullest queue', counted(row.queueMax, 'publication')],
    ['Closed as slow, 5 min', whole(row.slow)],
    ['Losses told, 5 min', whole(row.gaps)],
    ['Busiest thread', `${percent(row.busy)} of a core`],
    ['Memory', row.memory === undefined ? 'unknown' : `${percent(row.memory)} of its limit`],
    ['Newest probe', row.probeAgeMs < 0 ? 'none' : `${whole(row.probeAgeMs)} ms ago`],
    ...shardsOf(row),
    ...wireOf(row),
  ];
}

function shardsOf({ shards }: NodeRow): readonly (readonly [string, string])[] {
  if (shards === undefined) return [];
  const { all, away, names } = shards;
  const which = names.length === 0 ? '' : `: ${names.join(', ')}`;
  const linked = `${whole(all - away)} of ${whole(all)} linked`;
  return [['Redis shards', away === 0 ? linked : `${linked}; ${whole(away)} away${which}`]];
}

/** What its clients chose to get, and what that saves, over the last minute. */
function wireOf(row: NodeRow): readonly (readonly [string, string])[] {
  const { connections, binaryConnections, savedBytes, latest, skipped } = row;
  const raw = [
    [row.rawFirst, 'first of a channel'],
    [row.rawUnshrinkable, 'does not shrink'],
    [row.rawBudget, 'no time left'],
  ] as const;
  const reasons = raw.filter(([count]) => count > 0);
  return [
    [
      'Wire of its clients',
      `${whole(Math.max(0, connections - binaryConnections))} v1 (JSON), ${whole(binaryConnections)} v2 (binary)`,
    ],
    ...(binaryConnections === 0 && savedBytes === 0
      ? []
      : ([
          ['Saved by v2', `${bytes(savedBytes)} a second`],
          [
            'Raw to v2',
            reasons.length === 0
              ? 'none'
              : reasons.map(([count, why]) => `${rate(count)}/s ${why}`).join(', '),
          ],
        ] as const)),
    [
      'Only the latest',
      latest === 0 && skipped === 0
        ? 'no subscription'
        : `${counted(latest, 'subscription')}; ${rate(skipped)} a second skipped`,
    ],
  ];
}

function Actions({ row }: { readonly row: NodeRow }) {
  const [wanted, setWanted] = useState<'drain' | 'shed' | undefined>(undefined);
  const [result, setResult] = useState<string | undefined>(undefined);
  if (!mayAct.value) {
    return <p class="nothing">Actions need a login: start the console with CONSOLE_TOKEN_FILE.</p>;
  }
  const shedCount = Math.max(1, Math.round(row.connections * SHED_SHARE));
  const others = nodes.value.filter(
    ({ node, kind, health }) => kind === 'edge' && health === 'ready' && node !== row.node,
  );
  const room = others.reduce((sum, each) => sum + each.connectionsLimit - each.connections, 0);
  const what =
    wanted === 'drain'
      ? `${row.node} stops, and its ${counted(row.connections, 'client')} must move. `
      : `${whole(shedCount)} of the ${counted(row.connections, 'client')} of ${row.node} must move within ${SHED_SECONDS} s. `;
  const where =
    others.length === 0
      ? 'No other edge is ready to take them.'
      : `${counted(others.length, 'other edge has', 'other edges have')} room for ${whole(room)}.`;
  return (
    <div class="actions">
      <h3>Actions</h3>
      <div class="row">
        <button type="button" onClick={() => setWanted('drain')}>
          Drain…
        </button>
        <button type="button" onClick={() => setWanted('shed')}>
          Move {percent(SHED_SHARE)} of its clients…
        </button>
      </div>
      {wanted !== undefined && (
        <ConfirmForm
          key={wanted}
          what={what + where}
          name={row.node}
          button={wanted === 'drain' ? 'Drain it' : 'Move them'}
          onConfirm={() => {
            const verb =
              wanted === 'drain' ? 'drain' : `shed?count=${shedCount}&overSeconds=${SHED_SECONDS}`;
            void actOnNode(row.node, verb).then(setResult);
            setWanted(undefined);
          }}
        />
      )}
      {result !== undefined && <p role="status">{result}</p>}
    </div>
  );
}
