import { buildLibrary } from './build-library.ts';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: build-library-main.ts FOLDER');
await buildLibrary(folder);
