# A stand-in for a team's platform, as it was before: nothing in here knows of the worker but for three things that the
# team adds to its own resources, the table's index, the HTTP API's headers, and the hash that deploys the REST API anew.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7.0"
    }
  }
}

data "aws_caller_identity" "current" {}

resource "aws_dynamodb_table" "videos" {
  name         = "${var.name}-video-metadata"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "video_id"

  attribute {
    name = "video_id"
    type = "S"
  }

  # Added for the worker: rows that somebody has to look at, and no others.
  attribute {
    name = "ai_due_shard"
    type = "S"
  }
  attribute {
    name = "ai_due_at"
    type = "N"
  }
  global_secondary_index {
    name               = "ai_due"
    hash_key           = "ai_due_shard"
    range_key          = "ai_due_at"
    projection_type    = "INCLUDE"
    non_key_attributes = ["ai_version"]
  }
}

# As the old platform wrote it.
resource "aws_dynamodb_table_item" "old_video" {
  table_name = aws_dynamodb_table.videos.name
  hash_key   = aws_dynamodb_table.videos.hash_key
  item = jsonencode({
    video_id = { S = "holiday" }
    user_id  = { S = "0b1c5f9e-7a51-4d2f-9f0e-2f6f7d1f0a11" }
    s3_key   = { S = "uploads/holiday.mp4" }
    title    = { S = "Holiday" }
    likes    = { N = "3" }
  })
}

resource "aws_s3_bucket" "media" {
  # Names of buckets are everybody's, so the account stands in it.
  bucket        = "${var.name}-media-${data.aws_caller_identity.current.account_id}"
  force_destroy = true
}

resource "aws_s3_bucket_public_access_block" "media" {
  bucket                  = aws_s3_bucket.media.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_object" "old_video" {
  bucket  = aws_s3_bucket.media.id
  key     = "uploads/holiday.mp4"
  content = "not really a video"
}

resource "aws_cognito_user_pool" "people" {
  name = var.name
}

resource "aws_cognito_user_pool_client" "pages" {
  name                = "${var.name}-pages"
  user_pool_id        = aws_cognito_user_pool.people.id
  explicit_auth_flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
}

# ---- a REST API with one old route

resource "aws_api_gateway_rest_api" "platform" {
  name = var.name
}

resource "aws_api_gateway_authorizer" "people" {
  name          = "people"
  rest_api_id   = aws_api_gateway_rest_api.platform.id
  type          = "COGNITO_USER_POOLS"
  provider_arns = [aws_cognito_user_pool.people.arn]
}

resource "aws_api_gateway_resource" "videos" {
  rest_api_id = aws_api_gateway_rest_api.platform.id
  parent_id   = aws_api_gateway_rest_api.platform.root_resource_id
  path_part   = "videos"
}

resource "aws_api_gateway_method" "videos" {
  rest_api_id   = aws_api_gateway_rest_api.platform.id
  resource_id   = aws_api_gateway_resource.videos.id
  http_method   = "GET"
  authorization = "COGNITO_USER_POOLS"
  authorizer_id = aws_api_gateway_authorizer.people.id
}

resource "aws_api_gateway_integration" "videos" {
  rest_api_id             = aws_api_gateway_rest_api.platform.id
  resource_id             = aws_api_gateway_resource.videos.id
  http_method             = aws_api_gateway_method.videos.http_method
  type                    = "HTTP_PROXY"
  integration_http_method = "GET"
  uri                     = "https://example.com/videos"
}

resource "aws_api_gateway_deployment" "platform" {
  rest_api_id = aws_api_gateway_rest_api.platform.id

  # The worker's hash is one more reason to deploy.
  triggers = {
    own    = sha1(jsonencode([aws_api_gateway_resource.videos.id, aws_api_gateway_integration.videos.id]))
    worker = coalesce(var.redeploy_hash, "none")
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_stage" "platform" {
  rest_api_id   = aws_api_gateway_rest_api.platform.id
  deployment_id = aws_api_gateway_deployment.platform.id
  stage_name    = "prod"
}

# ---- an HTTP API with one old route

resource "aws_apigatewayv2_api" "platform" {
  name          = "${var.name}-http"
  protocol_type = "HTTP"

  # Its gallery calls from a browser.  The API answers OPTIONS itself, so what the worker's page sends and reads has been
  # added: the two headers after Content-Type, and those that are exposed.
  cors_configuration {
    allow_origins  = ["*"]
    allow_methods  = ["GET", "POST", "DELETE"]
    allow_headers  = ["authorization", "content-type", "idempotency-key", "if-none-match"]
    expose_headers = ["etag", "idempotent-replayed", "location", "retry-after"]
    max_age        = 600
  }
}

resource "aws_apigatewayv2_authorizer" "people" {
  api_id           = aws_apigatewayv2_api.platform.id
  name             = "people"
  authorizer_type  = "JWT"
  identity_sources = ["$request.header.Authorization"]

  jwt_configuration {
    audience = [aws_cognito_user_pool_client.pages.id]
    issuer   = "https://${aws_cognito_user_pool.people.endpoint}"
  }
}

resource "aws_apigatewayv2_integration" "videos" {
  api_id             = aws_apigatewayv2_api.platform.id
  integration_type   = "HTTP_PROXY"
  integration_method = "GET"
  integration_uri    = "https://example.com/videos"
}

resource "aws_apigatewayv2_route" "videos" {
  api_id             = aws_apigatewayv2_api.platform.id
  route_key          = "GET /videos"
  target             = "integrations/${aws_apigatewayv2_integration.videos.id}"
  authorization_type = "JWT"
  authorizer_id      = aws_apigatewayv2_authorizer.people.id
}

resource "aws_apigatewayv2_stage" "platform" {
  api_id      = aws_apigatewayv2_api.platform.id
  name        = "$default"
  auto_deploy = true
}
