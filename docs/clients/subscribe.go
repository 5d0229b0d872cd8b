// Receives channels from an edge: go run subscribe.go ws://127.0.0.1:8080/ws CHANNEL...
//
// A client to copy: the rules of docs/protocol.md for up to 128 channels. docs/clients.md says more. Needs
// github.com/coder/websocket, whose SetReadLimit must be called.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

// The library allows 32,768 by default, which is less than `limits.maxPublicationBytes`.
const maxMessageBytes = 1 << 20

var (
	resume  = []int{1001, 1005, 1006, 1012, 4002, 4008} // after these the first wait is short again
	final   = []int{1000, 1002, 1007, 1008, 1009}
	passing = []string{"rate_limited", "unavailable", "node_channels_full"}
)

type position struct {
	Epoch  string `json:"epoch"`
	Offset int64  `json:"offset"`
}

type answer struct {
	Channel      string  `json:"channel"`
	Epoch        *string `json:"epoch"`
	Offset       *int64  `json:"offset"`
	Recovered    bool    `json:"recovered"`
	Replayed     int     `json:"replayed"`
	Reason       string  `json:"reason"`
	Code         string  `json:"code"`
	RetryAfterMs *int64  `json:"retryAfterMs"`
}

// frame has the fields of every frame that this client uses.
type frame struct {
	Type      string          `json:"type"`
	ID        *int            `json:"id"`
	Channel   string          `json:"channel"`
	Channels  json.RawMessage `json:"channels"`
	Rejected  []answer        `json:"rejected"`
	Epoch     string          `json:"epoch"`
	Offset    *int64          `json:"offset"`
	To        *int64          `json:"to"`
	Reason    string          `json:"reason"`
	Code      string          `json:"code"`
	Retryable bool            `json:"retryable"`
	AfterMs   int64           `json:"afterMs"`
	Heartbeat struct {
		ClientPingMs int64 `json:"clientPingMs"`
		TimeoutMs    int64 `json:"timeoutMs"`
	} `json:"heartbeat"`
	Reconnect struct {
		SpreadMs int64 `json:"spreadMs"`
	} `json:"reconnect"`
}

// link is one connection. It becomes the current one when it says `welcome`.
type link struct {
	conn    *websocket.Conn
	cancel  context.CancelFunc
	welcome *frame
}

type state struct {
	epoch    *string
	offset   *int64
	hadSince bool
	isAsked  bool
}

// Subscriber receives channels. On is given every publication (a frame without type), every gap, and three more: begins
// (what follows does not continue what came before; it has no offset if the next publication tells it), refused (a
// channel will never come) and stopped (nothing will). All of it runs in the goroutine of Run.
type Subscriber struct {
	URL string
	On  func(text []byte)

	acts             chan func()
	channels         []string
	states           map[string]*state
	current, opening *link
	opener, asker    *time.Timer
	bound            time.Duration
	isStopped        bool
}

// Run receives until it is stopped by a code that another try would meet again.
func (s *Subscriber) Run(channels ...string) {
	s.acts = make(chan func())
	s.channels, s.states, s.bound = channels, map[string]*state{}, time.Second
	for _, name := range channels {
		s.states[name] = &state{}
	}
	s.opener = time.AfterFunc(0, s.later(s.open))
	s.asker = time.AfterFunc(time.Hour, s.later(s.ask))
	for !s.isStopped {
		(<-s.acts)()
	}
}

func (s *Subscriber) later(act func()) func() {
	return func() { s.acts <- act }
}

func (s *Subscriber) open() {
	if s.opening != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &link{cancel: cancel}
	s.opening = l
	go s.receive(ctx, l)
}

// receive runs in a goroutine of its own, one for each connection.
func (s *Subscriber) receive(ctx context.Context, l *link) {
	defer l.cancel()
	deadline := time.AfterFunc(10*time.Second, l.cancel) // `welcome` must come by then
	defer deadline.Stop()
	conn, response, err := websocket.Dial(ctx, s.URL, &websocket.DialOptions{Subprotocols: []string{"tradewind.v1.json"}})
	if err != nil {
		status, least := 0, 0
		if response != nil {
			status = response.StatusCode
			least, _ = strconv.Atoi(response.Header.Get("Retry-After"))
		}
		s.acts <- func() { s.refusedHandshake(l, status, time.Duration(least)*time.Second) }
		return
	}
	conn.SetReadLimit(maxMessageBytes)
	l.conn = conn
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			code := int(websocket.CloseStatus(err)) // -1 if there was no close frame
			if code < 0 {
				code = 1006
			}
			s.acts <- func() { s.end(l, code, 0) }
			return
		}
		deadline.Stop()
		var f frame
		if json.Unmarshal(text, &f) != nil {
			continue
		}
		if f.Type == "welcome" {
			go probe(ctx, l, f)
		}
		s.acts <- func() { s.take(l, f, text) }
	}
}

// probe ends a connection that answers no ping. Pings need somebody who reads, and never wait by a deadline of a read.
func probe(ctx context.Context, l *link, welcome frame) {
	every := time.Duration(welcome.Heartbeat.ClientPingMs) * time.Millisecond
	timeout := time.Duration(welcome.Heartbeat.TimeoutMs) * time.Millisecond
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
		limited, cancel := context.WithTimeout(ctx, timeout)
		if l.conn.Ping(limited) != nil {
			l.cancel()
		}
		cancel()
	}
}

