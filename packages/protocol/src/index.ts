export * from './channel.ts';
export * from './client-message.ts';
export * from './close-codes.ts';
export * from './error-codes.ts';
export * from './limits.ts';
export * from './position.ts';
export * from './publication.ts';
export * from './server-message.ts';
