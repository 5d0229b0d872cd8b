import com.google.gson.Gson;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.JedisCluster;
import redis.clients.jedis.JedisPooled;
import redis.clients.jedis.UnifiedJedis;

/** Drives docs/publish/Publisher.java for the tests: a line of JSON for each call, and one for each answer. */
public final class Driver {
  private record Item(String channel, String text, String base64, String key) {
    Publisher.Publication publication() {
      return new Publisher.Publication(channel, text == null ? Base64.getDecoder().decode(base64) : text, key);
    }
  }

  private record Request(List<Item> items, boolean many, long deadlineMs) {}

  private static UnifiedJedis connect(String url, boolean isCluster) {
    if (!isCluster) return new JedisPooled(url);
    URI uri = URI.create(url);
    String[] login = uri.getUserInfo() == null ? new String[] {null, null} : uri.getUserInfo().split(":", 2);
    return new JedisCluster(Set.of(new HostAndPort(uri.getHost(), uri.getPort())),
        DefaultJedisClientConfig.builder().user(login[0]).password(login[1]).build());
  }

  public static void main(String[] args) throws Exception {
    Gson gson = new Gson();
    Publisher.Options options = gson.fromJson(System.getenv("OPTIONS"), Publisher.Options.class);
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    try (UnifiedJedis redis = connect(System.getenv("REDIS_URL"), System.getenv("REDIS_CLUSTER") != null);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
      Path script = Path.of(args[0]);
      Publisher publisher = redis instanceof JedisCluster cluster
          ? new Publisher(cluster, script, options)
          : new Publisher((JedisPooled) redis, script, options);
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        Request request = gson.fromJson(line, Request.class);
        List<Publisher.Publication> publications = request.items().stream().map(Item::publication).toList();
        List<Object> told = new ArrayList<>();
        for (Publisher.Result result : publisher.publishMany(publications, request.deadlineMs())) {
          Publisher.PublishException error = result.error();
          told.add(error == null
              ? result.published()
              : Map.of("code", error.code, "retryable", error.retryable, "published", error.unknown ? "unknown" : "no"));
        }
        out.println(gson.toJson(told));
      }
    }
  }
}
