export * from './deliver.ts';
export type { Loss, Notice } from './losses.ts';
export * from './outbox.ts';
export * from './publication.ts';
export * from './publication-log.ts';
export * from './replay.ts';
export * from './send-queues.ts';
export * from './slow-policy.ts';
export * from './subscription-index.ts';
