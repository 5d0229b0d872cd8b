resource "google_service_account" "vm" {
  project      = var.project_id
  account_id   = var.name
  display_name = "Tradewind ${var.service}"

  # One that a lost answer left behind is taken over.
  create_ignore_already_exists = true
}

resource "google_project_iam_member" "log_writer" {
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = google_service_account.vm.member
}

resource "google_project_iam_member" "metric_writer" {
  project = var.project_id
  role    = "roles/monitoring.metricWriter"
  member  = google_service_account.vm.member
}

resource "google_storage_bucket_iam_member" "release" {
  bucket = var.release_bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.vm.member
}

resource "google_secret_manager_secret_iam_member" "redis_password" {
  count = local.has_password ? 1 : 0

  project   = var.project_id
  secret_id = var.redis_password_secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.vm.member
}

resource "google_secret_manager_secret_iam_member" "files" {
  for_each = var.secret_files

  project   = var.project_id
  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.vm.member
}

resource "google_secret_manager_secret_iam_member" "variables" {
  for_each = local.secret_variables

  project   = var.project_id
  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.vm.member
}
