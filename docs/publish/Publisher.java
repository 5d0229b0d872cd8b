import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.io.StringReader;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import redis.clients.jedis.AbstractPipeline;
import redis.clients.jedis.Connection;
import redis.clients.jedis.ConnectionPool;
import redis.clients.jedis.JedisCluster;
import redis.clients.jedis.JedisPooled;
import redis.clients.jedis.Protocol.Command;
import redis.clients.jedis.Response;
import redis.clients.jedis.UnifiedJedis;
import redis.clients.jedis.exceptions.JedisDataException;
import redis.clients.jedis.exceptions.JedisException;
import redis.clients.jedis.util.JedisClusterCRC16;

/**
 * Publishes to Tradewind's channels through Redis, each publication once. Copy this file and tradewind_publish_1.lua.
 *
 * <pre>{@code
 * JedisPooled redis = new JedisPooled("127.0.0.1", 6379);
 * Publisher publisher = new Publisher(redis, Path.of("tradewind_publish_1.lua"), Publisher.Options.DEFAULT);
 * Publisher.Published published = publisher.publish("BTC.trade", "{\"price\":\"64123.5\"}", "trade-1");
 * }</pre>
 *
 * On a Cluster give it a JedisCluster; it publishes by SPUBLISH then, for edges of a Cluster.
 *
 * Needs redis.clients:jedis 5.2 (and gson, which that brings) and Java 17. docs/publishing.md has the contract, conformance.json what it is tested with. A payload
 * is text, or bytes of UTF-8; make JSON of objects before. It starts no thread and keeps no queue. Threads may share it.
 */
public final class Publisher {
  private static final String NAME = "tradewind_publish_1";
  private static final String SHA = "6488e9925bb82d9b2be92d23f97d022aa7ad4f9f";
  private static final Pattern CHANNEL = Pattern.compile("(?!tw:)[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127}");
  private static final Pattern EPOCH = Pattern.compile("[A-Za-z0-9]{1,16}");
  /** Before version 7, Redis puts the script's line in front. */
  private static final Pattern WORD = Pattern.compile("^(?:@\\w+: \\d+: )?-?([A-Z][A-Z0-9_]+)(?: |$)");
  private static final int MAX_KEY_BYTES = 128;
  /** Publications in one pipeline. */
  private static final int PIPELINE = 512;
  /** Waits between tries are drawn from 0 to the first, doubled with each try, up to the second. */
  private static final long FIRST_WAIT_MS = 25, MAX_WAIT_MS = 1_000;
  /** With this notAfterMs Redis publishes nothing, but answers to a key that it knows. */
  private static final String LONG_AGO = "1";
  /** A try takes six round trips at most; with less time left, none is begun. */
  private static final long LAST_TRY_MS = 20;
  /** Redis' clock is asked this often, and again after this long. */
  private static final int CLOCK_MEASUREMENTS = 5;
  private static final long CLOCK_COUNTS_FOR_NS = 60_000_000_000L;
  /** Ends by itself: the same call again may succeed. */
  private static final Set<String> PASSING = Set.of("LOADING", "BUSY", "UNKILLABLE", "OOM", "MISCONF", "CLUSTERDOWN",
      "TRYAGAIN", "NOSCRIPT", "READONLY", "MASTERDOWN", "NOREPLICAS", "NOFUNCTION", "TWLATE", "CONNECTION", "TIMEOUT");
  /** The server may no longer be the master, or is silent: only a new connection helps. */
  private static final Set<String> STALE = Set.of("READONLY", "MASTERDOWN", "NOREPLICAS", "TIMEOUT");

  /**
   * @param history publications that a channel keeps, 0 to 100,000
   * @param historyTtlMs how long they outlive the last one; 0: for ever
   * @param keyWindowMs how long Redis remembers a key; longer than any repetition
   * @param deadlineMs how long a call goes on trying; Redis publishes nothing of it later than that
   * @param maxPublicationBytes the edges' EDGE_MAX_PUBLICATION_BYTES
   * @param useFunction calls the Function library from the start, for a user who may send no script
   * @param classic publishes by PUBLISH on a Cluster too, whose edges have REDIS_PUBSUB=classic
   */
  public record Options(int history, long historyTtlMs, long keyWindowMs, long deadlineMs, int maxPublicationBytes,
      boolean useFunction, boolean classic) {
    public static final Options DEFAULT = new Options(1_000, 3_600_000, 600_000, 5_000, 65_536, false, false);

    public Options {
      if (keyWindowMs <= deadlineMs) throw new IllegalArgumentException("keyWindowMs must be longer than deadlineMs");
    }
  }

