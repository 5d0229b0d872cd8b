variable "admin" {
  description = "The admin ports, by which infra/roll drains edges: operators (IAM members) who may read their token; ranges within the network, or joined to it, that may reach them; and whether tunnels of Identity-Aware Proxy may. null: the ports stay on each VM's loopback, and infra/roll works on the VMs only."
  type = object({
    operators     = optional(list(string), [])
    source_ranges = optional(list(string), [])
    iap_tunnels   = optional(bool, true)
    token_version = optional(number, 1)
  })
  default = {}
}

variable "admin_token" {
  description = "The admin ports' token: 32 to 128 letters, digits, hyphens and underscores. It is written into its secret when admin.token_version changes, and is in no plan and no state, so it must be given each time: TF_VAR_admin_token. null only where admin is."
  type        = string
  default     = null
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = var.admin == null || can(regex("^[A-Za-z0-9_-]{32,128}$", var.admin_token))
    error_message = "admin_token must be 32 to 128 letters, digits, hyphens and underscores: export TF_VAR_admin_token=$(openssl rand -hex 24) the first time, and what the secret holds after that."
  }
}

variable "autoscaler" {
  description = "Adds edges by the VMs' CPU and by how full they are; never removes any. null: edge_count is the size. With it, edge_count is the least size, and max_count the greatest."
  type = object({
    max_count          = number
    cpu_target         = optional(number, 0.5)
    connections_target = optional(number, 0.7)
    cooldown_sec       = optional(number, 180)
  })
  default = null

  validation {
    condition     = var.autoscaler == null || try(var.autoscaler.max_count >= 1 && var.autoscaler.max_count <= 100 && floor(var.autoscaler.max_count) == var.autoscaler.max_count, false)
    error_message = "autoscaler.max_count must be a whole number from 1 to 100."
  }

  validation {
    condition     = var.autoscaler == null || try(var.autoscaler.max_count >= var.edge_count, false)
    error_message = "autoscaler.max_count must not be below edge_count, which is the least size."
  }

  validation {
    condition     = var.autoscaler == null || try(var.autoscaler.cpu_target >= 0.2 && var.autoscaler.cpu_target <= 0.8, false)
    error_message = "autoscaler.cpu_target must be 0.2 to 0.8 of the VM."
  }

  validation {
    condition     = var.autoscaler == null || try(var.autoscaler.connections_target >= 0.2 && var.autoscaler.connections_target <= 0.9, false)
    error_message = "autoscaler.connections_target must be 0.2 to 0.9 of max_connections."
  }

  validation {
    condition     = var.autoscaler == null || try(var.autoscaler.cooldown_sec >= 60 && var.autoscaler.cooldown_sec <= 3600, false)
    error_message = "autoscaler.cooldown_sec must be 60 to 3600."
  }
}

variable "console" {
  description = "The console on a small VM, which operators open through a tunnel of Identity-Aware Proxy: the secret, which exists and holds a version, of the token that they log in with (22 characters or more); for tapes, where edges ask for tokens, the secret of one that they accept of a client; the secret of a token of ingest with the right revoke; where the nodes are, in a network that is there; edge_urls, by default the edges' balancer where the network has a way out (nat), and none elsewhere; machine. null: none."
  type = object({
    token_secret_id        = string
    edge_token_secret_id   = optional(string)
    edge_urls              = optional(list(string))
    ingest_token_secret_id = optional(string)
    node_networks          = optional(list(string))
    machine = optional(object({
      type         = optional(string, "e2-small")
      image        = optional(string, "projects/debian-cloud/global/images/family/debian-12")
      disk_size_gb = optional(number, 10)
    }), {})
  })
  default = null

  validation {
    condition     = var.console == null || var.admin != null
    error_message = "console needs admin: it drains and moves clients through the admin ports, with their token."
  }

  validation {
    condition     = var.console == null || var.network.existing == null || try(length(var.console.node_networks) > 0, false)
    error_message = "console.node_networks must be set in a network that is there: the ranges of the edges' and ingest's VMs."
  }
}

variable "deletion_protection" {
  description = "Whether a destroy is refused before anything goes, and Memorystore's end by Google too. Taking the tier down begins with an apply that sets this to false."
  type        = bool
  default     = true
  nullable    = false
}

