// Receives channels from an edge: java -cp gson.jar subscribe.java ws://127.0.0.1:8080/ws CHANNEL...
//
// A client to copy: the rules of docs/protocol.md for up to 128 channels. docs/clients.md says more. Needs Java 17 and
// com.google.code.gson:gson. java.net.http has no limit for the size of a message.

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * Receives channels. {@code on} is given every publication (a frame without type), every gap, and three more: begins (what
 * follows does not continue what came before; it has no offset if the next publication tells it), refused (a channel
 * will never come) and stopped (nothing will). All of it runs in one thread.
 */
final class Subscriber {
  private static final Set<Integer> RESUME = Set.of(1001, 1005, 1006, 1012, 4002, 4008);
  private static final Set<Integer> FINAL = Set.of(1000, 1002, 1007, 1008, 1009);
  private static final Set<String> PASSING = Set.of("rate_limited", "unavailable", "node_channels_full");

  /** Where a channel is. */
  private static final class State {
    String epoch;
    Long offset;
    boolean hadSince;
    boolean isAsked;
  }

  /** One connection. It becomes the current one when it says {@code welcome}. */
  private final class Link implements WebSocket.Listener {
    private final StringBuilder text = new StringBuilder();
    private WebSocket socket;
    private JsonObject welcome;
    private ScheduledFuture<?> timer = after(10_000, () -> end(this, 1006, 0)); // welcome must come by then
    private boolean isSilent;
    private CompletableFuture<WebSocket> sending;

    /** One text after another: java.net.http refuses one that is sent before the last is out. */
    void send(String request) {
      sending = sending.thenCompose(ready -> ready.sendText(request, true));
    }

    @Override
    public void onOpen(WebSocket opened) {
      socket = opened;
      sending = CompletableFuture.completedFuture(opened);
      opened.request(1);
    }

    @Override
    public CompletionStage<?> onText(WebSocket from, CharSequence part, boolean isLast) {
      text.append(part); // a large message comes in parts
      if (isLast) {
        JsonObject frame = JsonParser.parseString(text.toString()).getAsJsonObject();
        text.setLength(0);
        thread.execute(() -> take(this, frame));
      }
      from.request(1);
      return null;
    }

    @Override
    public CompletionStage<?> onClose(WebSocket from, int code, String reason) {
      thread.execute(() -> end(this, code, 0));
      return null;
    }

    @Override
    public void onError(WebSocket from, Throwable error) {
      thread.execute(() -> end(this, 1006, 0));
    }

    void leave() {
      timer.cancel(false);
      if (socket == null) return;
      socket.sendClose(WebSocket.NORMAL_CLOSURE, "");
      // What does not answer the close is cut.
      after(1_000, socket::abort);
    }
  }

  private final HttpClient http = HttpClient.newHttpClient();
  private final ScheduledExecutorService thread = Executors.newSingleThreadScheduledExecutor();
  private final Map<String, State> states = new TreeMap<>();
  private final URI url;
  private final Consumer<JsonObject> on;
  private Link current;
  private Link opening;
  private ScheduledFuture<?> opener;
  private ScheduledFuture<?> asker;
  private double boundMs = 1_000;

  Subscriber(String url, List<String> channels, Consumer<JsonObject> on) {
    this.url = URI.create(url);
    this.on = on;
    for (String channel : channels) states.put(channel, new State());
    openAfter(0);
  }

  private ScheduledFuture<?> after(double ms, Runnable act) {
    return thread.schedule(act, Math.round(ms), TimeUnit.MILLISECONDS);
  }

  private void openAfter(double ms) {
    if (opener != null) opener.cancel(false);
    opener = after(ms, this::open);
  }

  private void askAfter(double ms) {
    if (asker != null) asker.cancel(false);
    asker = after(ms, this::ask);
  }

  private void open() {
    if (opening != null) return;
    Link link = new Link();
    opening = link;
    http.newWebSocketBuilder()
        .subprotocols("tradewind.v1.json")
        .connectTimeout(Duration.ofSeconds(10))
        .buildAsync(url, link)
        .whenCompleteAsync((socket, error) -> {
          if (error != null) refusedHandshake(link, error);
          else if (link != opening && link != current) socket.abort(); // it opened too late
        }, thread);
  }

  private void refusedHandshake(Link link, Throwable error) {
    Throwable cause = error instanceof CompletionException ? error.getCause() : error;
    if (!(cause instanceof WebSocketHandshakeException refused)) {
      end(link, 1006, 0);
      return;
    }
    int status = refused.getResponse().statusCode();
    long seconds = refused.getResponse().headers().firstValueAsLong("Retry-After").orElse(0);
    if (status == 429 || status >= 500) end(link, 1006, 1_000 * seconds);
    else stop(new Gson().toJsonTree(status));
  }

  private void end(Link link, int code, double leastMs) {
    if (link != current && link != opening) return; // it was left
    link.leave();
    if (link == opening) opening = null;
    else current = null;
    if (FINAL.contains(code) || (code >= 4400 && code < 5000)) {
      stop(new Gson().toJsonTree(code));
      return;
    }
    if (link.welcome != null && RESUME.contains(code)) {
      double spreadMs = link.welcome.getAsJsonObject("reconnect").get("spreadMs").getAsDouble();
      boundMs = code == 1006 ? Math.max(1_000, spreadMs) : 1_000;
    }
    openAfter(Math.max(leastMs, ThreadLocalRandom.current().nextDouble() * boundMs));
    boundMs = Math.min(30_000, 2 * boundMs);
  }

  private void stop(JsonElement code) {
    JsonObject stopped = event("stopped");
    stopped.add("code", code);
    on.accept(stopped);
    for (ScheduledFuture<?> timer : new ScheduledFuture<?>[] {opener, asker})
      if (timer != null) timer.cancel(false);
    if (current != null) current.leave();
    if (opening != null) opening.leave();
    thread.shutdown();
  }