  /** @param payload a CharSequence or byte[] @param key null: a random one */
  public record Publication(String channel, Object payload, String key) {}

  /** @param duplicate Redis knew the key, by an earlier call or by a try whose answer was lost */
  public record Published(String epoch, long offset, boolean duplicate) {}

  /** Has either where the publication stands or an error. */
  public record Result(Published published, PublishException error) {}

  /** A publication was not published, or nobody knows. */
  public static final class PublishException extends RuntimeException {
    /**
     * The first word of Redis' answer, or BAD_CHANNEL, BAD_KEY, BAD_PAYLOAD, TOO_LARGE (refused here), CONNECTION, TIMEOUT, NOFUNCTION,
     * OVERTAKEN (a later one of the channel was published, this one was not), BAD_REPLY.
     */
    public final String code;

    public final String channel;
    public final String key;
    /** The same call with the same key may succeed later. */
    public final boolean retryable;
    /** It may have been published: repeat it with the same key, which publishes it at most once. */
    public final boolean unknown;

    PublishException(String code, String message, String channel, String key, boolean unknown) {
      super(channel + ": " + code + ": " + message);
      this.code = code;
      this.channel = channel;
      this.key = key;
      this.retryable = PASSING.contains(code) || code.equals("OVERTAKEN");
      this.unknown = unknown;
    }
  }

  private record Failure(String code, String message, boolean isUnknown) {}

  private static final class Call {
    String channel, key;
    byte[] payload;
    boolean isUnknown, isOvertaken, lacksScript, byFunction;
    /** The next try only asks whether it was published. Others of its channel wait for the answer. */
    boolean onlyAsks;
    /** A Cluster's server said that another one has the slot, which a pipeline of Jedis does not follow, or is gone. */
    boolean isRedirected;
    Failure lastFailure;
    Result result;

    void fail(String code, String message) {
      // The script looks for the key before it looks at the clock: what is late now was not published before.
      boolean unknown = isUnknown && !code.equals("TWLATE");
      result = new Result(null, new PublishException(code, message, channel, key, unknown));
    }
  }

  private final UnifiedJedis redis;
  /** The same, if it is one of a Cluster. */
  private final JedisCluster cluster;
  private final byte[] text;
  private final Options options;
  private volatile boolean usesFunction, isLoaded;
  /** By slot, 0 without a Cluster: when the clock of its server was measured, and what it was then minus ours; in ns and ms. */
  private final Map<Integer, long[]> clocks = new ConcurrentHashMap<>();

  /** The client remains the caller's. Its socket timeout (2 s by default) bounds how long one answer may take. */
  public Publisher(JedisPooled redis, Path script, Options options) throws IOException {
    this(redis, null, script, options);
  }

  /** The same on a Cluster. What Jedis repeats there by itself can outlast the deadline by some seconds. */
  public Publisher(JedisCluster redis, Path script, Options options) throws IOException {
    this(redis, redis, script, options);
  }

  private Publisher(UnifiedJedis redis, JedisCluster cluster, Path script, Options options) throws IOException {
    this.redis = redis;
    this.cluster = cluster;
    this.text = Files.readAllBytes(script);
    this.options = options;
    this.usesFunction = options.useFunction();
  }

  /** @throws PublishException and nothing else */
  public Published publish(String channel, Object payload, String key) {
    Result result = publishMany(List.of(new Publication(channel, payload, key)), options.deadlineMs()).get(0);
    if (result.error() != null) throw result.error();
    return result.published();
  }

  /** Publishes in pipelines, in the order of each channel. Returns one result each; the deadline is one for all. */
  public List<Result> publishMany(List<Publication> publications, long deadlineMs) {
    long deadline = System.nanoTime() + Math.min(deadlineMs, options.keyWindowMs()) * 1_000_000;
    List<Call> calls = publications.stream().map(this::prepare).toList();
    List<Call> sendable = calls.stream().filter(call -> call.result == null).toList();
    for (int i = 0; i < sendable.size(); i += PIPELINE)
      settle(sendable.subList(i, Math.min(i + PIPELINE, sendable.size())), deadline);
    return calls.stream().map(call -> call.result).toList();
  }

