// Drives docs/publish/publish.go for the tests: a line of JSON for each call, and one for each answer.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"publisher/publish"
)

type item struct {
	Channel string
	Text    *string
	Base64  []byte
	JSON    json.RawMessage
	Key     string
}

type request struct {
	Items      []item
	Many       bool
	DeadlineMs int
}

func dataOf(i item) any {
	if i.Text != nil {
		return *i.Text
	}
	if i.Base64 != nil {
		return i.Base64
	}
	var value any
	if err := json.Unmarshal(i.JSON, &value); err != nil {
		log.Fatal(err)
	}
	return value
}

func told(published publish.Published, err *publish.Error) any {
	if err == nil {
		return map[string]any{"epoch": published.Epoch, "offset": published.Offset, "duplicate": published.Duplicate}
	}
	state := "no"
	if err.Unknown {
		state = "unknown"
	}
	return map[string]any{"code": err.Code, "retryable": err.Retryable, "published": state}
}

func main() {
	var options struct {
		History, HistoryTTLMs, KeyWindowMs, DeadlineMs, MaxPublicationBytes int
		UseFunction                                                         bool
	}
	if err := json.Unmarshal([]byte(os.Getenv("OPTIONS")), &options); err != nil {
		log.Fatal(err)
	}
	_, isCluster := os.LookupEnv("REDIS_CLUSTER")
	publisher := publish.New(func() redis.UniversalClient {
		settings, err := redis.ParseURL(os.Getenv("REDIS_URL"))
		if err != nil {
			log.Fatal(err)
		}
		if isCluster {
			return redis.NewClusterClient(&redis.ClusterOptions{
				Addrs: []string{settings.Addr}, Username: settings.Username, Password: settings.Password,
				ContextTimeoutEnabled: true, MaxRetries: -1,
			})
		}
		settings.ContextTimeoutEnabled, settings.MaxRetries = true, -1
		return redis.NewClient(settings)
	}, publish.Options{
		History:             options.History,
		HistoryTTL:          time.Duration(options.HistoryTTLMs) * time.Millisecond,
		KeyWindow:           time.Duration(options.KeyWindowMs) * time.Millisecond,
		Deadline:            time.Duration(options.DeadlineMs) * time.Millisecond,
		MaxPublicationBytes: options.MaxPublicationBytes,
		UseFunction:         options.UseFunction,
	})
	defer publisher.Close()
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			log.Fatal(err)
		}
		publications := make([]publish.Publication, len(r.Items))
		for i, each := range r.Items {
			publications[i] = publish.Publication{Channel: each.Channel, Data: dataOf(each), Key: each.Key}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.DeadlineMs)*time.Millisecond)
		results := []any{}
		if r.Many {
			for _, result := range publisher.PublishMany(ctx, publications) {
				results = append(results, told(result.Published, result.Err))
			}
		} else {
			published, err := publisher.Publish(ctx, publications[0])
			var refusal *publish.Error
			if err != nil && !errors.As(err, &refusal) {
				log.Fatal(err)
			}
			results = append(results, told(published, refusal))
		}
		cancel()
		text, err := json.Marshal(results)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(text))
	}
}
