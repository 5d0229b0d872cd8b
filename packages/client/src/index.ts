export * from './connect.ts';
export * from './errors.ts';
export * from './exact-numbers.ts';
export * from './page/session-positions.ts';
export type * from './types.ts';
