"""What the module's files promise about themselves, read and not run."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from scripts.terraform_docs import MODULE, PAGES, Block, PageError, blocks, inputs, outputs, statements, with_tables
from statemachine.aws.table_layout import TableLayout

ROOT = MODULE.parent
VARIABLES = list(blocks((MODULE / "variables.tf").read_text()))

# What the function does at AWS, by boto3's names, and the right that it takes.
RIGHTS = {
    "batch_get_item": "dynamodb:BatchGetItem",
    "get_item": "dynamodb:GetItem",
    "query": "dynamodb:Query",
    "scan": "dynamodb:Scan",
    "transact_write_items": "dynamodb:UpdateItem",  # of updates; each needs its own action's right
    "update_item": "dynamodb:UpdateItem",
    "download_file": "s3:GetObject",
    "get_object": "s3:GetObject",
    "head_object": "s3:GetObject",
    "list_objects_v2": "s3:ListBucket",
    "put_object": "s3:PutObject",
    "upload_file": "s3:PutObject",
    "get_transcription_job": "transcribe:GetTranscriptionJob",
    "start_transcription_job": "transcribe:StartTranscriptionJob",
    "invoke": "lambda:InvokeFunction",
    "get_secret_value": "secretsmanager:GetSecretValue",
    "get_parameter": "ssm:GetParameter",
    "put_events": "events:PutEvents",
    "publish": "sns:Publish",
}
# Beside a call: what its arguments take, what happens when it fails, and what Lambda does in the role's name.
RIGHTS_BESIDE = {
    "s3:PutObjectTagging",
    "s3:AbortMultipartUpload",
    "transcribe:TagResource",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKey",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
}
# Of an operator, who has rights of their own; never of the function.
OPERATORS = {"aws_account.py", "aws_function.py", "aws_inspector.py"}


def test_every_variable_is_typed_described_and_validated() -> None:
    """A switch cannot be wrong once it is a boolean and not null."""
    faults = [
        variable.labels[0]
        for variable in VARIABLES
        if not {"type", "description"} <= variable.attributes.keys()
        or (_validations(variable.labels[0]) == 0 and not _is_switch(variable))
    ]

    assert VARIABLES
    assert faults == []


def test_every_validation_is_seen_to_refuse_something() -> None:
    runs = (MODULE / "tests" / "validations.tftest.hcl").read_text()
    refused = Counter(re.findall(r"^    var\.(\w+),$", runs, flags=re.MULTILINE))

    missing = [v.labels[0] for v in VARIABLES if refused[v.labels[0]] < _validations(v.labels[0])]

    assert missing == []


def test_every_output_is_described() -> None:
    found = [block for path in MODULE.rglob("*.tf") for block in blocks(path.read_text()) if block.kind == "output"]

    assert found
    assert [output.labels[0] for output in found if not output.description] == []


def test_the_function_calls_nothing_that_it_has_no_right_to() -> None:
    """And the other way round: no right stands there that no call takes."""
    calls = set().union(*(_calls(path) for path in _adapters()))
    allowed = set(re.findall(r'"(\w+:[A-Z]\w+)"', _action_lists()))

    assert calls == RIGHTS.keys()
    assert {RIGHTS[call] for call in calls} | RIGHTS_BESIDE == allowed


@pytest.mark.parametrize("place", ["outputs.tf", "README.md", "examples/existing_platform/platform/main.tf"])
def test_the_index_that_a_platform_is_told_to_add_is_the_one_that_the_store_asks(place: str) -> None:
    layout = TableLayout()

    (index,) = re.findall(
        r"global_secondary_index (?:= )?\{\n(.*?)\n *\}", (MODULE / place).read_text(), flags=re.DOTALL
    )

    values = dict(re.findall(r"^ *(\w+) += (.*)$", index, flags=re.MULTILINE))
    assert f'"{layout.index_name}"' in values.pop("name")
    assert values == {
        "hash_key": f'"{layout.due_shard}"',
        "range_key": f'"{layout.due_at}"',
        "projection_type": '"INCLUDE"',
        "non_key_attributes": f'["{layout.version}"]',
    }


def test_no_archive_is_built_by_terraform() -> None:
    """It would be another one on every machine, and a plan that is never empty."""
    texts = "".join(path.read_text() for path in MODULE.glob("*.tf"))

    assert not re.search(r"archive_file|local-exec|null_resource|terraform_data", texts)


def test_no_lock_of_providers_is_shipped() -> None:
    """It would hold the hashes of one platform only, and a module has none."""
    assert [path for path in MODULE.rglob(".terraform.lock.hcl") if ".terraform" not in path.parts[:-1]] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_has_the_tables_that_the_files_make(page: Path) -> None:
    text = page.read_text()

    assert text.count("<!-- BEGIN ") == text.count("<!-- END ") > 0
    assert with_tables(text, MODULE) == text


def test_table_of_inputs_begins_with_what_has_to_be_given() -> None:
    text = (
        'variable "size" {\n  description = "In MB | MiB."\n  type        = number\n  default     = 5\n}\n\n'
        'variable "table" {\n  description = <<-EOT\n    The table:\n    `name`.\n  EOT\n'
        "  type = object({\n    name = string\n    key  = optional(string)\n  })\n  nullable = false\n\n"
        '  validation {\n    condition     = true\n    error_message = "No."\n  }\n}\n'
    )

    table = inputs(list(blocks(text)))

    assert table.splitlines()[2:] == [
        "| `table` | The table: `name`. | `object({ name = string, key = optional(string) })` | **required** |",
        "| `size` | In MB \\| MiB. | `number` | `5` |",
    ]


def test_an_output_without_description_is_refused() -> None:
    with pytest.raises(PageError, match="output name has no description"):
        outputs(list(blocks('output "name" {\n  value = 1\n}\n')))


def test_statements_that_cannot_be_read_are_no_empty_table() -> None:
    with pytest.raises(PageError):
        statements("locals {}\n")


def _validations(variable: str) -> int:
    text = (MODULE / "variables.tf").read_text()
    (body,) = re.findall(rf'^variable "{variable}" \{{\n(.*?)^\}}', text, flags=re.MULTILINE | re.DOTALL)
    return str(body).count("  validation {")


def _is_switch(variable: Block) -> bool:
    return variable.attributes["type"].strip() == "bool" and variable.attributes.get("nullable", "").strip() == "false"


def _adapters() -> list[Path]:
    """The files of the function that speak with AWS; a new one is here until somebody says that it is an operator's."""
    found = [*(ROOT / "statemachine" / "aws").glob("*.py"), *(ROOT / "worker" / "providers").rglob("*.py")]
    return [path for path in found if path.name not in OPERATORS and "boto" in path.read_text()]


def _calls(path: Path) -> set[str]:
    """boto3's methods that a file asks of `self._client`, or names to its own `_call`."""
    calls = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "_client":
            calls.add(node.attr)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_call":
            name = node.args[0]
            if isinstance(name, ast.Constant) and name.value in RIGHTS:
                calls.add(str(name.value))
    return calls - {"meta"}  # boto3's description of the service


def _action_lists() -> str:
    text = (MODULE / "iam.tf").read_text()
    return "".join(re.findall(r"^      actions\s+= (\[.*\])$", text, flags=re.MULTILINE))
