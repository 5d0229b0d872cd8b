import { buildLibrary } from './build-library.ts';

const [folder, out] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: build-library-main.ts FOLDER [OUT]');
await buildLibrary(folder, out);
