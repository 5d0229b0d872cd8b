// Follows a channel with a token: go run subscribe-with-token.go WS_URL TOKEN_FILE CHANNEL
//
// Needs github.com/coder/websocket. TOKEN_FILE holds a token of your login; something of yours keeps it fresh.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

type message struct {
	Type, Epoch    string
	Offset, To     int64
	Recovered      bool
	Data, Channels json.RawMessage
}

// Where the channel stands: an epoch and an offset.
var position message

// follow uses one connection until it ends. It returns the close code, and whether a token was accepted.
func follow(ctx context.Context, url, tokenFile, channel string) (code websocket.StatusCode, accepted bool) {
	socket, _, err := websocket.Dial(ctx, url, nil)
	for err == nil {
		var m message
		err = wsjson.Read(ctx, socket, &m)
		switch {
		case m.Type == "welcome" || m.Type == "expiring":
			socket.SetReadLimit(2 << 20)
			token, _ := os.ReadFile(tokenFile)
			wsjson.Write(ctx, socket, map[string]any{"type": "auth", "token": string(token)})
		case m.Type == "authenticated" && !accepted:
			accepted = true
			wanted := map[string]any{"channel": channel}
			if position.Epoch != "" {
				wanted["since"] = map[string]any{"epoch": position.Epoch, "offset": position.Offset}
			}
			wsjson.Write(ctx, socket, map[string]any{"type": "subscribe", "channels": []any{wanted}})
		case m.Type == "subscribed":
			var answers []message
			if json.Unmarshal(m.Channels, &answers); len(answers) == 1 && !answers[0].Recovered {
				position = answers[0]
			}
		case m.Type == "resync":
			position = m
		case m.Data != nil && (m.Offset == 0 || m.Offset > position.Offset):
			fmt.Println(m.Offset, string(m.Data))
		}
		position.Offset = max(position.Offset, m.Offset, m.To) // A publication, or a gap.
	}
	return websocket.CloseStatus(err), accepted
}

func main() {
	for refused, bound := 0, time.Second; refused < 2; bound = min(30*time.Second, 2*bound) {
		code, accepted := follow(context.Background(), os.Args[1], os.Args[2], os.Args[3])
		if accepted {
			refused, bound = 0, time.Second
		}
		if code == 4401 {
			refused++
		}
		time.Sleep(time.Duration(rand.Int63n(int64(bound))))
	}
}
