import type { ChannelOrder } from '@tradewind/bus';
import type { ChannelRow } from '../src/asked/merge-answers.ts';
import { ago, bytes, rate, whole } from './format.ts';
import { channels, lookAt, order, search } from './looking.ts';
import { SeenRow } from './seen.ts';

const ORDERS: readonly (readonly [ChannelOrder, string])[] = [
  ['rate', 'Busiest'],
  ['subscribers', 'Most subscribed'],
  ['quiet', 'Quietest'],
];

/** The rate of a channel. An edge counts from the moment it is first asked: it has none yet of a channel whose trade just came. */
export function rateOf(row: { readonly rate: number; readonly ageMs: number }): string {
  const isCounted = row.rate > 0 || row.ageMs < 0 || row.ageMs > COUNTED_MS;
  return isCounted ? rate(row.rate) : '–';
}

/** An edge that has counted for this time, in ms, knows of each trade that came meanwhile. */
const COUNTED_MS = 2_000;

/** The first hundred channels over all edges. */
export function ChannelTable() {
  const answer = channels.value;
  const rows = answer?.rows ?? [];
  const text = search.value.trim();
  const isOld = answer !== undefined && (answer.text !== text || answer.order !== order.value);
  return (
    <div class="card">
      <div class="card-head">
        <h2>
          Channels{text === '' ? '' : ` with “${text}”`}
          {isOld && ' …'}
        </h2>
        <fieldset class="choice" aria-label="Order of channels">
          {ORDERS.map(([each, name]) => (
            <button
              key={each}
              type="button"
              aria-pressed={order.value === each}
              onClick={() => {
                order.value = each;
              }}
            >
              {name}
            </button>
          ))}
        </fieldset>
      </div>
      {rows.length > 0 && (
        <div class="scroll list" tabIndex={-1}>
          <table>
            <thead>
              <tr>
                <th>Channel</th>
                <th class="number">Rate/s</th>
                <th class="number">Subscribers</th>
                <th class="number wide" title="Bytes a second that binary frames save its clients">
                  Saved/s
                </th>
                <th class="number wide">Edges</th>
                <th class="number">Last trade</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <Row key={row.channel} row={row} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {rows.length === 0 && (
        <p class="nothing">
          {answer === undefined
            ? 'The edges are being asked.'
            : text === ''
              ? 'No edge holds a channel: no client has subscribed.'
              : 'No edge holds a channel with this name.'}
        </p>
      )}
    </div>
  );
}

class Row extends SeenRow<{ readonly row: ChannelRow }> {
  override markOf(): string {
    return '';
  }

  override draw({ row }: { readonly row: ChannelRow }) {
    return (
      <tr ref={this.place}>
        <td class="name">
          <button
            type="button"
            class="link"
            data-row
            title={row.channel}
            onClick={() => lookAt({ channel: row.channel })}
          >
            {row.channel}
          </button>
        </td>
        <td class="number">{rateOf(row)}</td>
        <td
          class="number"
          title={row.isLeast ? 'Edges that do not list it here may have more.' : undefined}
        >
          {row.isLeast && '≥ '}
          {whole(row.subscribers)}
        </td>
        <td class="number wide">{bytes(row.saved)}</td>
        <td class="number wide">{whole(row.nodes)}</td>
        <td class="number">{row.ageMs < 0 ? 'never' : ago(row.ageMs)}</td>
      </tr>
    );
  }
}