variable "edge" {
  description = "The edges: balancer (kind application; connections for an SSL proxy that counts them, and tells edges clients' addresses by the PROXY protocol unless proxy_protocol is false; none between the two; certificate; the host that clients ask for, by default the certificate's first domain; idle timeout; throttle by address, preview to log it only), clients of one edge (max_connections, half of the files that its process may open), seconds from the order to drain until all clients are gone (20 to 60), machine, further environment (docs/configuration.md). auth, which has no default, says whom edges serve: kind jwt with one of hs256_secret_id (the key) and keys_secret_id (a JWK set), secrets that exist and hold a version, or jwks_url; or kind none, for everybody. origins are the web pages that may connect, all where it is empty; trusted_proxies the networks of further proxies, such as a CDN, in front of the balancer."
  type = object({
    auth = object({
      kind            = string
      hs256_secret_id = optional(string)
      keys_secret_id  = optional(string)
      jwks_url        = optional(string)
      issuer          = optional(string)
      audience        = optional(string)
    })
    origins         = optional(list(string), [])
    trusted_proxies = optional(list(string), [])
    balancer = object({
      kind = optional(string, "application")
      host = optional(string)
      certificate = object({
        domains    = optional(list(string), [])
        self_links = optional(list(string), [])
      })
      timeout_sec          = optional(number, 86400)
      draining_timeout_sec = optional(number, 60)
      proxy_protocol       = optional(bool, true)
      throttle = optional(object({
        requests     = optional(number, 6000)
        interval_sec = optional(number, 60)
        preview      = optional(bool, false)
      }), {})
    })
    max_connections = optional(number, 40000)
    drain_seconds   = optional(number, 60)
    machine = optional(object({
      type         = optional(string, "e2-standard-4")
      image        = optional(string, "projects/debian-cloud/global/images/family/debian-12")
      disk_size_gb = optional(number, 20)
    }), {})
    environment = optional(map(string), {})
  })
  nullable = false

  validation {
    condition     = length(var.edge.balancer.certificate.domains) > 0 || var.edge.balancer.host != null
    error_message = "edge.balancer.host must be set where the certificate is your own: no certificate is for the balancer's address."
  }

  validation {
    condition     = var.edge.balancer.host == null || can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.edge.balancer.host))
    error_message = "edge.balancer.host must be a lower-case host name, such as stream.example.com."
  }

  validation {
    condition     = var.edge.balancer.timeout_sec >= 60 && var.edge.balancer.timeout_sec <= 86400
    error_message = "edge.balancer.timeout_sec must be 60 to 86400: an edge pings clients that are silent for 25 s."
  }

  validation {
    condition     = var.edge.drain_seconds >= 20 && var.edge.drain_seconds <= 60 && floor(var.edge.drain_seconds) == var.edge.drain_seconds
    error_message = "edge.drain_seconds must be a whole number from 20 to 60: an edge accepts for 12 of it (DRAIN_ACCEPT_SECONDS), keeps 2 back, and the clients need the rest; the unit's TimeoutStopSec is 75, and stopping takes up to 10 of it."
  }

  validation {
    condition     = var.edge.max_connections >= 1 && var.edge.max_connections <= 500000 && floor(var.edge.max_connections) == var.edge.max_connections
    error_message = "edge.max_connections must be a whole number from 1 to 500000: the process may open 1048576 files, and should need no more than half."
  }

  validation {
    condition     = contains(["jwt", "none"], var.edge.auth.kind)
    error_message = "edge.auth.kind must be jwt, by which clients say who they are, or none, which lets everybody read everything."
  }

  validation {
    condition     = length(compact([var.edge.auth.hs256_secret_id, var.edge.auth.keys_secret_id, var.edge.auth.jwks_url])) == (var.edge.auth.kind == "jwt" ? 1 : 0)
    error_message = "edge.auth needs one of hs256_secret_id, keys_secret_id and jwks_url with the kind jwt, and none of them with the kind none."
  }

  validation {
    condition     = var.edge.auth.kind == "jwt" || (var.edge.auth.issuer == null && var.edge.auth.audience == null)
    error_message = "edge.auth.issuer and audience are of tokens, which the kind none does not ask for."
  }

  validation {
    condition     = alltrue([for secret in compact([var.edge.auth.hs256_secret_id, var.edge.auth.keys_secret_id]) : can(regex("^[A-Za-z0-9_-]{1,255}$", secret))])
    error_message = "edge.auth.hs256_secret_id and keys_secret_id are IDs of secrets, without the path before them."
  }

  validation {
    condition     = var.edge.auth.jwks_url == null || can(regex("^https://[^@\\s\"'`$\\\\]+$", var.edge.auth.jwks_url))
    error_message = "edge.auth.jwks_url must be a https: URL without a user, blanks and quotes."
  }

  validation {
    condition     = var.edge.auth.jwks_url == null || var.network.nat || var.network.existing != null
    error_message = "edge.auth.jwks_url needs network.nat = true: without it VMs have no way out, and would not start. Or give the keys as a secret (keys_secret_id)."
  }

  validation {
    condition     = alltrue([for origin in var.edge.origins : can(regex("^https?://([a-z0-9.-]+|\\[[0-9a-f:.]+\\])(:[1-9][0-9]{0,4})?$", origin)) && !can(regex("^(http:.*:80|https:.*:443)$", origin))])
    error_message = "edge.origins are origins as browsers send them, such as https://app.example.com: a scheme, a host in lower case, and a port unless it is the default."
  }

  validation {
    condition     = alltrue([for network in var.edge.trusted_proxies : can(cidrhost(network, 0)) || can(cidrhost("${network}/32", 0)) || can(cidrhost("${network}/128", 0))])
    error_message = "edge.trusted_proxies are networks such as 203.0.113.0/24, or addresses."
  }

  validation {
    condition     = length(setintersection(keys(var.edge.environment), ["ADMIN_HOST", "ADMIN_PORT", "DRAIN_ACCEPT_SECONDS", "DRAIN_SECONDS", "EDGE_AUTH", "EDGE_JWKS_URL", "EDGE_JWT_AUDIENCE", "EDGE_JWT_HS256_KEY_FILE", "EDGE_JWT_ISSUER", "EDGE_JWT_KEYS_FILE", "EDGE_NODE_ID", "EDGE_ORIGINS", "EDGE_PLAIN_BEHIND_TLS", "EDGE_PROXY_PROTOCOL", "EDGE_TLS_CERT_FILE", "EDGE_TLS_KEY_FILE", "EDGE_TRUSTED_PROXIES", "HOST", "HTTP_KEEP_ALIVE_SECONDS", "PORT", "REDIS_CA_FILE", "REDIS_PASSWORD_FILE", "REDIS_URL", "WS_MAX_CONNECTIONS"])) == 0
    error_message = "edge.environment holds a variable that Terraform sets itself."
  }
}

