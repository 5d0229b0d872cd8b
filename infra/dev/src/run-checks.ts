import { printChecks, runChecks } from './checks.ts';

process.exitCode = printChecks(await runChecks()) === 0 ? 0 : 1;
