// Measures the hot path once and prints its cost as JSON. Started by `runHotPath`, with its flags.
import { type HotPathLoad, measureHotPath } from './hot-path-measurement.ts';

const load = JSON.parse(process.argv[2] ?? '{}') as HotPathLoad;
console.log(JSON.stringify(await measureHotPath(load)));
