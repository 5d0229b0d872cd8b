import type { Row } from './dashboard.ts';
import { CLIENT_ROWS } from './panels/client-panels.ts';
import { INBOUND_ROWS } from './panels/inbound-panels.ts';
import { RESOURCE_ROWS } from './panels/resource-panels.ts';

/** What the dashboard shows, from what is looked at first to what is looked at when something is wrong. */
export const ROWS: readonly Row[] = [...CLIENT_ROWS, ...INBOUND_ROWS, ...RESOURCE_ROWS];