variable "edge_count" {
  description = "Number of edges, 1 to 100. Raise it freely; to lower it, remove edges with infra/roll first, which drains them."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.edge_count >= 1 && var.edge_count <= 100 && floor(var.edge_count) == var.edge_count
    error_message = "edge_count must be a whole number from 1 to 100."
  }
}

variable "ingest" {
  description = "Ingest: the secret, which exists and holds a version, of its publishers' tokens: token_file_secret_id for a file of hashes, channels, rights and rates (INGEST_TOKENS_FILE in docs/configuration.md), tokens_secret_id for tokens with all rights, separated by commas; number of VMs; balancer (exposure internal: HTTP within the network; external: HTTPS from everywhere, with certificate, host and throttle as the edges'); machine; further environment. null for none: publishers then write to Redis themselves."
  type = object({
    token_file_secret_id = optional(string)
    tokens_secret_id     = optional(string)
    count                = optional(number, 2)
    balancer = optional(object({
      exposure = optional(string, "internal")
      host     = optional(string)
      certificate = optional(object({
        domains    = optional(list(string), [])
        self_links = optional(list(string), [])
      }))
      timeout_sec = optional(number, 30)
      throttle = optional(object({
        requests     = optional(number, 6000)
        interval_sec = optional(number, 60)
        preview      = optional(bool, false)
      }), {})
    }), {})
    machine = optional(object({
      type         = optional(string, "e2-standard-2")
      image        = optional(string, "projects/debian-cloud/global/images/family/debian-12")
      disk_size_gb = optional(number, 20)
    }), {})
    environment = optional(map(string), {})
  })
  default = null

  validation {
    condition     = alltrue([for ingest in var.ingest[*] : ingest.token_file_secret_id != null || ingest.tokens_secret_id != null])
    error_message = "ingest needs token_file_secret_id or tokens_secret_id: it lets nobody in without a token."
  }

  validation {
    condition     = alltrue([for ingest in var.ingest[*] : ingest.count >= 1 && ingest.count <= 20 && floor(ingest.count) == ingest.count])
    error_message = "ingest.count must be a whole number from 1 to 20."
  }

  validation {
    condition     = alltrue([for ingest in var.ingest[*] : contains(["internal", "external"], ingest.balancer.exposure)])
    error_message = "ingest.balancer.exposure must be internal or external."
  }

  validation {
    condition     = alltrue([for ingest in var.ingest[*] : ingest.balancer.exposure == "internal" || ingest.balancer.certificate != null])
    error_message = "ingest.balancer.certificate must be set where exposure is external: tokens travel with every request."
  }

  validation {
    condition     = alltrue([for ingest in var.ingest[*] : ingest.balancer.exposure == "internal" || ingest.balancer.host != null || try(length(ingest.balancer.certificate.domains) > 0, true)])
    error_message = "ingest.balancer.host must be set where the certificate is your own: no certificate is for the balancer's address."
  }

  validation {
    condition     = alltrue([for ingest in var.ingest[*] : ingest.balancer.exposure != "internal" || (ingest.balancer.host == null && ingest.balancer.certificate == null)])
    error_message = "ingest.balancer.host and certificate are for the exposure external: an internal balancer has an address and no TLS, and would ignore them."
  }

  validation {
    condition     = alltrue([for ingest in var.ingest[*] : ingest.balancer.host == null || can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", ingest.balancer.host))])
    error_message = "ingest.balancer.host must be a lower-case host name, such as ingest.example.com."
  }

  validation {
    condition     = alltrue([for ingest in var.ingest[*] : ingest.balancer.timeout_sec >= 5 && ingest.balancer.timeout_sec <= 300])
    error_message = "ingest.balancer.timeout_sec must be 5 to 300."
  }

  validation {
    condition     = alltrue([for ingest in var.ingest[*] : length(setintersection(keys(ingest.environment), ["ADMIN_HOST", "ADMIN_PORT", "DRAIN_ACCEPT_SECONDS", "DRAIN_SECONDS", "HOST", "HTTP_KEEP_ALIVE_SECONDS", "INGEST_TOKENS", "INGEST_TOKENS_FILE", "PORT", "REDIS_CA_FILE", "REDIS_PASSWORD_FILE", "REDIS_URL"])) == 0])
    error_message = "ingest.environment holds a variable that Terraform sets itself."
  }
}

variable "memorystore" {
  description = "Memorystore for Redis: memory in GB, version, what happens when memory is full, UTC weekday and hour of maintenance. null for none: redis says where it is."
  type = object({
    memory_size_gb   = optional(number, 5)
    version          = optional(string, "REDIS_7_2")
    maxmemory_policy = optional(string, "noeviction")
    maintenance      = optional(object({ day = optional(string, "SUNDAY"), hour = optional(number, 3) }), {})
  })
  default = {}
}

variable "monitoring" {
  description = "Alerts and the dashboard in Cloud Monitoring: whether, an e-mail address and channels that alerts go to, whether VM Manager installs the Ops Agent, and the folder of the rules if it is not infra/prometheus."
  type = object({
    enabled               = optional(bool, true)
    email                 = optional(string)
    notification_channels = optional(list(string), [])
    install_ops_agent     = optional(bool, true)
    rules_directory       = optional(string)
  })
  default  = {}
  nullable = false
}

variable "name" {
  description = "Beginning of all names, so that several tiers can share a project."
  type        = string
  default     = "tradewind"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 20 lower-case letters, digits and hyphens."
  }
}

variable "network" {
  description = "The network: one that is there (existing, also a Shared VPC of another project), or one that is made, with the range of its VMs and whether it has a way out (nat); the range of an internal balancer's proxies, also where they are there; SSH through Identity-Aware Proxy. modules/network says more."
  type = object({
    existing = optional(object({
      network_id          = string
      subnetwork_id       = string
      proxy_subnetwork_id = optional(string)
      makes_peering       = optional(bool, false)
    }))
    nat               = optional(bool, false)
    subnet_cidr       = optional(string, "10.20.0.0/22")
    proxy_subnet_cidr = optional(string, "10.20.8.0/24")
    iap_ssh           = optional(bool, true)
  })
  default  = {}
  nullable = false
}

variable "project_id" {
  description = "Project that everything is made in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be the ID of a project, not its name or number."
  }
}

