// Prints a token: go run make_token.go KEY_FILE SUBJECT
//
// Needs github.com/golang-jwt/jwt/v5.
package main

import (
	"fmt"
	"log"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func main() {
	key, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	now := time.Now()
	globs := []string{"BTC.*"}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": os.Args[2],
		"iat": now.Unix(), // A token without it is refused for as long as its subject is revoked.
		"exp": now.Add(10 * time.Minute).Unix(),
		"tw":  map[string]any{"channels": globs, "history": globs},
	})
	text, err := token.SignedString(key)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(text)
}