  private Call prepare(Publication publication) {
    Call call = new Call();
    call.channel = publication.channel();
    call.key = publication.key() == null ? UUID.randomUUID().toString() : publication.key();
    byte[] key = encode(call.key);
    if (!CHANNEL.matcher(call.channel).matches())
      call.fail("BAD_CHANNEL", "must be [A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127} and not begin with tw:");
    else if (key == null || key.length == 0 || key.length > MAX_KEY_BYTES)
      call.fail("BAD_KEY", "the key must have 1 to " + MAX_KEY_BYTES + " bytes of UTF-8");
    else if (publication.payload() instanceof byte[] bytes) call.payload = isUtf8(bytes) ? bytes : null;
    else if (publication.payload() instanceof CharSequence characters) call.payload = encode(characters);
    if (call.result != null) return call;
    if (call.payload == null) call.fail("BAD_PAYLOAD", "the payload must be text, or bytes of UTF-8");
    else if (sizeOnTheWire(call.payload) > options.maxPublicationBytes())
      call.fail("TOO_LARGE", "it is sent with more than " + options.maxPublicationBytes() + " bytes");
    return call;
  }

  /** Text that is no JSON reaches clients as a JSON string, so it counts escaped. */
  private long sizeOnTheWire(byte[] payload) {
    // Only what could be too large when it is escaped, with 6 bytes for one, is read.
    if (payload.length > options.maxPublicationBytes() || 6L * payload.length + 2 <= options.maxPublicationBytes())
      return payload.length;
    try (JsonReader reader = new JsonReader(new StringReader(new String(payload, StandardCharsets.UTF_8)))) {
      reader.skipValue();
      if (reader.peek() == JsonToken.END_DOCUMENT) return payload.length;
    } catch (IOException | RuntimeException noJson) {
      // Counted as text.
    }
    long size = 2;
    for (byte each : payload)
      size += each == '"' || each == '\\' || "\b\f\n\r\t".indexOf(each) >= 0 ? 2 : each >= 0 && each < ' ' ? 6 : 1;
    return size;
  }

  private void settle(List<Call> calls, long deadline) {
    for (long wait = FIRST_WAIT_MS; System.nanoTime() < deadline; ) {
      boolean isRefusedForm = take(calls, round(calls, deadline));
      calls = calls.stream().filter(call -> call.result == null).toList();
      if (calls.isEmpty()) return;
      if (isRefusedForm) continue;
      long left = Math.max(0, (deadline - System.nanoTime()) / 1_000_000 + 1);
      // The last wait leaves time for a last try.
      if (left > LAST_TRY_MS) left = Math.min(ThreadLocalRandom.current().nextLong(wait), left - LAST_TRY_MS);
      try {
        Thread.sleep(left);
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
        break;
      }
      wait = Math.min(2 * wait, MAX_WAIT_MS);
    }
    for (Call call : calls) {
      Failure last = call.lastFailure;
      if (last == null) call.fail("TIMEOUT", "the deadline has passed");
      else call.fail(last.code(), last.message());
    }
  }

