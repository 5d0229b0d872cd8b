#!/usr/bin/env node
import { runCli } from './cli.ts';

const stop = new AbortController();
process.once('SIGINT', () => stop.abort()).once('SIGTERM', () => stop.abort());
// `npx tradewind sub BTC.trade | head`: the reader of the pipe has seen enough.
process.stdout.on('error', () => process.exit(0));

process.exitCode = await runCli(process.argv.slice(2), {
  print: (line) => void process.stdout.write(`${line}\n`),
  complain: (line) => void process.stderr.write(`${line}\n`),
  input: process.stdin,
  environment: process.env,
  stopped: stop.signal,
});
