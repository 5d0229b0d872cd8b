import { describe, expect, it } from 'vitest';
import { inNamesOfStart } from './cluster.ts';

describe('inNamesOfStart', () => {
  const names = { PORT: 'START_EDGE_2_PORT', ADMIN_PORT: 'START_EDGE_2_ADMIN_PORT' } as const;

  it('names the variable of npm start that moves a port which a service found in use', () => {
    const line = (setting: string) => `edge: port 9082 is in use; set ${setting} to another`;
    expect(inNamesOfStart(line('ADMIN_PORT'), names)).toBe(
      'edge: port 9082 is in use; set START_EDGE_2_ADMIN_PORT to a free one',
    );
    expect(inNamesOfStart(line('PORT'), names)).toBe(
      'edge: port 9082 is in use; set START_EDGE_2_PORT to a free one',
    );
  });
});