variable "publishers" {
  description = "Who may read Memorystore's password, or connect to its Cluster, to publish into Redis: IAM members. Publishers that are not in its network use ingest."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.publishers) == 0 || var.memorystore != null || var.redis_cluster != null
    error_message = "publishers is for Memorystore: who may read the secrets of an existing Redis is said where they are."
  }

  validation {
    condition     = var.redis_cluster == null || alltrue([for member in var.publishers : can(regex("^(user|serviceAccount):[^@ ]+@[^@ ]+$", member))])
    error_message = "publishers to redis_cluster are users and service accounts, such as serviceAccount:pricing@my-project.iam.gserviceaccount.com: Memorystore's Cluster takes no groups."
  }
}

variable "redis" {
  description = "A Redis that is there, such as modules/redis_vm makes: URL without a password, authority as PEM, secrets of the edges', ingest's and the console's passwords, whether edge, ingest and console are users of these names, and publishers' secrets by user, for how_to_publish. null: Memorystore is made."
  type = object({
    url        = string
    ca_pem     = optional(string, "")
    has_users  = optional(bool, false)
    passwords  = object({ edge = string, ingest = optional(string), console = optional(string) })
    publishers = optional(map(string), {})
  })
  default = null

  validation {
    condition     = (var.redis == null ? 0 : 1) + (var.memorystore == null ? 0 : 1) + (var.redis_cluster == null ? 0 : 1) == 1
    error_message = "one of redis, redis_cluster and memorystore must be set: redis and redis_cluster need memorystore = null."
  }

  validation {
    condition     = var.redis == null || can(regex("^rediss?://[^@?\\s\"'`$\\\\]+$", var.redis.url))
    error_message = "redis.url must be a redis: or rediss: URL without a user or a password, which anybody who sees a VM's settings could read, and without blanks and quotes."
  }

  validation {
    condition     = var.redis == null || alltrue([for secret in concat([try(var.redis.passwords.edge, "")], var.ingest == null ? [] : [try(coalesce(var.redis.passwords.ingest), "")]) : can(regex("^[A-Za-z0-9_-]{1,255}$", secret))])
    error_message = "redis.passwords are IDs of secrets, without the path before them, of the edges and, where there is an ingest, of ingest."
  }

  validation {
    condition     = var.redis == null || var.console == null || can(regex("^[A-Za-z0-9_-]{1,255}$", var.redis.passwords.console))
    error_message = "redis.passwords.console must be the ID of a secret where there is a console."
  }
}

