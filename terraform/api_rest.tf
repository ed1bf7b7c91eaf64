locals {
  rest_api = var.rest_api == null ? {} : { this = var.rest_api }

  rest_methods = ["GET", "POST", "DELETE", "OPTIONS"]

  # Whatever makes a deployment necessary: ids and what was asked for, never what AWS tells of it, which may be written
  # otherwise (an empty list is null there) and would deploy again at every apply.
  redeploy_hash = var.rest_api == null ? null : sha1(jsonencode([
    aws_api_gateway_resource.ai_video["this"].id,
    [for method in local.rest_methods : aws_api_gateway_method.ai_video[method].id],
    [for method in local.rest_methods : aws_api_gateway_integration.ai_video[method].id],
    [for kind, response in aws_api_gateway_gateway_response.with_cors : response.id],
    aws_lambda_function.worker.invoke_arn,
    var.rest_api.authorizer_id,
    var.rest_api.authorization_scopes,
    var.cors_origins,
  ]))
}

resource "aws_api_gateway_resource" "ai_video" {
  for_each = local.rest_api

  rest_api_id = each.value.id
  parent_id   = each.value.parent_resource_id
  path_part   = basename(var.path)

  lifecycle {
    # The function knows one path, and answers every other with 404.
    postcondition {
      condition     = self.path == var.path
      error_message = "Below rest_api.parent_resource_id the resource is ${self.path}, and path is ${var.path}: set path to ${self.path}, or give another parent."
    }
  }
}

resource "aws_api_gateway_method" "ai_video" {
  for_each = var.rest_api == null ? toset([]) : toset(local.rest_methods)

  rest_api_id = var.rest_api.id
  resource_id = aws_api_gateway_resource.ai_video["this"].id
  http_method = each.key

  # A browser asks OPTIONS without a token.
  authorization        = each.key == "OPTIONS" ? "NONE" : "COGNITO_USER_POOLS"
  authorizer_id        = each.key == "OPTIONS" ? null : var.rest_api.authorizer_id
  authorization_scopes = each.key == "OPTIONS" ? null : var.rest_api.authorization_scopes
}

resource "aws_api_gateway_integration" "ai_video" {
  for_each = aws_api_gateway_method.ai_video

  rest_api_id             = each.value.rest_api_id
  resource_id             = each.value.resource_id
  http_method             = each.value.http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST" # of the call to Lambda, whatever the request's
  uri                     = aws_lambda_function.worker.invoke_arn
}

resource "aws_lambda_permission" "rest_api" {
  for_each = local.rest_api

  statement_id  = "RestApi"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.worker.function_name
  principal     = "apigateway.amazonaws.com"
  # Any stage and method, this path of this API only.
  source_arn = "arn:${local.partition}:execute-api:${local.region}:${local.account}:${each.value.id}/*/*${aws_api_gateway_resource.ai_video[each.key].path}"
}

# What the gateway itself answers (no token, an expired one, throttled, timed out) has no CORS headers, and a browser
# hides such an answer from its page.  It is a setting of the whole API, hence only where it is asked for.
resource "aws_api_gateway_gateway_response" "with_cors" {
  for_each = try(var.rest_api.gateway_responses_cors, false) ? toset(["DEFAULT_4XX", "DEFAULT_5XX"]) : toset([])

  rest_api_id   = var.rest_api.id
  response_type = each.key

  response_parameters = {
    # One origin is all that can be said here.  No cookie is sent, so everybody may read that a token has expired.
    "gatewayresponse.header.Access-Control-Allow-Origin"   = "'${length(var.cors_origins) == 1 ? var.cors_origins[0] : "*"}'"
    "gatewayresponse.header.Access-Control-Expose-Headers" = "'x-amzn-ErrorType,Retry-After'"
  }
}

# ---- a stage of our own, where the platform's cannot be deployed from its own configuration

resource "aws_api_gateway_deployment" "own" {
  for_each = try(var.rest_api.own_stage, null) == null ? {} : local.rest_api

  rest_api_id = each.value.id
  description = "The API as it was when ${local.function_name} was last changed."
  triggers    = { redeploy = local.redeploy_hash }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_api_gateway_integration.ai_video]
}

resource "aws_api_gateway_stage" "own" {
  for_each = aws_api_gateway_deployment.own

  rest_api_id   = each.value.rest_api_id
  deployment_id = each.value.id
  stage_name    = var.rest_api.own_stage
  tags          = local.tags
}
