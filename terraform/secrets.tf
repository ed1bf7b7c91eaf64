# The vendors' keys.  The value is put in by hand or by the platform's own tool, so that it never stands in a state file.
resource "aws_secretsmanager_secret" "vendors" {
  name                    = "${var.name}/vendors"
  description             = "{\"OPENAI_API_KEY\": \"...\", \"GOOGLE_SERVICE_ACCOUNT\": {...}}: the keys that ${var.name} uses."
  kms_key_id              = var.secret_kms_key_arn
  recovery_window_in_days = var.secret_recovery_days
  tags                    = local.tags
}
