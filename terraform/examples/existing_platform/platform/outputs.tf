output "table_name" {
  description = "Of the table."
  value       = aws_dynamodb_table.videos.name
}

output "bucket_name" {
  description = "Of the bucket."
  value       = aws_s3_bucket.media.id
}

output "user_pool_id" {
  description = "Of the user pool."
  value       = aws_cognito_user_pool.people.id
}

output "client_id" {
  description = "Of the pages' client."
  value       = aws_cognito_user_pool_client.pages.id
}

output "rest_api" {
  description = "What the worker has to know of the REST API."
  value = {
    id                 = aws_api_gateway_rest_api.platform.id
    parent_resource_id = aws_api_gateway_rest_api.platform.root_resource_id
    authorizer_id      = aws_api_gateway_authorizer.people.id
  }
}

output "rest_url" {
  description = "Of the REST API's stage."
  value       = aws_api_gateway_stage.platform.invoke_url
}

output "rest_stage_name" {
  description = "Of the REST API's stage."
  value       = aws_api_gateway_stage.platform.stage_name
}

output "http_api" {
  description = "What the worker has to know of the HTTP API."
  value = {
    id            = aws_apigatewayv2_api.platform.id
    authorizer_id = aws_apigatewayv2_authorizer.people.id
  }
}

output "http_url" {
  description = "Of the HTTP API."
  value       = aws_apigatewayv2_api.platform.api_endpoint
}
