// Publishes with an offset: go run publish.go CHANNEL PAYLOAD [IDEMPOTENCY_KEY]
//
// Needs github.com/redis/go-redis/v9. REDIS_URL says where Redis is.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"log"
	"os"

	"github.com/redis/go-redis/v9"
)

//go:embed tradewind_publish_1.lua
var scriptText string

const (
	historySize  = 100
	historyTTLMs = 3_600_000
	windowMs     = 600_000
	notAfterMs   = 0 // any time; or time.Now().UnixMilli() + 5_000
)

// Sends EVALSHA, and EVAL when Redis does not know the script.
var tradewindPublish = redis.NewScript(scriptText)

// publish returns epoch, offset, and whether the idempotency key was known.
func publish(ctx context.Context, client *redis.Client, channel, payload, key string) (string, int64, bool, error) {
	keys := []string{"{" + channel + "}:meta", "{" + channel + "}:log"}
	reply, err := tradewindPublish.Run(ctx, client, keys,
		channel, payload, historySize, historyTTLMs, key, windowMs, notAfterMs).Slice()
	if err != nil {
		return "", 0, false, err
	}
	return reply[0].(string), reply[1].(int64), reply[2].(int64) == 1, nil
}

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: publish CHANNEL PAYLOAD [IDEMPOTENCY_KEY]")
	}
	url := os.Getenv("REDIS_URL")
	if url == "" {
		url = "redis://127.0.0.1:6379"
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		log.Fatal(err)
	}
	key := ""
	if len(os.Args) > 3 {
		key = os.Args[3]
	}
	client := redis.NewClient(options)
	defer client.Close()
	epoch, offset, duplicate, err := publish(context.Background(), client, os.Args[1], os.Args[2], key)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(epoch, offset, duplicate)
}
