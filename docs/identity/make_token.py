"""Prints a token: python3 make_token.py KEY_FILE SUBJECT. Needs PyJWT (Debian: python3-jwt)."""

import pathlib
import sys
import time

import jwt

key = pathlib.Path(sys.argv[1]).read_bytes()
claims = {
    "sub": sys.argv[2],
    "exp": int(time.time()) + 600,
    "tw": {"channels": ["BTC.*"], "history": ["BTC.*"]},
}
print(jwt.encode(claims, key, algorithm="HS256"))
