import { useState } from 'preact/hooks';
import type { ClientOnNode } from '../src/asked/merge-answers.ts';
import { endSubject } from './actions.ts';
import { conditionOf } from './client-table.tsx';
import { ConfirmForm } from './confirm-form.tsx';
import { Drawer, Figures } from './drawer.tsx';
import { duration, timeOfDay, whole } from './format.ts';
import { abilities, mayAct } from './live.ts';
import { openClient } from './looking.ts';

/** What each reason for an end means, for those that raise questions. */
const REASONS: Readonly<Record<string, string>> = {
  slow: 'It read more slowly than its channels publish.',
  heartbeat_timeout: 'It answered no ping and read nothing.',
  connection_lost: 'The connection ended without a word.',
  silent: 'It subscribed to nothing in time.',
  rate_limited: 'It went on asking too fast, or made too many mistakes.',
  unauthorized: 'Its token was refused or revoked, or none came.',
  token_expired: 'Its token ended, and no new one came.',
  draining: 'The edge was drained or moved it.',
  normal: 'It was done.',
  going_away: 'It left the page.',
  internal: 'A fault of the edge, which logged it.',
};

/** All that edges know of one session. */
export function ClientDrawer(props: { readonly session: string; readonly onClose: () => void }) {
  const [client] = openClient.value ?? [];
  return (
    <Drawer title={props.session.slice(0, 8)} label="Client" onClose={props.onClose}>
      {client === undefined ? (
        <p class="nothing">
          {openClient.value === undefined
            ? 'The edges are being asked.'
            : 'No edge knows this session any more. Each remembers its last 1,000 ends.'}
        </p>
      ) : (
        <>
          <Figures rows={figuresOf(client)} />
          <Actions client={client} />
        </>
      )}
    </Drawer>
  );
}

function figuresOf(client: ClientOnNode): readonly (readonly [string, string])[] {
  const { endedAt, reason } = client;
  const who = [
    ['Session', client.session],
    ['Subject', client.subject ?? 'none: the edge asks for no token, or it sent none'],
    ['Edge', client.node],
    ['Network', client.network === '' ? 'unknown' : client.network],
    ['Requests refused', whole(client.ignoredRequests)],
  ] as const;
  if (endedAt !== undefined) {
    return [
      ...who,
      ['Opened', timeOfDay(client.openedAt)],
      ['Ended', `${timeOfDay(endedAt)}, after ${duration(endedAt - client.openedAt)}`],
      ['Why', `${reason ?? 'unknown'}. ${REASONS[reason ?? ''] ?? ''}`],
    ];
  }
  return [
    ...who,
    ['State', conditionOf(client).word],
    ['Connected for', duration(Date.now() - client.openedAt)],
    ['Channels', whole(client.channels)],
    ['Publications that wait', whole(client.queue)],
    ['Reads nothing for', client.stalledMs === 0 ? '–' : duration(client.stalledMs)],
    ['Is behind', client.isBehind ? 'yes' : 'no'],
  ];
}

function Actions({ client }: { readonly client: ClientOnNode }) {
  const [asks, setAsks] = useState(false);
  const [result, setResult] = useState<string | undefined>(undefined);
  const { subject } = client;
  if (subject === undefined) return null;
  if (!mayAct.value || abilities.value.endsSubjects !== true) {
    return (
      <p class="nothing">
        To end its connections, start the console with CONSOLE_TOKEN_FILE and CONSOLE_INGEST_URL.
      </p>
    );
  }
  return (
    <div class="actions">
      <h3>Actions</h3>
      <button type="button" onClick={() => setAsks(true)}>
        End all connections of this subject…
      </button>
      {asks && (
        <ConfirmForm
          what={`All connections of ${subject} to every edge end within a second, and its tokens of before now are refused for a day.`}
          name={subject}
          button="End them"
          onConfirm={() => {
            setAsks(false);
            void endSubject(subject).then(setResult);
          }}
        />
      )}
      {result !== undefined && <p role="status">{result}</p>}
    </div>
  );
}
