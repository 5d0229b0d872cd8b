export type { EpochChange, Loss, Replay } from './backlog.ts';
export * from './deliver.ts';
export * from './outbox.ts';
export * from './publication.ts';
export * from './publication-log.ts';
export * from './slow-policy.ts';
export * from './subscription-index.ts';
export * from './waiting-frames.ts';
