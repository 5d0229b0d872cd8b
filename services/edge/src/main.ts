import { runProgram } from '@tradewind/runtime';
import { readEdgeConfig } from './config/config.ts';
import { startEdge } from './edge.ts';

await runProgram({
  name: 'edge',
  purpose: 'sends each trade to the clients that follow its channel, over WebSockets.',
  readConfig: readEdgeConfig,
  start: startEdge,
});
