import { printChecks, runChecks } from './checks/checks.ts';

process.exitCode = printChecks(await runChecks()) === 0 ? 0 : 1;
