import { runReplay } from './replay/command.ts';

process.exitCode = await runReplay(process.argv.slice(2), process.env);
