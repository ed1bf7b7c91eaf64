"""What stands in a simulated AWS of a team's own: told twice, it shows whether anything was lost or changed."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import boto3

REGION = "eu-central-1"

Facts = Iterator[tuple[str, object]]


def platform_facts(url: str) -> dict[str, object]:
    """Tables and their rows, objects, users' pools, and all of both kinds of API, by what each is called."""
    session: Any = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION)  # noqa: S106  any word will do
    client = partial(session.client, endpoint_url=url)
    return {
        name: fact
        for facts in (
            _rows(client("dynamodb")),
            _objects(client("s3")),
            _people(client("cognito-idp")),
            _rest_apis(client("apigateway")),
            _http_apis(client("apigatewayv2")),
        )
        for name, fact in facts
    }


def _rows(dynamodb: Any) -> Facts:  # noqa: ANN401  boto3 makes its clients at run time
    for name in dynamodb.list_tables()["TableNames"]:
        yield f"table {name}", dynamodb.describe_table(TableName=name)["Table"]
        for item in dynamodb.scan(TableName=name)["Items"]:
            yield f"row {item['video_id']['S']} of {name}", item


def _objects(s3: Any) -> Facts:  # noqa: ANN401  as above
    for bucket in s3.list_buckets()["Buckets"]:
        name = bucket["Name"]
        yield f"bucket {name}", s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
        for entry in s3.list_objects_v2(Bucket=name).get("Contents", ()):
            yield f"object {entry['Key']} of {name}", entry["ETag"]


def _people(cognito: Any) -> Facts:  # noqa: ANN401  as above
    for pool in cognito.list_user_pools(MaxResults=10)["UserPools"]:
        yield f"pool {pool['Name']}", pool["Id"]
        for client in cognito.list_user_pool_clients(UserPoolId=pool["Id"])["UserPoolClients"]:
            yield f"client {client['ClientName']}", client


def _rest_apis(gateway: Any) -> Facts:  # noqa: ANN401  as above
    for api in gateway.get_rest_apis()["items"]:
        of_api = {"restApiId": api["id"]}
        yield f"REST API {api['name']}", api
        for response in gateway.get_gateway_responses(**of_api)["items"]:
            yield f"REST response {response['responseType']}", response
        for authorizer in gateway.get_authorizers(**of_api)["items"]:
            yield f"REST authorizer {authorizer['name']}", authorizer
        for resource in gateway.get_resources(**of_api, embed=["methods"])["items"]:
            yield f"REST route {resource['path']}", resource
        for stage in gateway.get_stages(**of_api)["item"]:
            # Which deployment it serves changes with every one that its own triggers ask for.
            yield f"REST stage {stage['stageName']}", {**stage, "deploymentId": None, "lastUpdatedDate": None}


def _http_apis(gateway: Any) -> Facts:  # noqa: ANN401  as above
    for api in gateway.get_apis()["Items"]:
        of_api = {"ApiId": api["ApiId"]}
        yield f"HTTP API {api['Name']}", api
        for route in gateway.get_routes(**of_api)["Items"]:
            yield f"HTTP route {route['RouteKey']}", route
            if "AuthorizerId" in route:  # moto cannot list them
                authorizer = gateway.get_authorizer(**of_api, AuthorizerId=route["AuthorizerId"])
                yield f"HTTP authorizer {authorizer['Name']}", authorizer["JwtConfiguration"]
        for integration in gateway.get_integrations(**of_api)["Items"]:
            yield f"HTTP integration {integration['IntegrationId']}", integration
        for stage in gateway.get_stages(**of_api)["Items"]:
            yield f"HTTP stage {stage['StageName']}", stage
