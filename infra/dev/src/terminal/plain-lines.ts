import type { DemoState } from '../demo/demo.ts';
import { clock, count, faults, figure } from './figures.ts';

/** The view in one line, for where nothing can be redrawn. */
export function renderLine(state: DemoState): string {
  const edges = state.edges.map(
    ({ name, condition, clients, messagesPerSecond, p50, p99 }) =>
      `${name} ${condition} ${figure(clients)} clients ${figure(messagesPerSecond)}/s p50 ${figure(p50, 1)} p99 ${figure(p99, 1)} ms`,
  );
  const problem = state.problem === undefined ? [] : [`! ${state.problem}`];
  return [
    clock(state.seconds),
    `published ${state.published}`,
    `delivered ${state.delivered}`,
    judged(state),
    ...edges,
    ...problem,
  ].join(' | ');
}

/** What stays in the terminal after the end. */
export function renderFarewell(state: DemoState): string {
  const { published, missing, duplicates, outOfOrder, recovered, moves } = state;
  const mark = faults(state) === 0 ? '✓' : '✗';
  return [
    `Tradewind ran for ${clock(state.seconds)}: ${mark} ${count(published)} published`,
    `${count(missing)} lost`,
    `${count(duplicates)} doubled`,
    `${count(outOfOrder)} out of order`,
    `${count(recovered)} recovered in ${count(moves)} moves`,
  ].join(', ');
}

function judged(state: DemoState): string {
  if (state.delivered === 0) return 'nothing delivered yet';
  const { outOfOrder, duplicates, missing } = state;
  return faults(state) === 0
    ? 'each once and in order'
    : `out of order ${outOfOrder}, duplicates ${duplicates}, missing ${missing}`;
}
