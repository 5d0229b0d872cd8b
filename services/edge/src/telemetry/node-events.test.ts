import { createLogger, createMetrics } from '@tradewind/runtime';
import { expect, it } from 'vitest';
import { createNodeEvents } from './node-events.ts';

function start() {
  const lines: string[] = [];
  const destination = {
    write(line: string) {
      const { level, msg, cause } = JSON.parse(line);
      lines.push([level, msg, cause].filter(Boolean).join(' '));
    },
  };
  const logger = createLogger({ name: 'edge', level: 'info', destination });
  return { events: createNodeEvents(logger, createMetrics({ withDefaults: false }), 'h:1'), lines };
}

it('warns of an outage by the word that the runbook has, whichever link ends first', () => {
  const { events, lines } = start();
  events.commandsUnavailable('read ECONNRESET');
  events.degraded('read ECONNRESET');
  events.restored(5);
  events.commandsUnavailable('WRONGPASS');
  events.neverLinked('WRONGPASS');
  expect(lines.filter((line) => line.startsWith('warn'))).toEqual([
    'warn redis_commands_unavailable read ECONNRESET',
    'warn degraded read ECONNRESET',
    'warn redis_commands_unavailable WRONGPASS',
    'warn not_linked_yet WRONGPASS',
  ]);
});

it('does not warn again that the second link ended by the same cause, in each outage', () => {
  const { events, lines } = start();
  for (let outage = 0; outage < 2; outage += 1) {
    events.degraded('read ECONNRESET');
    events.commandsUnavailable('read ECONNRESET');
    events.restored(5);
    events.commandsAvailable();
  }
  const outage = [
    'warn degraded read ECONNRESET',
    'info redis_commands_unavailable read ECONNRESET',
    'info restored',
    'info redis_commands_available',
  ];
  expect(lines).toEqual([...outage, ...outage]);
});

it('warns of each cause when they differ', () => {
  const { events, lines } = start();
  events.neverLinked('WRONGPASS');
  events.commandsUnavailable('no answer within 1500 ms');
  expect(lines).toEqual([
    'warn not_linked_yet WRONGPASS',
    'warn redis_commands_unavailable no answer within 1500 ms',
  ]);
});