func (s *Subscriber) refusedHandshake(l *link, status int, least time.Duration) {
	if status != 0 && status != 429 && status < 500 {
		s.stop(status)
		return
	}
	s.end(l, 1006, least)
}

func (s *Subscriber) end(l *link, code int, least time.Duration) {
	if l != s.current && l != s.opening {
		return // it was left
	}
	l.cancel()
	if l == s.opening {
		s.opening = nil
	} else {
		s.current = nil
	}
	if slices.Contains(final, code) || (code >= 4400 && code < 5000) {
		s.stop(code)
		return
	}
	if l.welcome != nil && slices.Contains(resume, code) {
		s.bound = time.Second
		if code == 1006 {
			s.bound = max(s.bound, time.Duration(l.welcome.Reconnect.SpreadMs)*time.Millisecond)
		}
	}
	s.opener.Reset(max(least, rand.N(s.bound)))
	s.bound = min(30*time.Second, 2*s.bound)
}

func (s *Subscriber) stop(code any) {
	s.isStopped = true
	s.tell(map[string]any{"type": "stopped", "code": code})
}

func (s *Subscriber) ask() {
	type asked struct {
		Channel string    `json:"channel"`
		Since   *position `json:"since,omitempty"`
	}
	var wanted []asked
	for _, name := range s.channels {
		state := s.states[name]
		if state == nil || state.isAsked {
			continue
		}
		one := asked{Channel: name}
		if state.offset != nil {
			one.Since = &position{*state.epoch, *state.offset}
		}
		state.isAsked, state.hadSince = true, state.offset != nil
		wanted = append(wanted, one)
	}
	if s.current == nil || len(wanted) == 0 {
		return
	}
	text, _ := json.Marshal(map[string]any{"type": "subscribe", "id": 1, "channels": wanted})
	conn := s.current.conn
	go conn.Write(context.Background(), websocket.MessageText, text)
}

func (s *Subscriber) take(l *link, f frame, text []byte) {
	if l != s.current && l != s.opening {
		return // it was left
	}
	state := s.states[f.Channel]
	switch f.Type {
	case "welcome":
		s.welcome(l, f)
	case "", "gap":
		offset := f.Offset
		if f.Type == "gap" {
			offset = f.To
		}
		if offset != nil && state.offset != nil && *offset <= *state.offset {
			return
		}
		if offset != nil {
			state.offset = offset
		}
		s.On(text)
	case "resync":
		state.epoch, state.offset = &f.Epoch, f.Offset
		if f.Reason != "started" {
			s.begins(f.Channel, state, true)
		}
	case "subscribed":
		var held []answer
		json.Unmarshal(f.Channels, &held)
		for _, one := range held {
			s.hold(one)
		}
		for _, one := range f.Rejected {
			s.refuse(one.Channel, one.Code, one.RetryAfterMs)
		}
	case "unsubscribed":
		var names []string
		json.Unmarshal(f.Channels, &names)
		for _, name := range names {
			s.refuse(name, f.Reason, nil)
		}
	case "restored":
		s.asker.Reset(rand.N(time.Second))
	case "reconnect":
		s.opener.Reset(time.Duration(f.AfterMs) * time.Millisecond)
	case "error":
		if f.ID == nil {
			return
		}
		if f.Retryable {
			s.end(l, 1006, 0)
		} else {
			s.stop(f.Code)
		}
	}
}

func (s *Subscriber) welcome(l *link, f frame) {
	old := s.current
	l.welcome, s.current, s.opening = &f, l, nil
	s.opener.Stop()
	for _, state := range s.states {
		state.isAsked = false
	}
	if old != nil {
		go old.conn.Close(websocket.StatusNormalClosure, "") // it waits for the answer
	}
	s.ask()
}

func (s *Subscriber) hold(a answer) {
	state := s.states[a.Channel]
	if a.Recovered && state.hadSince {
		return // the replay moves it on
	}
	isOther := (a.Epoch == nil) != (state.epoch == nil) || (a.Epoch != nil && *a.Epoch != *state.epoch)
	if isOther || a.Reason == "offset_ahead" {
		state.epoch, state.offset = a.Epoch, nil
	}
	isAtEnd := a.Epoch != nil && a.Replayed == 0
	if isAtEnd && (state.offset == nil || *state.offset < *a.Offset) {
		state.offset = a.Offset
	}
	s.begins(a.Channel, state, isAtEnd)
}

func (s *Subscriber) refuse(name, code string, waitMs *int64) {
	wait := time.Second + rand.N(9*time.Second)
	if waitMs != nil {
		wait = time.Duration(*waitMs) * time.Millisecond
	}
	if slices.Contains(passing, code) {
		s.states[name].isAsked = false
	} else if s.states[name] != nil {
		delete(s.states, name)
		s.tell(map[string]any{"type": "refused", "channel": name, "code": code})
	}
	s.asker.Reset(wait)
}

func (s *Subscriber) begins(name string, state *state, isKnown bool) {
	told := map[string]any{"type": "begins", "channel": name, "epoch": state.epoch}
	if isKnown {
		told["offset"] = state.offset
	}
	s.tell(told)
}

func (s *Subscriber) tell(event map[string]any) {
	text, _ := json.Marshal(event)
	s.On(text)
}

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: subscribe URL CHANNEL...")
	}
	subscriber := Subscriber{URL: os.Args[1], On: func(text []byte) { fmt.Println(string(text)) }}
	subscriber.Run(os.Args[2:]...)
}
