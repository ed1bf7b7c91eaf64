locals {
  http_api = var.http_api == null ? {} : { this = var.http_api }
}

resource "aws_apigatewayv2_integration" "worker" {
  for_each = local.http_api

  api_id                 = each.value.id
  description            = "The function ${local.function_name}."
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.worker.arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "signed_in" {
  for_each = var.http_api == null ? toset([]) : toset(["GET", "POST", "DELETE"])

  api_id               = var.http_api.id
  route_key            = "${each.key} ${var.path}"
  target               = "integrations/${aws_apigatewayv2_integration.worker["this"].id}"
  authorization_type   = "JWT"
  authorizer_id        = var.http_api.authorizer_id
  authorization_scopes = var.http_api.authorization_scopes
}

# A browser asks it without a token.  Where the API has a CORS configuration of its own, API Gateway answers instead.
resource "aws_apigatewayv2_route" "preflight" {
  #checkov:skip=CKV_AWS_309:it answers who may ask, nothing else, and a browser sends no token with it
  for_each = local.http_api

  api_id             = each.value.id
  route_key          = "OPTIONS ${var.path}"
  target             = "integrations/${aws_apigatewayv2_integration.worker["this"].id}"
  authorization_type = "NONE"
}

resource "aws_lambda_permission" "http_api" {
  for_each = local.http_api

  statement_id  = "HttpApi"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.worker.function_name
  principal     = "apigateway.amazonaws.com"
  # Any stage and method, this path of this API only.
  source_arn = "arn:${local.partition}:execute-api:${local.region}:${local.account}:${each.value.id}/*/*${var.path}"
}
