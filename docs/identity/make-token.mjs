// Prints a token: node make-token.mjs KEY_FILE SUBJECT. Needs jose: copy this file to a folder of yours, and run `npm install jose` there.
import { readFileSync } from 'node:fs';
import { SignJWT } from 'jose';

const [, , keyFile, subject] = process.argv;
const token = await new SignJWT({ tw: { channels: ['BTC.*'], history: ['BTC.*'] } })
  .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
  .setSubject(subject)
  .setIssuedAt() // A token without it is refused for as long as its subject is revoked.
  .setExpirationTime('10m')
  .sign(readFileSync(keyFile));
console.log(token);
