export * from './admin-client.ts';
export * from './fleet.ts';
export * from './reach.ts';
export * from './rebalance.ts';
export * from './report.ts';
export * from './roll.ts';
