// Publishes with an offset: java -cp 'jedis.jar:…' publish.java CHANNEL PAYLOAD [IDEMPOTENCY_KEY]
//
// Needs redis.clients:jedis. REDIS_URL says where Redis is.

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import redis.clients.jedis.JedisPooled;
import redis.clients.jedis.exceptions.JedisNoScriptException;

final class Publish {
  private static final String HISTORY_SIZE = "100";
  private static final String HISTORY_TTL_MS = "3600000";
  private static final String WINDOW_MS = "600000";
  private static final String NOT_AFTER_MS = "0"; // any time; or System.currentTimeMillis() + 5000

  private static final String SHA = "eef3b757beb9043a1b1cac49affd78d5af7f1d41";

  /** Answers epoch (String), offset (Long), and 1 (Long) if the idempotency key was known. */
  static List<?> publish(JedisPooled redis, String text, String channel, String payload, String key) {
    List<String> keys = List.of("{" + channel + "}:meta", "{" + channel + "}:log");
    List<String> args =
        List.of(channel, payload, HISTORY_SIZE, HISTORY_TTL_MS, key, WINDOW_MS, NOT_AFTER_MS);
    try {
      return (List<?>) redis.evalsha(SHA, keys, args);
    } catch (JedisNoScriptException unknown) {
      return (List<?>) redis.eval(text, keys, args);
    }
  }

  public static void main(String[] args) throws Exception {
    String url = System.getenv().getOrDefault("REDIS_URL", "redis://127.0.0.1:6379");
    String text = Files.readString(Path.of("docs/publish/tradewind_publish_1.lua"));
    try (JedisPooled redis = new JedisPooled(url)) {
      System.out.println(publish(redis, text, args[0], args[1], args.length > 2 ? args[2] : ""));
    }
  }
}