variable "redis_cluster" {
  description = "Memorystore for Valkey as a Cluster, for more than one Redis carries (docs/sizing.md): shards, which may be changed while it serves, replicas of each, kind of node and version as Google writes them, what happens when memory is full, UTC weekday and hour of maintenance, and whether the network's policy for Private Service Connect is made or is there. It needs memorystore = null. null for none."
  type = object({
    shard_count             = number
    replica_count           = optional(number, 1)
    node_type               = optional(string, "HIGHMEM_MEDIUM")
    engine_version          = optional(string, "VALKEY_8_0")
    maxmemory_policy        = optional(string, "noeviction")
    maintenance             = optional(object({ day = optional(string, "SUNDAY"), hour = optional(number, 3) }), {})
    makes_connection_policy = optional(bool, true)
  })
  default = null
}

variable "region" {
  description = "Region that everything is made in, such as europe-west1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region, such as europe-west1, not a zone."
  }
}

variable "release" {
  description = "What the VMs run: the bucket, and version and SHA-256 of each service's tarball, as npm run release prints them."
  type = object({
    bucket  = string
    edge    = object({ version = string, sha256 = string, object = optional(string) })
    ingest  = optional(object({ version = string, sha256 = string, object = optional(string) }))
    console = optional(object({ version = string, sha256 = string, object = optional(string) }))
  })
  nullable = false

  validation {
    condition     = var.ingest == null || var.release.ingest != null
    error_message = "release.ingest must be set where there is an ingest."
  }

  validation {
    condition     = var.console == null || var.release.console != null
    error_message = "release.console must be set where there is a console."
  }
}

variable "zones" {
  description = "Zones of the region that VMs are spread over, two or more; the first two hold Redis. Say them before the first apply and leave them: what is there stays in the zones that it was made in. null: the region's first three by name."
  type        = list(string)
  default     = null

  validation {
    condition     = var.zones == null || try(alltrue([for zone in var.zones : startswith(zone, "${var.region}-")]), false)
    error_message = "zones must be zones of the region, such as europe-west1-b."
  }

  validation {
    condition     = var.zones == null || try(length(var.zones) >= 2 && length(distinct(var.zones)) == length(var.zones), false)
    error_message = "zones must name at least two zones, each once."
  }
}
