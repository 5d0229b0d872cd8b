output "ip_address" {
  description = "Address of the balancer within the network."
  value       = google_compute_forwarding_rule.internal.ip_address
}