  private void ask() {
    JsonArray asked = new JsonArray();
    states.forEach((channel, state) -> {
      if (state.isAsked) return;
      JsonObject one = new JsonObject();
      one.addProperty("channel", channel);
      state.isAsked = true;
      state.hadSince = state.offset != null;
      if (state.hadSince) {
        JsonObject since = new JsonObject();
        since.addProperty("epoch", state.epoch);
        since.addProperty("offset", state.offset);
        one.add("since", since);
      }
      asked.add(one);
    });
    if (current == null || asked.isEmpty()) return;
    JsonObject request = event("subscribe");
    request.addProperty("id", 1);
    request.add("channels", asked);
    current.send(request.toString());
  }

  private void take(Link link, JsonObject frame) {
    if (link != current && link != opening) return; // it was left
    link.isSilent = false;
    String channel = frame.has("channel") ? frame.get("channel").getAsString() : "";
    switch (frame.has("type") ? frame.get("type").getAsString() : "") {
      case "welcome" -> welcome(link, frame);
      case "" -> advance(states.get(channel), frame.get("offset"), frame);
      case "gap" -> advance(states.get(channel), frame.get("to"), frame);
      case "resync" -> {
        State state = states.get(channel);
        state.epoch = frame.get("epoch").getAsString();
        state.offset = frame.get("offset").getAsLong();
        if (!frame.get("reason").getAsString().equals("started")) begins(channel, state, true);
      }
      case "subscribed" -> {
        for (JsonElement each : frame.getAsJsonArray("channels")) hold(each.getAsJsonObject());
        if (!frame.has("rejected")) return;
        for (JsonElement each : frame.getAsJsonArray("rejected")) {
          JsonObject one = each.getAsJsonObject();
          refuse(one.get("channel").getAsString(), one.get("code").getAsString(), one.get("retryAfterMs"));
        }
      }
      case "unsubscribed" -> {
        for (JsonElement name : frame.getAsJsonArray("channels"))
          refuse(name.getAsString(), frame.get("reason").getAsString(), null);
      }
      case "restored" -> askAfter(ThreadLocalRandom.current().nextDouble(1_000));
      case "reconnect" -> openAfter(frame.get("afterMs").getAsDouble());
      case "error" -> {
        if (!frame.has("id")) return;
        if (frame.get("retryable").getAsBoolean()) end(link, 1006, 0);
        else stop(frame.get("code"));
      }
      default -> {}
    }
  }

  private void welcome(Link link, JsonObject frame) {
    if (current != null) current.leave(); // nothing of it counts any more
    opener.cancel(false);
    link.timer.cancel(false);
    link.welcome = frame;
    current = link;
    opening = null;
    long pingMs = frame.getAsJsonObject("heartbeat").get("clientPingMs").getAsLong();
    link.timer = thread.scheduleAtFixedRate(() -> probe(link), pingMs, pingMs, TimeUnit.MILLISECONDS);
    for (State state : states.values()) state.isAsked = false;
    ask();
  }

  private void probe(Link link) {
    if (link.isSilent) {
      end(link, 1006, 0);
      return;
    }
    link.isSilent = true;
    link.send("{\"type\":\"ping\"}");
  }

  private void advance(State state, JsonElement to, JsonObject frame) {
    if (to != null) {
      long offset = to.getAsLong();
      if (state.offset != null && offset <= state.offset) return;
      state.offset = offset;
    }
    on.accept(frame);
  }

  private void hold(JsonObject answer) {
    String channel = answer.get("channel").getAsString();
    State state = states.get(channel);
    boolean isRecovered = answer.has("recovered") && answer.get("recovered").getAsBoolean();
    if (isRecovered && state.hadSince) return; // the replay moves it on
    String epoch = answer.has("epoch") ? answer.get("epoch").getAsString() : null;
    boolean isAhead = answer.has("reason") && answer.get("reason").getAsString().equals("offset_ahead");
    if (isAhead || !Objects.equals(epoch, state.epoch)) {
      state.epoch = epoch;
      state.offset = null;
    }
    boolean isReplayed = answer.has("replayed") && answer.get("replayed").getAsInt() > 0;
    boolean isAtEnd = epoch != null && !isReplayed;
    if (isAtEnd) {
      long offset = answer.get("offset").getAsLong();
      state.offset = state.offset == null ? offset : Math.max(offset, state.offset);
    }
    begins(channel, state, isAtEnd);
  }

  private void refuse(String channel, String code, JsonElement waitMs) {
    if (PASSING.contains(code)) {
      states.get(channel).isAsked = false;
    } else if (states.remove(channel) != null) {
      JsonObject refused = event("refused");
      refused.addProperty("channel", channel);
      refused.addProperty("code", code);
      on.accept(refused);
    }
    askAfter(waitMs == null ? ThreadLocalRandom.current().nextDouble(1_000, 10_000) : waitMs.getAsDouble());
  }

  private void begins(String channel, State state, boolean isKnown) {
    JsonObject begins = event("begins");
    begins.addProperty("channel", channel);
    begins.addProperty("epoch", state.epoch);
    if (isKnown) begins.addProperty("offset", state.offset);
    on.accept(begins);
  }

  private static JsonObject event(String type) {
    JsonObject event = new JsonObject();
    event.addProperty("type", type);
    return event;
  }

  public static void main(String[] args) {
    if (args.length < 2) {
      System.err.println("usage: subscribe URL CHANNEL...");
      System.exit(64);
    }
    new Subscriber(args[0], List.of(args).subList(1, args.length), System.out::println);
  }
}
