import { readFileSync } from 'node:fs';
import { CLOSE_CODES, ERROR_CODES } from '@tradewind/protocol';
import { type Limit, limitRows } from '@tradewind/runtime';
import { describe, expect, it } from 'vitest';
import { readEdgeConfig } from '../config/config.ts';
import type { EdgeConfig } from '../config/edge-config.ts';
import { EDGE_LIMITS, LIMITED_TOTAL } from './limit-table.ts';

const DOCUMENT = readFileSync(new URL('../../../../docs/limits.md', import.meta.url), 'utf8');
const CONFIGURATION = readFileSync(
  new URL('../../../../docs/configuration.md', import.meta.url),
  'utf8',
);
const METRICS = readFileSync(new URL('../../../../docs/metrics.md', import.meta.url), 'utf8');
const LIMITS: readonly (readonly [string, Limit<EdgeConfig>])[] = Object.entries(EDGE_LIMITS);

/** What a refusal may carry beside a code. */
const FIELDS = [
  'gap',
  'replay',
  'requests',
  'id',
  'reason',
  'retryAfterMs',
  'Retry-After',
  'unsubscribed',
];

describe('docs/limits.md, Edge', () => {
  it('lists every limit with its default, and no other', () => {
    const [, body = ''] = DOCUMENT.split('\n## Edge\n');
    const [table = ''] = body.split('\n## ');
    const rows = table.split('\n').filter((line) => line.startsWith('| `'));
    expect(rows).toEqual(limitRows(EDGE_LIMITS, readEdgeConfig({}), LIMITED_TOTAL));
  });

  it.each(LIMITS)('%s: names variables, codes and metrics that there are', (_name, limit) => {
    for (const variable of limit.variables) expect(CONFIGURATION).toContain(`| \`${variable}\``);
    const codes = [...limit.told.matchAll(/`([\w-]+)`/g)].map(([, code]) => code);
    const known = [...Object.keys(ERROR_CODES), ...Object.keys(CLOSE_CODES), ...FIELDS];
    for (const code of codes) expect(known).toContain(code);
    expect(METRICS).toContain(`| \`${(limit.countedBy ?? LIMITED_TOTAL).replace(/{.*/, '')}\` |`);
  });
});
