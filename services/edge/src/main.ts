import { runService } from '@tradewind/runtime';
import { readEdgeConfig } from './config.ts';
import { startEdge } from './edge.ts';

await runService({
  name: 'edge',
  main: (lifecycle) => startEdge(readEdgeConfig(process.env), lifecycle),
});
