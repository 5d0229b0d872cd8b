import type { ClientOnNode } from '../src/asked/merge-answers.ts';
import { duration, timeOfDay, whole } from './format.ts';
import { nodes } from './live.ts';
import { clients, lookAt, search } from './looking.ts';

/** From this many publications that wait a client is said not to keep up: as the edges have it. */
const MANY_WAIT = 32;

/** A client that reads nothing for this time, in ms, is behind: as the edges have it. Less is of one turn. */
const BEHIND_MS = 1_000;

/** What a client is doing, in a word, with the look of it. */
export function conditionOf(client: ClientOnNode): {
  readonly word: string;
  readonly tone: string;
  readonly icon: string;
} {
  if (client.endedAt !== undefined) {
    return { word: `ended: ${client.reason ?? 'unknown'}`, tone: 'muted', icon: '○' };
  }
  if (client.stalledMs >= BEHIND_MS) {
    return { word: `reads nothing for ${duration(client.stalledMs)}`, tone: 'bad', icon: '■' };
  }
  if (client.queue >= MANY_WAIT) {
    return { word: `${whole(client.queue)} wait for it`, tone: 'warn', icon: '▲' };
  }
  if (client.isBehind) return { word: 'is behind', tone: 'warn', icon: '▲' };
  return { word: 'keeps up', tone: 'good', icon: '●' };
}

/** The clients that are furthest behind and those that ended last; or those that a search finds. */
export function ClientTable() {
  const answer = clients.value;
  const text = search.value.trim();
  const rows = answer?.rows ?? [];
  return (
    <div class="card">
      <div class="card-head">
        <h2>
          {text === '' ? 'Clients behind, and last ends' : `Clients for “${text}”`}
          {answer !== undefined && answer.text !== text && ' …'}
        </h2>
      </div>
      {rows.length > 0 && (
        <div class="scroll list" tabIndex={-1}>
          <table>
            <thead>
              <tr>
                <th>Session</th>
                <th>State</th>
                <th class="number">Queue</th>
                <th class="wide">Edge</th>
                <th class="wide">Network</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => {
                const { word, tone, icon } = conditionOf(row);
                return (
                  <tr
                    key={`${row.node} ${row.session}`}
                    class={row.endedAt === undefined ? '' : 'gone'}
                  >
                    <td>
                      <button
                        type="button"
                        class="link"
                        data-row
                        title={row.session}
                        onClick={() => lookAt({ session: row.session })}
                      >
                        {row.session.slice(0, 8)}
                      </button>
                      {row.subject !== undefined && <span class="kind">{row.subject}</span>}
                    </td>
                    <td class={`state ${tone}`}>
                      <span aria-hidden="true">{icon}</span> {word}
                      {row.endedAt !== undefined && <time> {timeOfDay(row.endedAt)}</time>}
                    </td>
                    <td class="number">{row.endedAt === undefined ? whole(row.queue) : '–'}</td>
                    <td class="wide">{row.node}</td>
                    <td class="wide">{row.network === '' ? '–' : row.network}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {rows.length === 0 && (
        <p class="nothing">
          {answer === undefined
            ? 'The edges are being asked.'
            : text === ''
              ? nodes.value.length === 0
                ? 'There is no edge that clients could be connected to.'
                : 'Every client keeps up, and none was closed lately.'
              : 'No client has this session, subject or network: a session by its first eight characters, the others in full.'}
        </p>
      )}
    </div>
  );
}
