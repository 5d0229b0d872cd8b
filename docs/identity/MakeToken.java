// Prints a token: java -cp 'LIBRARIES/*' MakeToken.java KEY_FILE SUBJECT
//
// Needs io.jsonwebtoken:jjwt-api, jjwt-impl and jjwt-jackson 0.12 or later.
import io.jsonwebtoken.Jwts;
import io.jsonwebtoken.security.Keys;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.Map;

public final class MakeToken {
    public static void main(String[] args) throws Exception {
        var key = Keys.hmacShaKeyFor(Files.readAllBytes(Path.of(args[0])));
        var now = Instant.now();
        var globs = List.of("BTC.*");
        var token = Jwts.builder()
            .subject(args[1])
            .issuedAt(Date.from(now)) // A token without it is refused for as long as its subject is revoked.
            .expiration(Date.from(now.plusSeconds(600)))
            .claim("tw", Map.of("channels", globs, "history", globs))
            .signWith(key, Jwts.SIG.HS256)
            .compact();
        System.out.println(token);
    }
}
