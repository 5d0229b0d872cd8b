// Package publish publishes to Tradewind's channels through Redis, each publication once. Copy this file and
// tradewind_publish_1.lua.
//
//	settings := &redis.Options{Addr: "127.0.0.1:6379", ContextTimeoutEnabled: true, MaxRetries: -1}
//	publisher := publish.New(func() *redis.Client { return redis.NewClient(settings) }, publish.Options{})
//	defer publisher.Close()
//	published, err := publisher.Publish(ctx, publish.Publication{Channel: "BTC.trade", Data: trade, Key: trade.ID})
//
// On a Cluster connect returns a *redis.ClusterClient, of redis.ClusterOptions with the same two settings.
//
// It needs github.com/redis/go-redis/v9. docs/publishing.md has the contract, conformance.json what it is tested with. It starts no
// goroutine and keeps no queue.
package publish

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
)

//go:embed tradewind_publish_1.lua
var scriptText string

const (
	scriptName  = "tradewind_publish_1"
	scriptSHA   = "6488e9925bb82d9b2be92d23f97d022aa7ad4f9f"
	maxKeyBytes = 128
	// Publications in one pipeline.
	pipelineSize = 512
	// Waits between tries are drawn from 0 to the first, doubled with each try, up to the second.
	firstWait, maxWait = 25 * time.Millisecond, time.Second
	// With this notAfterMs Redis publishes nothing, but answers to a key that it knows.
	longAgo = int64(1)
	// A try takes six round trips at most; with less time left, none is begun.
	lastTry = 20 * time.Millisecond
	// How long an answer may take before the connection counts as lost.
	answerTimeout = 2 * time.Second
	// Redis' clock is asked this often, and again after this long.
	clockMeasurements, clockCountsFor = 5, time.Minute
)

