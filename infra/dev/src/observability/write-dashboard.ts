import { writeFile } from 'node:fs/promises';
import { runTool } from '../processes/run-tool.ts';
import { WORKSPACE_ROOT } from '../processes/service-process.ts';
import { renderDashboard } from './dashboard.ts';
import { ROWS } from './dashboard-panels.ts';

const FILE = 'infra/grafana/tradewind.json';

await writeFile(`${WORKSPACE_ROOT}${FILE}`, JSON.stringify(renderDashboard(ROWS)));
const { code, output } = await runTool('biome', ['format', '--write', '--colors=off', FILE]);
if (code !== 0) console.error(output);
process.exitCode = code;
