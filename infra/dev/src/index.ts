export * from './bring-redis.ts';
export * from './death-watch.ts';
export * from './free-port.ts';
export * from './metrics-text.ts';
export * from './owned-process.ts';
export * from './redis-image.ts';
export * from './redis-server.ts';
export * from './service-process.ts';
