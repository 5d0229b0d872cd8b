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

it('warns once of a cause that ends both links to Redis, in each outage', () => {
  const { events, lines } = start();
  for (let outage = 0; outage < 2; outage += 1) {
    events.commandsUnavailable('read ECONNRESET');
    events.degraded('read ECONNRESET');
    events.restored(5);
    events.commandsAvailable();
  }
  const outage = [
    'warn redis_commands_unavailable read ECONNRESET',
    'info degraded read ECONNRESET',
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