  /** One pipeline; a Published or a Failure each, and null for those that wait for others. */
  private List<Object> round(List<Call> calls, long deadline) {
    Set<String> asking = new HashSet<>();
    for (Call call : calls) if (call.onlyAsks) asking.add(call.channel);
    Set<String> alone = new HashSet<>();
    for (Call call : calls) if (call.isRedirected) alone.add(call.channel);
    Map<String, Object> notAfterMs = new HashMap<>();
    Map<Call, Object> answers = new HashMap<>();
    Map<Call, Response<Object>> replies = new HashMap<>();
    Set<String> channels = new HashSet<>();
    JedisException lost = null;
    try (AbstractPipeline pipeline = redis.pipelined()) {
      for (Call call : calls) {
        if (asking.contains(call.channel) && !call.onlyAsks) continue;
        Object latest = notAfterMs.computeIfAbsent(call.channel, channel -> latestFor(channel, deadline));
        if (latest instanceof Failure) {
          answers.put(call, latest);
          continue;
        }
        boolean isFirst = channels.add(call.channel);
        boolean withText = isFirst && (call.lacksScript || (!isLoaded && calls.size() > 1));
        call.byFunction = usesFunction;
        Command command = call.byFunction ? Command.FCALL : withText ? Command.EVAL : Command.EVALSHA;
        byte[] script = call.byFunction ? encode(NAME) : withText ? text : encode(SHA);
        String tag = "{" + call.channel + "}";
        List<byte[]> keys = List.of(encode(tag + ":meta"), encode(tag + ":log"));
        List<byte[]> words = new ArrayList<>(List.of(encode(call.channel), call.payload, encode("" + options.history()),
            encode("" + options.historyTtlMs()), encode(call.key), encode("" + options.keyWindowMs()),
            encode(call.onlyAsks ? LONG_AGO : (String) latest)));
        if (cluster != null && !options.classic()) words.add(encode("sharded"));
        if (alone.contains(call.channel)) answers.put(call, sendAlone(command, script, keys, words));
        else if (command == Command.FCALL) replies.put(call, pipeline.fcall(script, keys, words));
        else if (command == Command.EVAL) replies.put(call, pipeline.eval(script, keys, words));
        else replies.put(call, pipeline.evalsha(script, keys, words));
      }
      pipeline.sync();
    } catch (JedisException error) {
      lost = error;
    }
    for (Map.Entry<Call, Response<Object>> each : replies.entrySet()) {
      try {
        answers.put(each.getKey(), read(each.getValue().get()));
      } catch (JedisDataException reply) {
        answers.put(each.getKey(), failureOf(reply));
      } catch (RuntimeException unset) {
        // There is no answer to this one: the connection was lost on the way.
        answers.put(each.getKey(), failureOf(lost == null ? unset : lost));
      }
    }
    List<Object> told = new ArrayList<>();
    for (Call call : calls) {
      boolean isUnsent = lost != null && !answers.containsKey(call) && !(asking.contains(call.channel) && !call.onlyAsks);
      told.add(isUnsent ? notSent(failureOf(lost)) : answers.get(call));
    }
    return told;
  }

  /** Follows redirections, and learns from them where the slots are. */
  private Object sendAlone(Command command, byte[] script, List<byte[]> keys, List<byte[]> words) {
    List<byte[]> all = new ArrayList<>(List.of(script, encode("2")));
    all.addAll(keys);
    all.addAll(words);
    try {
      return read(cluster.sendCommand(keys.get(0), command, all.toArray(new byte[0][])));
    } catch (JedisException error) {
      return failureOf(error);
    }
  }

  /** The deadline on the clock of the channel's server, as text, or a Failure. */
  private Object latestFor(String channel, long deadline) {
    try {
      return Long.toString(redisTimeMs(deadline, channel));
    } catch (JedisException error) {
      if (cluster != null) lookForServer(channel);
      return notSent(failureOf(error));
    }
  }

  /** Any command lets Jedis look again who has which slots. */
  private void lookForServer(String channel) {
    try {
      cluster.type("{" + channel + "}:meta");
    } catch (JedisException stillAway) {
      // The next round tells.
    }
  }

  private static Failure notSent(Failure failure) {
    return new Failure(failure.code(), failure.message(), false);
  }

  /** Takes over what one round brought. Returns whether another round can begin at once. */
  private boolean take(List<Call> calls, List<Object> answers) {
    Set<String> published = new HashSet<>();
    Map<String, Integer> open = new HashMap<>();
    boolean isRefusedForm = false;
    for (int i = calls.size() - 1; i >= 0; i--) {
      Call call = calls.get(i);
      if (answers.get(i) instanceof Published where) {
        published.add(call.channel);
        call.result = new Result(where, null);
        isLoaded = true;
        continue;
      }
      if (answers.get(i) instanceof Failure failure) {
        boolean isForm = learn(call, failure);
        call.isUnknown |= failure.isUnknown();
        // What Redis said before tells more than that the deadline cut the last try short.
        if (!failure.code().equals("TIMEOUT") || call.lastFailure == null) call.lastFailure = failure;
        isRefusedForm |= isForm;
        if (call.onlyAsks && failure.code().equals("TWLATE")) {
          call.isUnknown = call.onlyAsks = false;
          isRefusedForm = true;
        } else if (!isForm && !PASSING.contains(failure.code())) {
          call.fail(failure.code(), failure.message());
          continue;
        }
      }
      call.isOvertaken |= published.contains(call.channel);
      if (call.isOvertaken && !call.isUnknown) call.fail("OVERTAKEN", "a later publication of the channel was published");
      else open.merge(call.channel, 1, Integer::sum);
    }
    // If a later one was published, an earlier one must not be any more. So it is asked first which of them were.
    for (Call call : calls)
      call.onlyAsks |= call.result == null && call.isUnknown && (call.isOvertaken || open.get(call.channel) > 1);
    return isRefusedForm;
  }

