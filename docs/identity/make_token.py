"""Prints a token: python3 make_token.py KEY_FILE SUBJECT. Needs PyJWT (Debian: python3-jwt)."""

import pathlib
import sys
import time

import jwt

key = pathlib.Path(sys.argv[1]).read_bytes()
now = int(time.time())
claims = {
    "sub": sys.argv[2],
    "iat": now,  # A token without it is refused for as long as its subject is revoked.
    "exp": now + 600,
    "tw": {"channels": ["BTC.*"], "history": ["BTC.*"]},
}
print(jwt.encode(claims, key, algorithm="HS256"))