var (
	channelGrammar = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127}$`)
	epochGrammar   = regexp.MustCompile(`^[A-Za-z0-9]{1,16}$`)
	// Before version 7, Redis puts the script's line in front.
	firstWord = regexp.MustCompile(`^(?:@\w+: \d+: )?-?([A-Z][A-Z0-9_]+)(?: |$)`)
	// Ends by itself: the same call again may succeed.
	passing = setOf("LOADING BUSY UNKILLABLE OOM MISCONF CLUSTERDOWN TRYAGAIN NOSCRIPT READONLY MASTERDOWN NOREPLICAS NOFUNCTION TWLATE CONNECTION TIMEOUT")
	// The server may no longer be the master, or is silent: only a new connection helps.
	stale = setOf("READONLY MASTERDOWN NOREPLICAS TIMEOUT")
)

// Options of a publisher; 0 stands for the default, in brackets.
type Options struct {
	History             int           // publications that a channel keeps, up to 100,000 (1,000); negative: none
	HistoryTTL          time.Duration // how long they outlive the last one (1 h)
	KeyWindow           time.Duration // how long Redis remembers a key (10 min); longer than any repetition
	Deadline            time.Duration // how long a call goes on trying (5 s); Redis publishes nothing of it later than that
	MaxPublicationBytes int           // the edges' EDGE_MAX_PUBLICATION_BYTES (65,536)
	UseFunction         bool          // calls the Function library from the start, for a user who may send no script
	Classic             bool          // publishes by PUBLISH on a Cluster too, whose edges have REDIS_PUBSUB=classic
}

// Publication is text ([]byte or string, as it is) or anything that encoding/json takes. Without a Key it gets a random one.
type Publication struct {
	Channel string
	Data    any
	Key     string
}

// Published is where a publication stands. Duplicate: Redis knew the key, by an earlier call or by a try whose answer was lost.
type Published struct {
	Epoch     string
	Offset    int64
	Duplicate bool
}

// Error says that a publication was not published, or that nobody knows.
type Error struct {
	// Code is the first word of Redis' answer, or BAD_CHANNEL, BAD_KEY, BAD_PAYLOAD, TOO_LARGE (refused here), CONNECTION, TIMEOUT,
	// NOFUNCTION, OVERTAKEN (a later one of the channel was published, this one was not), BAD_REPLY.
	Code, Message, Channel, Key string
	// Retryable: the same call with the same key may succeed later.
	Retryable bool
	// Unknown: it may have been published. Repeat it with the same key, which publishes it at most once.
	Unknown bool
}

func (e *Error) Error() string { return e.Channel + ": " + e.Code + ": " + e.Message }

// Result has either Err or where the publication stands.
type Result struct {
	Published
	Err *Error
}

// Publisher may be used by many goroutines.
type Publisher struct {
	connect func() redis.UniversalClient
	options Options

	mutex        sync.Mutex
	client       redis.UniversalClient
	usesFunction bool
	isLoaded     bool
	clocks       map[string]clock // by the server's address
}

// A server's clock, when it was measured, and what it was ahead of ours.
type clock struct {
	measuredAt time.Time
	offset     time.Duration
}

// New makes a publisher that owns the clients that connect makes. It makes another one when the server is demoted or silent. On a
// *redis.ClusterClient it publishes by SPUBLISH, for edges of a Cluster.
func New[Client redis.UniversalClient](connect func() Client, options Options) *Publisher {
	setDefault(&options.History, 1_000)
	setDefault(&options.HistoryTTL, time.Hour)
	setDefault(&options.KeyWindow, 10*time.Minute)
	setDefault(&options.Deadline, 5*time.Second)
	setDefault(&options.MaxPublicationBytes, 65_536)
	options.History = max(options.History, 0)
	if options.KeyWindow <= options.Deadline {
		panic("publish: KeyWindow must be longer than Deadline")
	}
	var client redis.UniversalClient = connect()
	hasTimeout, retries := false, 0
	switch known := client.(type) {
	case *redis.Client:
		hasTimeout, retries = known.Options().ContextTimeoutEnabled, known.Options().MaxRetries
	case *redis.ClusterClient:
		hasTimeout, retries = known.Options().ContextTimeoutEnabled, known.Options().MaxRetries
	default:
		panic("publish: the client must be a *redis.Client or a *redis.ClusterClient")
	}
	if !hasTimeout || retries > 0 {
		panic("publish: the client must have ContextTimeoutEnabled: true, MaxRetries: -1; its own waits would outlast the deadline")
	}
	return &Publisher{
		connect: func() redis.UniversalClient { return connect() },
		options: options, client: client, usesFunction: options.UseFunction, clocks: map[string]clock{},
	}
}

// Close ends the connections.
func (p *Publisher) Close() error { return p.currentClient().Close() }

// Publish publishes one. The error is an *Error.
func (p *Publisher) Publish(ctx context.Context, publication Publication) (Published, error) {
	result := p.PublishMany(ctx, []Publication{publication})[0]
	if result.Err != nil {
		return Published{}, result.Err
	}
	return result.Published, nil
}

type call struct {
	Publication
	payload                                                 []byte
	isDone, isUnknown, isOvertaken, lacksScript, byFunction bool
	onlyAsks                                                bool // the next try only asks whether it was published; others of its channel wait for the answer
	isRedirected                                            bool // a Cluster's server said that another one has the slot, or is gone
	lastFailure                                             answer
	result                                                  Result
}

type answer struct {
	published     Published
	code, message string // empty if published
	isUnknown     bool
}

// PublishMany publishes in pipelines, in the order of each channel, and returns one result each. The deadline, or that of ctx if it is
// earlier, is one for all.
func (p *Publisher) PublishMany(ctx context.Context, publications []Publication) []Result {
	deadline := time.Now().Add(p.options.Deadline)
	if earlier, ok := ctx.Deadline(); ok && earlier.Before(deadline) {
		deadline = earlier
	}
	calls := make([]*call, len(publications))
	var sendable []*call
	for i, publication := range publications {
		calls[i] = p.prepare(publication)
		if !calls[i].isDone {
			sendable = append(sendable, calls[i])
		}
	}
	for len(sendable) > 0 {
		size := min(pipelineSize, len(sendable))
		p.settle(ctx, sendable[:size], deadline)
		sendable = sendable[size:]
	}
	results := make([]Result, len(calls))
	for i, each := range calls {
		results[i] = each.result
	}
	return results
}

func (p *Publisher) prepare(publication Publication) *call {
	c := &call{Publication: publication}
	if c.Key == "" {
		c.Key = rand.Text()
	}
	if !channelGrammar.MatchString(c.Channel) || strings.HasPrefix(c.Channel, "tw:") {
		c.fail("BAD_CHANNEL", "must be [A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127} and not begin with tw:")
		return c
	}
	if len(c.Key) > maxKeyBytes || !utf8.ValidString(c.Key) {
		c.fail("BAD_KEY", fmt.Sprintf("the key must have 1 to %d bytes of UTF-8", maxKeyBytes))
		return c
	}
	var err error
	switch data := c.Data.(type) {
	case []byte:
		c.payload = data
	case string:
		c.payload = []byte(data)
	default:
		c.payload, err = encodeJSON(data)
	}
	if err != nil || !utf8.Valid(c.payload) {
		c.fail("BAD_PAYLOAD", fmt.Sprintf("the payload is not UTF-8 or no JSON: %v", err))
		return c
	}
	// Text that is no JSON reaches clients as a JSON string, so it counts escaped.
	size, most := len(c.payload), p.options.MaxPublicationBytes
	if size <= most && 6*size+2 > most && !json.Valid(c.payload) {
		escaped, _ := encodeJSON(string(c.payload))
		size = len(escaped)
	}
	if size > most {
		c.fail("TOO_LARGE", fmt.Sprintf("it is sent with more than %d bytes", most))
	}
	return c
}

func (p *Publisher) settle(ctx context.Context, calls []*call, deadline time.Time) {
	for wait := firstWait; time.Now().Before(deadline) && ctx.Err() == nil; {
		isRefusedForm := p.take(calls, p.round(calls, deadline))
		var open []*call
		for _, each := range calls {
			if !each.isDone {
				open = append(open, each)
			}
		}
		if calls = open; len(calls) == 0 {
			return
		}
		if isRefusedForm {
			continue
		}
		left := time.Until(deadline)
		if left > lastTry { // the last wait leaves time for a last try
			left = min(mathrand.N(wait), left-lastTry)
		}
		select {
		case <-ctx.Done():
		case <-time.After(left):
		}
		wait = min(2*wait, maxWait)
	}
	for _, each := range calls {
		if each.lastFailure.code == "" {
			each.lastFailure = answer{code: "TIMEOUT", message: "the deadline has passed"}
		}
		each.fail(each.lastFailure.code, each.lastFailure.message)
	}
}

// One pipeline; one answer each.
func (p *Publisher) round(calls []*call, deadline time.Time) []answer {
	answers := make([]answer, len(calls))
	client := p.currentClient()
	ctx, cancel := context.WithTimeout(context.Background(), max(time.Millisecond, min(answerTimeout, time.Until(deadline))))
	defer cancel()
	p.mutex.Lock()
	isLoaded, usesFunction := p.isLoaded, p.usesFunction
	p.mutex.Unlock()
	commands := make([]*redis.Cmd, len(calls))
	_, isCluster := client.(*redis.ClusterClient)
	asking, alone, channels, latest := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]int64{}
	for _, c := range calls {
		asking[c.Channel] = asking[c.Channel] || c.onlyAsks
		alone[c.Channel] = alone[c.Channel] || c.isRedirected
	}
	// A pipeline for each server, since one of a ClusterClient would repeat some of its commands, and so change their order.
	pipelines := map[*redis.Client]redis.Pipeliner{}
	for i, c := range calls {
		if asking[c.Channel] && !c.onlyAsks {
			continue
		}
		if _, isKnown := latest[c.Channel]; !isKnown {
			notAfter, err := p.redisTime(ctx, client, c.Channel, deadline)
			if err != nil { // its calls are not sent
				latest[c.Channel] = 0
				answers[i] = failureOf(err)
				answers[i].isUnknown = false
				p.learn(client, c, answers[i])
				continue
			}
			latest[c.Channel] = notAfter
		}
		if latest[c.Channel] == 0 {
			answers[i] = answer{code: "CONNECTION", message: "the server of the channel does not answer"}
			continue
		}
		words := []any{"evalsha", scriptSHA}
		c.byFunction = usesFunction
		if usesFunction {
			words = []any{"fcall", scriptName}
		} else if !channels[c.Channel] && (c.lacksScript || !isLoaded && len(calls) > 1) {
			words = []any{"eval", scriptText}
		}
		channels[c.Channel] = true
		notAfter := latest[c.Channel]
		if c.onlyAsks {
			notAfter = longAgo
		}
		words = append(words, 2, "{"+c.Channel+"}:meta", "{"+c.Channel+"}:log", c.Channel, c.payload,
			p.options.History, p.options.HistoryTTL.Milliseconds(), c.Key, p.options.KeyWindow.Milliseconds(), notAfter)
		if isCluster && !p.options.Classic {
			words = append(words, "sharded")
		}
		if alone[c.Channel] {
			commands[i] = client.Do(ctx, words...) // is followed to another server
			continue
		}
		server, err := serverOf(ctx, client, c.Channel)
		if err != nil {
			answers[i] = failureOf(err)
			answers[i].isUnknown = false
			continue
		}
		if pipelines[server] == nil {
			pipelines[server] = server.Pipeline()
		}
		commands[i] = pipelines[server].Do(ctx, words...)
	}
	var all sync.WaitGroup
	for _, pipeline := range pipelines {
		all.Go(func() { pipeline.Exec(ctx) }) // each command has its own error
	}
	all.Wait()
	for i, command := range commands {
		if command == nil {
			continue
		}
		reply, err := command.Slice()
		if err != nil && command.Err() != nil {
			answers[i] = failureOf(err)
		} else {
			answers[i] = readReply(reply)
		}
		if answers[i].code != "" {
			p.learn(client, calls[i], answers[i])
		}
	}
	return answers
}

// Takes over what one round brought. Returns whether another round can begin at once.
func (p *Publisher) take(calls []*call, answers []answer) (isRefusedForm bool) {
	published, open := map[string]bool{}, map[string]int{}
	for i := len(calls) - 1; i >= 0; i-- {
		c, a := calls[i], answers[i]
		if a.published.Epoch != "" {
			published[c.Channel] = true
			c.isDone, c.result = true, Result{Published: a.published}
			p.mutex.Lock()
			p.isLoaded = true
			p.mutex.Unlock()
			continue
		}
		if a.code != "" { // none: it waited for others
			isForm := isOtherForm(c, a) || c.isRedirected && isRedirection(a)
			c.isUnknown = c.isUnknown || a.isUnknown
			// What Redis said before tells more than that the deadline cut the last try short.
			if a.code != "TIMEOUT" || c.lastFailure.code == "" {
				c.lastFailure = a
			}
			isRefusedForm = isRefusedForm || isForm
			if c.onlyAsks && a.code == "TWLATE" {
				c.isUnknown, c.onlyAsks, isRefusedForm = false, false, true
			} else if !isForm && !passing[a.code] {
				c.fail(a.code, a.message)
				continue
			}
		}
		c.isOvertaken = c.isOvertaken || published[c.Channel]
		if c.isOvertaken && !c.isUnknown {
			c.fail("OVERTAKEN", "a later publication of the channel was published")
		} else {
			open[c.Channel]++
		}
	}
	// If a later one was published, an earlier one must not be any more. So it is asked first which of them were.
	for _, c := range calls {
		c.onlyAsks = c.onlyAsks || c.isUnknown && (c.isOvertaken || open[c.Channel] > 1)
	}
	return isRefusedForm
}

// Whether Redis would take the same call in another form.
func isOtherForm(c *call, a answer) bool {
	isForbidden := strings.Contains(a.message, "'eval'") || strings.Contains(a.message, "'evalsha'")
	return a.code == "NOSCRIPT" || a.code == "NOPERM" && isForbidden && !c.byFunction
}

func isRedirection(a answer) bool { return a.code == "MOVED" || a.code == "ASK" }

// Draws the consequences of a failure for the next try.
func (p *Publisher) learn(used redis.UniversalClient, c *call, a answer) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	c.lacksScript = c.lacksScript || a.code == "NOSCRIPT"
	if cluster, isCluster := used.(*redis.ClusterClient); isCluster {
		c.isRedirected = isRedirection(a) || a.code == "CONNECTION"
		if c.isRedirected {
			cluster.ReloadState(context.Background())
		}
	}
	p.usesFunction = p.usesFunction || a.code == "NOPERM" && isOtherForm(c, a)
	if a.code == "NOSCRIPT" || a.isUnknown {
		p.isLoaded = false
	}
	if passing[a.code] && a.code != "NOSCRIPT" {
		clear(p.clocks)
	}
	if stale[a.code] && p.client == used {
		p.client = p.connect()
		used.Close()
	}
}

func (p *Publisher) currentClient() redis.UniversalClient {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.client
}

func serverOf(ctx context.Context, client redis.UniversalClient, channel string) (*redis.Client, error) {
	if cluster, isCluster := client.(*redis.ClusterClient); isCluster {
		return cluster.MasterForKey(ctx, "{"+channel+"}:meta")
	}
	return client.(*redis.Client), nil
}

// The moment on the clock of the channel's server, in ms, measured by the quickest of some answers.
func (p *Publisher) redisTime(ctx context.Context, client redis.UniversalClient, channel string, moment time.Time) (int64, error) {
	server, err := serverOf(ctx, client, channel)
	if err != nil {
		return 0, err
	}
	address := server.Options().Addr
	p.mutex.Lock()
	known := p.clocks[address]
	p.mutex.Unlock()
	if time.Since(known.measuredAt) >= clockCountsFor {
		best := time.Duration(math.MaxInt64)
		for range clockMeasurements {
			sent := time.Now()
			theirs, err := server.Time(ctx).Result()
			if err != nil {
				return 0, err
			}
			if roundTrip := time.Since(sent); roundTrip < best {
				best, known.offset = roundTrip, theirs.Sub(sent.Add(roundTrip/2).Round(0))
			}
		}
		known.measuredAt = time.Now()
		p.mutex.Lock()
		p.clocks[address] = known
		p.mutex.Unlock()
	}
	return moment.Add(known.offset).UnixMilli() + 1, nil
}

func (c *call) fail(code, message string) {
	// The script looks for the key before it looks at the clock: what is late now was not published before.
	isUnknown := c.isUnknown && code != "TWLATE"
	c.isDone = true
	c.result = Result{Err: &Error{code, message, c.Channel, c.Key, passing[code] || code == "OVERTAKEN", isUnknown}}
}

func failureOf(err error) answer {
	var reply redis.Error
	if !errors.As(err, &reply) {
		var network net.Error
		if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout() {
			return answer{code: "TIMEOUT", message: err.Error(), isUnknown: true}
		}
		return answer{code: "CONNECTION", message: err.Error(), isUnknown: true}
	}
	code, message := "ERR", reply.Error()
	if word := firstWord.FindStringSubmatch(message); word != nil {
		code = word[1]
	}
	if code == "ERR" && strings.Contains(message, "Function not found") {
		code = "NOFUNCTION"
	}
	return answer{code: code, message: message}
}

func readReply(reply []any) answer {
	if len(reply) == 3 {
		epoch, hasEpoch := reply[0].(string)
		offset, hasOffset := reply[1].(int64)
		if hasEpoch && hasOffset && epochGrammar.MatchString(epoch) && offset >= 1 {
			return answer{published: Published{epoch, offset, reply[2] == int64(1)}}
		}
	}
	return answer{code: "BAD_REPLY", message: scriptName + " gave an answer that is not its own", isUnknown: true}
}

// JSON without the escapes for HTML.
func encodeJSON(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}

func setDefault[T comparable](value *T, standard T) {
	var zero T
	if *value == zero {
		*value = standard
	}
}

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(words) {
		set[word] = true
	}
	return set
}
