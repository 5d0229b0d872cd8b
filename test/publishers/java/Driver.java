import com.google.gson.Gson;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import redis.clients.jedis.JedisPooled;

/** Drives docs/publish/Publisher.java for the tests: a line of JSON for each call, and one for each answer. */
public final class Driver {
  private record Item(String channel, String text, String base64, String key) {
    Publisher.Publication publication() {
      return new Publisher.Publication(channel, text == null ? Base64.getDecoder().decode(base64) : text, key);
    }
  }

  private record Request(List<Item> items, boolean many, long deadlineMs) {}

  public static void main(String[] args) throws Exception {
    Gson gson = new Gson();
    Publisher.Options options = gson.fromJson(System.getenv("OPTIONS"), Publisher.Options.class);
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    try (JedisPooled redis = new JedisPooled(System.getenv("REDIS_URL"));
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
      Publisher publisher = new Publisher(redis, Path.of(args[0]), options);
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
