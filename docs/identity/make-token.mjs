// Prints a token: node make-token.mjs KEY_FILE SUBJECT. Needs jose.
import { readFileSync } from 'node:fs';
import { SignJWT } from 'jose';

const [, , keyFile, subject] = process.argv;
const token = await new SignJWT({ tw: { channels: ['BTC.*'], history: ['BTC.*'] } })
  .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
  .setSubject(subject)
  .setExpirationTime('10m')
  .sign(readFileSync(keyFile));
console.log(token);
