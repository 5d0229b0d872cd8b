output "alerts" {
  description = "Names of the alerts, each with its severity."
  value       = sort(keys(local.alerts))
}

output "dashboard_id" {
  description = "ID of the dashboard."
  value       = google_monitoring_dashboard.tier.id
}
