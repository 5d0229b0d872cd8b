export * from './make-release.ts';
export * from './services.ts';
export * from './unit-file.ts';
