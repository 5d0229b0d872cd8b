import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readModule } from './hcl.ts';

/** What Compute Engine surely gives a VM that is stopped, in s; its documents say 90 to 120. */
const VM_STOP_SECONDS = 90;

/** What a process may need to stop after its drain, in s. */
const STOP_SECONDS = 10;

const UNIT = fileURLToPath(new URL('../../infra/systemd/tradewind-edge.service', import.meta.url));

/** What is wrong with a unit for edges that Terraform's limits allow; one line each. */
function unitFaults(unit: string, limits: { drainSeconds: number; connections: number }): string[] {
  const stop = Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]);
  const files = Number(/^LimitNOFILE=(\d+)$/m.exec(unit)?.[1]);
  return [
    ...(stop < VM_STOP_SECONDS ? [] : [`TimeoutStopSec ${stop} is beyond the VM's window`]),
    ...(stop >= limits.drainSeconds + STOP_SECONDS ? [] : [`TimeoutStopSec ${stop} cuts a drain`]),
    ...(files >= 2 * limits.connections ? [] : [`LimitNOFILE ${files} is too low`]),
  ];
}

/** The greatest value of the edges' that the validation lets pass. */
async function greatest(field: string): Promise<number> {
  const { variables } = await readModule('.');
  const text = JSON.stringify(variables.edge?.validation);
  return Number(new RegExp(`var\\.edge\\.${field} <= (\\d+)`).exec(text)?.[1]);
}

describe('the unit of an edge', () => {
  it('is found out when it stops too late, cuts a drain or opens too few files', () => {
    const limits = { drainSeconds: 60, connections: 500_000 };
    expect(unitFaults('TimeoutStopSec=120\nLimitNOFILE=1048576\n', limits)).toHaveLength(1);
    expect(unitFaults('TimeoutStopSec=65\nLimitNOFILE=1048576\n', limits)).toHaveLength(1);
    expect(unitFaults('TimeoutStopSec=75\nLimitNOFILE=65536\n', limits)).toHaveLength(1);
    expect(unitFaults('', limits)).toHaveLength(3);
  });

  it('suits every drain and every number of clients that Terraform allows', async (context) => {
    if (!existsSync(UNIT)) context.skip('infra/systemd/tradewind-edge.service is not here yet');
    const limits = {
      drainSeconds: await greatest('drain_seconds'),
      connections: await greatest('max_connections'),
    };
    expect(limits).toEqual({ drainSeconds: 60, connections: 500_000 });
    expect(unitFaults(readFileSync(UNIT, 'utf8'), limits)).toEqual([]);
  });
});