  /** Returns whether Redis would take the same call in another form. */
  private boolean learn(Call call, Failure failure) {
    String code = failure.code();
    boolean isScriptMissing = code.equals("NOSCRIPT");
    if (isScriptMissing || code.equals("CONNECTION") || code.equals("TIMEOUT")) isLoaded = false;
    if (PASSING.contains(code) && !isScriptMissing) clocks.clear();
    if (STALE.contains(code)) forgetConnections();
    boolean isRedirection = cluster != null && (code.equals("MOVED") || code.equals("ASK"));
    call.isRedirected = isRedirection || (cluster != null && code.equals("CONNECTION"));
    call.lacksScript |= isScriptMissing;
    boolean isForbidden = failure.message().contains("'eval'") || failure.message().contains("'evalsha'");
    boolean needsFunction = code.equals("NOPERM") && isForbidden && !call.byFunction;
    usesFunction |= needsFunction;
    return isScriptMissing || needsFunction || isRedirection;
  }

  private void forgetConnections() {
    if (cluster != null) cluster.getClusterNodes().values().forEach(ConnectionPool::clear);
    else ((JedisPooled) redis).getPool().clear();
  }

  /** A moment of System.nanoTime() on the clock of the channel's server, which is measured by the quickest of some answers. */
  private long redisTimeMs(long moment, String channel) {
    int slot = cluster == null ? 0 : JedisClusterCRC16.getSlot(channel);
    long[] measured = clocks.get(slot);
    if (measured == null || System.nanoTime() - measured[0] > CLOCK_COUNTS_FOR_NS) {
      long best = Long.MAX_VALUE;
      measured = new long[2];
      for (int i = 0; i < CLOCK_MEASUREMENTS; i++) {
        long sent = System.nanoTime();
        List<?> time = askTime(slot);
        long roundTrip = System.nanoTime() - sent;
        if (roundTrip >= best) continue;
        best = roundTrip;
        long theirsMs = number(time.get(0)) * 1_000 + number(time.get(1)) / 1_000;
        measured = new long[] {sent + roundTrip, theirsMs - (sent + roundTrip / 2) / 1_000_000};
      }
      clocks.put(slot, measured);
    }
    return moment / 1_000_000 + measured[1] + 1;
  }

  private List<?> askTime(int slot) {
    if (cluster == null) return (List<?>) redis.sendCommand(Command.TIME);
    try (Connection connection = cluster.getConnectionFromSlot(slot)) {
      connection.sendCommand(Command.TIME);
      return connection.getBinaryMultiBulkReply();
    }
  }

  private static Failure failureOf(RuntimeException error) {
    String message = String.valueOf(error.getMessage());
    if (!(error instanceof JedisDataException)) {
      boolean isTimeout = message.contains("timed out");
      return new Failure(isTimeout ? "TIMEOUT" : "CONNECTION", message, true);
    }
    Matcher word = WORD.matcher(message);
    String code = word.find() ? word.group(1) : "ERR";
    return new Failure(message.contains("Function not found") ? "NOFUNCTION" : code, message, false);
  }

  private static Object read(Object reply) {
    if (reply instanceof List<?> list && list.size() == 3 && list.get(0) instanceof byte[] epoch
        && list.get(1) instanceof Long offset && EPOCH.matcher(new String(epoch)).matches() && offset >= 1)
      return new Published(new String(epoch), offset, Long.valueOf(1).equals(list.get(2)));
    return new Failure("BAD_REPLY", NAME + " gave an answer that is not its own", true);
  }

  private static long number(Object digits) {
    return Long.parseLong(digits instanceof byte[] bytes ? new String(bytes) : String.valueOf(digits));
  }

  private static boolean isUtf8(byte[] bytes) {
    try {
      StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes));
      return true;
    } catch (CharacterCodingException malformed) {
      return false;
    }
  }

  /** UTF-8, or null if it holds half a surrogate pair. */
  private static byte[] encode(CharSequence characters) {
    try {
      ByteBuffer bytes = StandardCharsets.UTF_8.newEncoder().encode(java.nio.CharBuffer.wrap(characters));
      byte[] copy = new byte[bytes.remaining()];
      bytes.get(copy);
      return copy;
    } catch (CharacterCodingException malformed) {
      return null;
    }
  }
}
